"""Machine-learning jobs that run alone or under `ray job submit`."""
