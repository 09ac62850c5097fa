"""Entries of plain defaults."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from meshkit.testing.clock import START
from meshkit.testing.identity import USER
from platform_svc.audit.entry import Entry

ORG = USER.organization_id
PLAIN = Entry(
    id=uuid.UUID(int=1),
    org_id=ORG,
    action="api_key.created",
    actor_kind="user",
    actor_id="usr_ada",
    api_key_id="",
    target_ids=("key_1",),
    details={"scopes": "runs.read", "prefix": "rmk_ab"},
    request_id="r-1",
    network="203.0.113.7",
    occurred_at=START,
)


def entry(number: int, **changes: Any) -> Entry:
    return replace(PLAIN, id=uuid.UUID(int=number), **changes)
