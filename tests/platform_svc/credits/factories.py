"""Plain requests, of which a test names only what it is about."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from platform_svc.credits.ledger import GrantKind, GrantRequest, HoldRequest

ORG = uuid.UUID("01930000-0000-7000-8000-000000000001")
OTHER_ORG = uuid.UUID("01930000-0000-7000-8000-000000000002")


def grant_request(
    amount_credits: int = 100,
    *,
    key: str = "grant-1",
    org_id: uuid.UUID = ORG,
    priority: int = 50,
    expires_at: datetime | None = None,
    note: str = "",
) -> GrantRequest:
    return GrantRequest(
        org_id=org_id,
        amount_credits=amount_credits,
        idempotency_key=key,
        kind=GrantKind.MANUAL,
        priority=priority,
        expires_at=expires_at,
        note=note,
    )


def hold_request(
    amount_credits: int = 40,
    *,
    hold_id: str = "run_1",
    org_id: uuid.UUID = ORG,
    ttl_seconds: int = 60,
) -> HoldRequest:
    return HoldRequest(hold_id, org_id, amount_credits, timedelta(seconds=ttl_seconds))
