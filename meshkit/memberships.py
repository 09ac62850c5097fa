"""Asks the organizations service what a user may do, and remembers good answers for seconds."""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, cast

from reelmesh.platform.organizations.v1 import members_service_pb2 as pb
from reelmesh.platform.organizations.v1.members_service_pb2_grpc import MembersServiceStub

from meshkit.authorization import Decision
from meshkit.context import UserPrincipal
from meshkit.ids import format_id
from meshkit.stubs import MeshChannel

if TYPE_CHECKING:  # The stub files know this type, the generated modules do not.
    from reelmesh.platform.organizations.v1.members_service_pb2_grpc import MembersServiceAsyncStub

# A changed role counts everywhere after this time at the latest.
REMEMBERED_SECONDS: Final = 3.0
REMEMBERED_MAX: Final = 10_000
CALL_SECONDS_MAX: Final = 3.0


@dataclass(frozen=True, slots=True)
class _Remembered:
    permissions: frozenset[str]
    until: float


class MembershipAuthorizer:
    """Decides by the user's current role, which organizations knows.

    Only memberships are remembered, not their absence: who was just invited gets in at once, and
    who was removed is out within REMEMBERED_SECONDS. If organizations is away and nothing is
    remembered, the call fails as UNAVAILABLE.
    """

    def __init__(
        self,
        members: MembersServiceAsyncStub,
        *,
        remembered_seconds: float = REMEMBERED_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._members = members
        self._seconds = remembered_seconds
        self._monotonic = monotonic
        self._remembered: OrderedDict[tuple[uuid.UUID, uuid.UUID], _Remembered] = OrderedDict()

    @classmethod
    def over(cls, channel: MeshChannel) -> Self:
        """Make one that asks through the channel."""
        # The generated types tell the two kinds of stub apart by the channel's type alone.
        return cls(cast("MembersServiceAsyncStub", channel.stub(MembersServiceStub)))

    async def decide(
        self, principal: UserPrincipal, permission: str, organization_id: uuid.UUID
    ) -> Decision:
        """Judge the user's role in the organization."""
        permissions = await self.permissions(principal.user_id, organization_id)
        if permissions is None:
            return Decision.NOT_A_MEMBER
        if permission and permission not in permissions:
            return Decision.NOT_PERMITTED
        return Decision.ALLOWED

    async def permissions(
        self, user_id: uuid.UUID, organization_id: uuid.UUID
    ) -> frozenset[str] | None:
        """Return what the user may do in the organization, or None if they do not belong to it."""
        key = (user_id, organization_id)
        found = self._remembered.get(key)
        now = self._monotonic()
        if found is not None and now < found.until:
            return found.permissions
        answer = await self._members.ResolveMembership(
            pb.ResolveMembershipRequest(
                org_id=format_id("org", organization_id), user_id=format_id("usr", user_id)
            ),
            timeout=CALL_SECONDS_MAX,
        )
        if not answer.role:
            self._remembered.pop(key, None)
            return None
        permissions = frozenset(answer.permissions)
        self._remembered[key] = _Remembered(permissions, now + self._seconds)
        self._remembered.move_to_end(key)
        if len(self._remembered) > REMEMBERED_MAX:
            self._remembered.popitem(last=False)
        return permissions
