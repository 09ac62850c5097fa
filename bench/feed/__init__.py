"""The home feed and explore at a settable number of posts."""
