"""The model registry: what can be run, where its files lie, how they are checked."""
