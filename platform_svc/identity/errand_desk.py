"""Where commands leave errands, and who is told of them."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from meshkit.clock import Ambient
from meshkit.postgres import after_commit
from platform_svc.identity.errand_store import ErrandStore
from platform_svc.identity.errands import Errand, ErrandKind


@dataclass(frozen=True, slots=True)
class ErrandDesk:
    """Keeps errands; `left` wakes the runner of this process after each commit."""

    ambient: Ambient
    left: asyncio.Event = field(default_factory=asyncio.Event)

    def leave(
        self,
        session: AsyncSession,
        kind: ErrandKind,
        *,
        user_id: uuid.UUID | None = None,
        address: str | None = None,
        display_name: str | None = None,
    ) -> None:
        """Keep an errand in the caller's transaction."""
        errand = Errand(
            id=self.ambient.new_id(),
            kind=kind,
            created_at=self.ambient.now(),
            user_id=user_id,
            address=address,
            display_name=display_name,
        )
        ErrandStore(session).add(errand)
        after_commit(session, self.left.set)
