"""AI tools and their runs."""
