"""What each role may do. Every permission that a proto names stands here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from platform_svc.organizations.membership import Role

VIEWER: Final = frozenset(
    {
        "organizations.read",
        "organizations.leave",
        "members.read",
        "credits.read",
        "assets.read",
        "runs.read",
        "billing.read",
        "events.write",
    }
)
MEMBER: Final = VIEWER | {
    "assets.write",
    "runs.write",
    "posts.write",
    "events.read",
    "api_keys.read",
    "api_keys.write",
}
ADMIN: Final = MEMBER | {
    "members.write",
    "api_keys.manage",
    "audit.read",
    "invoices.read",
    "webhooks.read",
    "webhooks.write",
}
OWNER: Final = ADMIN | {"organizations.transfer", "billing.write"}

PERMISSIONS: Final[Mapping[Role, frozenset[str]]] = {
    Role.OWNER: OWNER,
    Role.ADMIN: ADMIN,
    Role.MEMBER: MEMBER,
    Role.VIEWER: VIEWER,
}
