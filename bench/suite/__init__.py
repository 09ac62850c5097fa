"""How long every test takes."""
