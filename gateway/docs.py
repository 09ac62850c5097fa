"""The page at /docs."""

from __future__ import annotations


def docs_page() -> str:
    """Return the page."""
    return '<!doctype html><title>Reelmesh API</title><a href="/openapi.json">openapi.json</a>'
