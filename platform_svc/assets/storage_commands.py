"""What organizations store and may store, as operators and members see it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.assets.orphan import Orphan
from platform_svc.assets.orphan_store import OrphanStore
from platform_svc.assets.shelf import Shelf
from platform_svc.assets.usage import OwnQuota, Quota, Usage
from platform_svc.assets.usage_store import UsageStore

PAGE_SIZE_DEFAULT = 50
ORPHANS = "orphans"


@dataclass(frozen=True, slots=True)
class StorageCommands:
    """Reads usage and orphans, and sets bounds."""

    sessions: async_sessionmaker[AsyncSession]
    default: Quota

    async def usage(self, org_id: uuid.UUID) -> Usage:
        """Give what an organization stores."""
        async with self.sessions() as session:
            return await UsageStore(session).find(org_id)

    async def bound(self, org_id: uuid.UUID, quota: OwnQuota) -> Usage:
        """Give an organization bounds of its own, or take them away."""
        async with self.sessions.begin() as session:
            shelf = await Shelf.lock(session, org_id)
            return await shelf.bound(quota)

    async def orphans(self, *, page_size: int, page_token: str) -> tuple[list[Orphan], str]:
        """Give one page of orphans by key, and the token of the next; a size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            found = await OrphanStore(session).page(after=_after(page_token), count=count + 1)
        page = found[:count]
        more = len(found) > count
        return page, encode_page_token([ORPHANS, page[-1].finding.key]) if more else ""


def _after(page_token: str) -> str:
    if not page_token:
        return ""
    match decode_page_token(page_token):
        case (str(name), str(key)) if name == ORPHANS:
            return key
        case _:
            raise InvalidPageToken("page_token is of another list")
