"""A tour of the running platform: every part does its job and says what it did."""
