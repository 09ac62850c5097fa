"""Read use cases of the events service."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.events.collection import Failed
from platform_svc.events.store import EventStore, Position

PAGE_SIZE_DEFAULT = 50


@dataclass(frozen=True, slots=True)
class FailedPage:
    """Some failed events, newest first; `next_page_token` is empty on the last page."""

    failed: list[Failed]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class EventQueries:
    """What may be asked about events."""

    sessions: async_sessionmaker[AsyncSession]

    async def failed(self, org_id: uuid.UUID, *, page_size: int, page_token: str) -> FailedPage:
        """Give one page of an organization's failed events; a page size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            found = await EventStore(session).failed(
                org_id, after=_position(page_token), count=count + 1
            )
        page = found[:count]
        token = ""
        if len(found) > count:
            token = encode_page_token(
                ["failed-events", page[-1].received_at.isoformat(), str(page[-1].id)]
            )
        return FailedPage(page, token)


def _position(page_token: str) -> Position | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case ("failed-events", str(received_at), str(id_)):
            return Position(datetime.fromisoformat(received_at), uuid.UUID(id_))
        case _:
            raise InvalidPageToken("page_token is of another list")
