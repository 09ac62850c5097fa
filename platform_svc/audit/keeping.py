"""Keeps the heads of logs in the object store, out of reach of whoever rewrites the database.

A chain of hashes shows that a part of a log was changed; that a whole log was written anew, with
every hash, shows only beside a head that was kept elsewhere. The head is in the key, so that a
listing tells all; a bucket with versions or Object Lock keeps even who may write to it from
changing the past.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.object_store import ObjectStore
from meshkit.tasks import periodic
from platform_svc.audit.entry import Head
from platform_svc.audit.store import AuditStore

PREFIX: Final = "audit/heads/"
# Wide enough for every position, so that keys are listed in their order.
DIGITS: Final = 19
BATCH_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class KeptHeads:
    """What the object store knows of logs."""

    objects: ObjectStore

    async def keep(self, org_id: uuid.UUID, head: Head) -> None:
        """Keep where a log ends; harmless when done twice."""
        key = f"{PREFIX}{org_id}/{head.length:0{DIGITS}d}-{head.hash.hex()}"
        await self.objects.put(key, b"", content_type="application/octet-stream")

    async def of(self, org_id: uuid.UUID) -> Mapping[int, bytes]:
        """Give the hashes that were kept of a log, by position."""
        prefix = f"{PREFIX}{org_id}/"
        found = {}
        async for info in self.objects.list(prefix):
            position, _, digest = info.key.removeprefix(prefix).partition("-")
            found[int(position)] = bytes.fromhex(digest)
        return found


@dataclass(frozen=True, slots=True)
class HeadKeeper:
    """Keeps the head of each log that has grown, at each interval."""

    sessions: async_sessionmaker[AsyncSession]
    kept: KeptHeads
    interval: timedelta

    async def run(self) -> None:
        """Keep for ever."""
        await periodic("audit-head-keeper", self.interval.total_seconds(), self.keep_all)

    async def keep_all(self) -> int:
        """Keep the heads of all logs that have grown and say how many those were."""
        count = 0
        while True:
            async with self.sessions() as session:
                grown = await AuditStore(session).grown(count=BATCH_MAX)
            for org_id, head in grown:
                await self.kept.keep(org_id, head)
                async with self.sessions.begin() as session:
                    await AuditStore(session).note_kept(org_id, head.length)
            count += len(grown)
            if len(grown) < BATCH_MAX:
                return count
