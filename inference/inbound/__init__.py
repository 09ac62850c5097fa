"""Turns messages of a foreign queue into jobs, exactly one job for each message."""
