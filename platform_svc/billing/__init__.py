"""Plans, subscriptions, invoices, and the credits and rights that come with them."""
