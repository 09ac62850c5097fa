"""How well and how fast the embedded model draws."""
