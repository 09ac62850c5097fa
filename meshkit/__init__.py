"""The runtime library that every service shares; it imports none of them."""
