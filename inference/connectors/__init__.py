"""The ways in which regions get their jobs."""
