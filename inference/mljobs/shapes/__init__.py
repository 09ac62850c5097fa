"""The `shapes` model: its words, drawings, networks, training and measurement."""
