"""The message brokers that may carry leases to regions and bring work in."""
