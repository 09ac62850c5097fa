"""What identity puts into the audit log of a user's personal organization."""

from __future__ import annotations

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from meshkit import audit
from meshkit.clock import Ambient
from meshkit.ids import format_id
from platform_svc.identity.accounts import User

SIGNED_UP: Final = "user.signed_up"
SIGNED_IN: Final = "user.signed_in"
RENAMED: Final = "user.renamed"
DELETED: Final = "user.deleted"
EMAIL_VERIFIED: Final = "user.email_verified"
SESSION_REVOKED: Final = "session.revoked"
PASSWORD_CHANGED: Final = "password.changed"  # noqa: S105 - the name of an action
PASSWORD_RESET: Final = "password.reset"  # noqa: S105 - as above
TWO_STEP_ENABLED: Final = "two_step.enabled"
TWO_STEP_DISABLED: Final = "two_step.disabled"


async def record(
    session: AsyncSession, user: User, action: str, ambient: Ambient, **details: str
) -> None:
    """Write that the user did something about their own account, in the caller's transaction."""
    change = audit.Change(
        action,
        user.personal_org_id,
        target_ids=(format_id("usr", user.id),),
        details=details,
        user_id=user.id,
    )
    await audit.record(session, change, ambient)
