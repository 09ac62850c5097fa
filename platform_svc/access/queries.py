"""Read use cases of the access service."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.access.key import ApiKey
from platform_svc.access.store import AccessStore

PAGE_SIZE_DEFAULT = 50
KIND = "api-keys"


@dataclass(frozen=True, slots=True)
class AccessQueries:
    """What may be asked about API keys."""

    sessions: async_sessionmaker[AsyncSession]

    async def page(
        self, org_id: uuid.UUID, *, page_size: int, page_token: str
    ) -> tuple[list[ApiKey], str]:
        """Give one page of keys, newest first, and the token of the next; a size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            found = await AccessStore(session).page(
                org_id, before=_place(page_token, org_id), count=count + 1
            )
        if len(found) <= count:
            return found, ""
        last = found[count - 1]
        token = encode_page_token([KIND, str(org_id), last.created_at.isoformat(), str(last.id)])
        return found[:count], token


def _place(page_token: str, org_id: uuid.UUID) -> tuple[datetime, uuid.UUID] | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case (str(kind), str(org), str(when), str(last)) if (kind, org) == (KIND, str(org_id)):
            return datetime.fromisoformat(when), uuid.UUID(last)
        case _:
            raise InvalidPageToken("page_token is of another list")
