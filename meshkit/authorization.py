"""Who may do what in an organization: the question that the server asks before each call."""

from __future__ import annotations

import uuid
from typing import Protocol

from meshkit.context import UserPrincipal


class Authorizer(Protocol):
    """Decides whether a user may do something in an organization."""

    async def allows(
        self, principal: UserPrincipal, permission: str, organization_id: uuid.UUID
    ) -> bool:
        """Return whether the user has the permission; an empty one asks for membership."""
        ...


class ActiveOrganizationAuthorizer:
    """Lets a user do everything in the organization that the access token is for."""

    async def allows(
        self,
        principal: UserPrincipal,
        permission: str,  # noqa: ARG002 - every member has every permission here
        organization_id: uuid.UUID,
    ) -> bool:
        """Return whether the organization is the token's."""
        return principal.organization_id == organization_id
