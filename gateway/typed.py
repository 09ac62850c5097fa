"""Envoy's typed extension configuration: a name and a config that names its own type."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
PREFIX = "type.googleapis.com/envoy.extensions."


def config(kind: str, **fields: Any) -> Json:
    """Return a config of a type below `envoy.extensions`."""
    return {"@type": PREFIX + kind, **fields}


def extension(name: str, kind: str, **fields: Any) -> Json:
    """Return an extension: a filter, an access log, a formatter."""
    return {"name": name, "typed_config": config(kind, **fields)}
