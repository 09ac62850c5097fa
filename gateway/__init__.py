"""Generates the edge from the protos: Envoy configuration and OpenAPI."""
