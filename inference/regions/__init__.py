"""A region: an agent and a Ray Serve application."""
