"""Pipelines: a picture request in, picture bytes out."""
