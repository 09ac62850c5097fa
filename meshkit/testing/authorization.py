"""An authorizer for tests of other things: everybody is an owner where they act."""

from __future__ import annotations

import uuid

from meshkit.authorization import Decision
from meshkit.context import UserPrincipal


class ActiveOrganizationAuthorizer:
    """Lets a user do everything in the organization that the call acts in, and nothing else."""

    async def decide(
        self,
        principal: UserPrincipal,
        permission: str,  # noqa: ARG002 - every member has every permission here
        organization_id: uuid.UUID,
    ) -> Decision:
        """Return whether the organization is the call's."""
        if principal.organization_id == organization_id:
            return Decision.ALLOWED
        return Decision.NOT_A_MEMBER
