"""Mail to people, in the words of templates."""
