"""Who may do what in an organization: the question that the server asks before each call."""

from __future__ import annotations

import enum
import uuid
from typing import Protocol

from meshkit.context import UserPrincipal


class Decision(enum.Enum):
    """What an authorizer says of a user who wants to do something in an organization."""

    ALLOWED = enum.auto()
    # The user belongs to the organization and their role does not suffice.
    NOT_PERMITTED = enum.auto()
    # The user does not belong to the organization, or there is none.
    NOT_A_MEMBER = enum.auto()


class Authorizer(Protocol):
    """Decides whether a user may do something in an organization."""

    async def decide(
        self, principal: UserPrincipal, permission: str, organization_id: uuid.UUID
    ) -> Decision:
        """Judge the user's own part in the organization; an empty permission asks for membership.

        What narrows the rights of a single call, such as the scopes of an API key, is judged by
        the caller of this.
        """
        ...


class NoOrganizations:
    """The authorizer of a part that cannot ask who belongs where: nobody belongs anywhere."""

    async def decide(
        self,
        principal: UserPrincipal,  # noqa: ARG002 - the answer is the same for all
        permission: str,  # noqa: ARG002 - as above
        organization_id: uuid.UUID,  # noqa: ARG002 - as above
    ) -> Decision:
        """Return that the user is no member."""
        return Decision.NOT_A_MEMBER
