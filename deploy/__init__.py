"""Runs Reelmesh: the local platform, images and manifests."""
