"""Replays workloads through the live policy and through simpler ones, without a cluster."""
