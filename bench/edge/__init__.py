"""What the edge adds to a call."""
