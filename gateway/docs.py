"""The page at /docs: a reader of /openapi.json without any file from elsewhere."""

from __future__ import annotations

from importlib import resources

PAGE = "docs.html"
# The page runs its own script and reads the document; it can do nothing else.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_page() -> str:
    """Return the page's HTML."""
    return (resources.files("gateway") / PAGE).read_text()
