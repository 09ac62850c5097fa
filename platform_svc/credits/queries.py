"""Read use cases of the credits service."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.credits.ledger import Balance, BurnPosition, Capture, Grant, Posting
from platform_svc.credits.store import CreditStore

PAGE_SIZE_DEFAULT = 50
CAPTURES_PER_MESSAGE = 1000


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Some postings, newest first; `next_page_token` is empty on the last page."""

    postings: list[Posting]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class CreditQueries:
    """What may be asked about credits."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def balance(self, org_id: uuid.UUID) -> Balance:
        """Give an organization's balance, zeros if it has no account."""
        async with self.sessions() as session:
            return await CreditStore(session).balance(org_id, now=self.ambient.now())

    async def ledger(self, org_id: uuid.UUID, *, page_size: int, page_token: str) -> LedgerPage:
        """Give one page of an organization's postings; a page size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            postings = await CreditStore(session).postings(
                org_id, before_seq=_before_seq(page_token), count=count + 1
            )
        page = postings[:count]
        more = len(postings) > count
        return LedgerPage(page, encode_page_token(["ledger", page[-1].seq]) if more else "")

    async def captures(self, since: datetime) -> AsyncIterator[Sequence[Capture]]:
        """Give every organization's captures since then, oldest first, up to 1,000 at a time."""
        async with self.sessions() as session:
            store = CreditStore(session)
            async for chunk in store.captures(since, count=CAPTURES_PER_MESSAGE):
                yield chunk

    async def grants(
        self, org_id: uuid.UUID, *, page_size: int, page_token: str
    ) -> tuple[list[Grant], str]:
        """Give one page of the grants that have something left, and the next page's token.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            found = await CreditStore(session).open_grants(
                org_id, after=_after(page_token), count=count + 1, now=self.ambient.now()
            )
        page = found[:count]
        if len(found) <= count:
            return page, ""
        last = page[-1]
        end = "" if last.expires_at is None else last.expires_at.isoformat()
        return page, encode_page_token(["grants", last.priority, end, last.id.hex])


def _after(page_token: str) -> BurnPosition | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case ("grants", int(priority), str(end), str(grant)):
            expires_at = datetime.fromisoformat(end) if end else None
            return BurnPosition(priority, expires_at, uuid.UUID(hex=grant))
        case _:
            raise InvalidPageToken("page_token is of another list")


def _before_seq(page_token: str) -> int | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case ("ledger", int(seq)):
            return seq
        case _:
            raise InvalidPageToken("page_token is of another list")
