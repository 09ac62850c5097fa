"""Gives a new user an organization and credits at once, as far as the other services answer.

Whatever fails here is made good by events within seconds, under the same ids and keys, so a
failure is logged and never stops a sign-up.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self, cast

import grpc
from reelmesh.platform.credits.v1 import credits_service_pb2 as credits_pb
from reelmesh.platform.credits.v1.credits_service_pb2_grpc import CreditsServiceStub
from reelmesh.platform.organizations.v1 import organizations_service_pb2 as organizations_pb
from reelmesh.platform.organizations.v1.organizations_service_pb2_grpc import (
    OrganizationsServiceStub,
)

from meshkit.ids import format_id
from meshkit.stubs import MeshChannel, remote_reason
from platform_svc.identity.accounts import User

if TYPE_CHECKING:  # The stub files know these types, the generated modules do not.
    from reelmesh.platform.credits.v1.credits_service_pb2_grpc import CreditsServiceAsyncStub
    from reelmesh.platform.organizations.v1.organizations_service_pb2_grpc import (
        OrganizationsServiceAsyncStub,
    )

logger = logging.getLogger(__name__)

# A user who signs up should not wait for a service that is away.
CALL_SECONDS_MAX = 3.0
GRANT_NOTE = "Welcome"


class Onboarding(Protocol):
    """Prepares what a new user needs in other services."""

    async def welcome(self, user: User) -> None:
        """Do as much as can be done now; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteOnboarding:
    """Calls organizations and credits; a grant of zero credits is not made."""

    organizations: OrganizationsServiceAsyncStub
    credits: CreditsServiceAsyncStub
    sign_up_credits: int

    @classmethod
    def over(cls, channel: MeshChannel, *, sign_up_credits: int) -> Self:
        """Make one that calls both services through the channel."""
        # The generated types tell the two kinds of stub apart by the channel's type alone.
        return cls(
            cast("OrganizationsServiceAsyncStub", channel.stub(OrganizationsServiceStub)),
            cast("CreditsServiceAsyncStub", channel.stub(CreditsServiceStub)),
            sign_up_credits,
        )

    async def welcome(self, user: User) -> None:
        """Make the personal organization, then book the sign-up grant."""
        org_id = format_id("org", user.personal_org_id)
        try:
            await self.organizations.EnsurePersonalOrganization(
                organizations_pb.EnsurePersonalOrganizationRequest(
                    org_id=org_id, user_id=format_id("usr", user.id), name=user.display_name
                ),
                timeout=CALL_SECONDS_MAX,
            )
            if self.sign_up_credits:
                await self.credits.GrantCredits(
                    credits_pb.GrantCreditsRequest(
                        org_id=org_id,
                        amount_credits=self.sign_up_credits,
                        idempotency_key=f"sign-up:{org_id}",
                        kind="promotion",
                        note=GRANT_NOTE,
                    ),
                    timeout=CALL_SECONDS_MAX,
                )
        except grpc.aio.AioRpcError as error:
            logger.warning(
                "onboarding is left to events",
                extra={
                    "user_id": str(user.id),
                    "code": error.code().name,
                    "reason": remote_reason(error),
                },
            )
