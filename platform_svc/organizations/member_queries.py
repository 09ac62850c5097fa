"""Read use cases of members and invitations."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.organizations.invitation import Invitation
from platform_svc.organizations.invitation_store import InvitationStore
from platform_svc.organizations.member_store import MemberStore
from platform_svc.organizations.membership import Member

PAGE_SIZE_DEFAULT = 50
MEMBERS = "members"
INVITATIONS = "invitations"


@dataclass(frozen=True, slots=True)
class MemberQueries:
    """What may be asked about members and invitations; a page size of 0 means 50."""

    sessions: async_sessionmaker[AsyncSession]

    async def member(self, org_id: uuid.UUID, user_id: uuid.UUID) -> Member | None:
        """Give a user's part in an organization, if they have one."""
        async with self.sessions() as session:
            return await MemberStore(session).find(org_id, user_id)

    async def members(
        self, org_id: uuid.UUID, *, page_size: int, page_token: str
    ) -> tuple[list[Member], str]:
        """Give one page of members, oldest first, and the token of the next one.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            found = await MemberStore(session).page(
                org_id, after=_place(page_token, MEMBERS, org_id), count=count + 1
            )
        if len(found) <= count:
            return found, ""
        last = found[count - 1]
        return found[:count], _token(MEMBERS, org_id, last.joined_at, last.user_id)

    async def invitations(
        self, org_id: uuid.UUID, *, page_size: int, page_token: str
    ) -> tuple[list[Invitation], str]:
        """Give one page of invitations, newest first, and the token of the next one.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            found = await InvitationStore(session).page(
                org_id, before=_place(page_token, INVITATIONS, org_id), count=count + 1
            )
        if len(found) <= count:
            return found, ""
        last = found[count - 1]
        return found[:count], _token(INVITATIONS, org_id, last.created_at, last.id)


def _token(kind: str, org_id: uuid.UUID, when: datetime, last: uuid.UUID) -> str:
    return encode_page_token([kind, str(org_id), when.isoformat(), str(last)])


def _place(page_token: str, kind: str, org_id: uuid.UUID) -> tuple[datetime, uuid.UUID] | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case (str(of), str(org), str(when), str(last)) if (of, org) == (kind, str(org_id)):
            return datetime.fromisoformat(when), uuid.UUID(last)
        case _:
            raise InvalidPageToken("page_token is of another list")
