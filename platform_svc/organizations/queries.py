"""Read use cases of the organizations service."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.organizations.errors import OrganizationNotFound
from platform_svc.organizations.membership import Membership
from platform_svc.organizations.store import OrganizationStore

PAGE_SIZE_DEFAULT = 50


@dataclass(frozen=True, slots=True)
class MembershipPage:
    """Some memberships, oldest first; `next_page_token` is empty on the last page."""

    memberships: list[Membership]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class OrganizationQueries:
    """What may be asked about organizations."""

    sessions: async_sessionmaker[AsyncSession]

    async def membership(self, org_id: uuid.UUID, user_id: uuid.UUID) -> Membership:
        """Give an organization as one of its members sees it.

        Raises:
            OrganizationNotFound: the user does not belong to it, or there is none.
        """
        async with self.sessions() as session:
            membership = await OrganizationStore(session).membership(org_id, user_id)
        if membership is None:
            raise OrganizationNotFound
        return membership

    async def memberships(
        self, user_id: uuid.UUID, *, page_size: int, page_token: str
    ) -> MembershipPage:
        """Give one page of a user's organizations; a page size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            joined = await OrganizationStore(session).memberships(
                user_id, after=_place(page_token), count=count + 1
            )
        page = joined[:count]
        token = ""
        if len(joined) > count:
            last = page[-1]
            token = encode_page_token(
                ["orgs", last.joined_at.isoformat(), str(last.membership.org_id)]
            )
        return MembershipPage([one.membership for one in page], token)


def _place(page_token: str) -> tuple[datetime, uuid.UUID] | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case ("orgs", str(joined_at), str(org_id)):
            return datetime.fromisoformat(joined_at), uuid.UUID(org_id)
        case _:
            raise InvalidPageToken("page_token is of another list")
