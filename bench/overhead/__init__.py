"""What the platform adds to the bare pipeline."""
