"""Loads every event into the lake, makes the marts of it, and checks them."""
