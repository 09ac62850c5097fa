"""Turns jobs into results: queue, scheduler and regions."""
