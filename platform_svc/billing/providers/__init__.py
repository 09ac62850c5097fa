"""Who collects the money, behind one port: the installation itself, or Stripe."""
