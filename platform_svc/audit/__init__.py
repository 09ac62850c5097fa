"""Who changed what in each organization, in logs that only grow."""
