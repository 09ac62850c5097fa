"""Server interceptors: one layer per concern, composed once per method."""
