"""Fields of requests that more than one servicer reads."""

from __future__ import annotations

import uuid
from typing import Any, Final

import grpc

from meshkit.ids import parse_id
from platform_svc.assets.queries import Download

Context = grpc.aio.ServicerContext[Any, Any]

FOUND: Final = "302"


def org_id_of(text: str) -> uuid.UUID:
    """Give the organization that a field names. Raises InvalidId."""
    return parse_id("org", text, field="org_id")


def asset_id_of(text: str) -> uuid.UUID:
    """Give the asset that a field names. Raises InvalidId."""
    return parse_id("ast", text, field="asset_id")


async def redirect(context: Context, download: Download) -> None:
    """Send the caller to the bytes; the edge turns the metadata into status and header."""
    await context.send_initial_metadata((("x-http-code", FOUND), ("location", download.url)))
