"""Infrastructure: identity, organizations, credits and assets."""
