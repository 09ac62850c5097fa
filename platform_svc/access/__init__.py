"""API keys, and their exchange at the edge."""
