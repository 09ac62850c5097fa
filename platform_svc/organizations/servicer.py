"""gRPC surface of organizations: messages to values, one use case, values to messages."""

from __future__ import annotations

from typing import Any

import grpc
from reelmesh.platform.organizations.v1 import organizations_service_pb2 as pb
from reelmesh.platform.organizations.v1 import organizations_service_pb2_grpc as pb_grpc

from meshkit.context import current, current_user
from meshkit.idempotency import Call
from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp
from platform_svc.organizations.commands import OrganizationCommands
from platform_svc.organizations.membership import Membership, PersonalOrganization
from platform_svc.organizations.queries import OrganizationQueries

Context = grpc.aio.ServicerContext[Any, Any]


class OrganizationsServicer(pb_grpc.OrganizationsServiceServicer):
    """Serves OrganizationsService; holds no state but its collaborators."""

    def __init__(self, commands: OrganizationCommands, queries: OrganizationQueries) -> None:
        self._commands = commands
        self._queries = queries

    async def EnsurePersonalOrganization(
        self, request: pb.EnsurePersonalOrganizationRequest, context: Context
    ) -> pb.Organization:
        """Make the organization that a user gets at sign-up, once."""
        wanted = PersonalOrganization(
            org_id=parse_id("org", request.org_id, field="org_id"),
            user_id=parse_id("usr", request.user_id, field="user_id"),
            name=request.name,
        )
        return _organization_message(await self._commands.ensure_personal(wanted))

    async def CreateOrganization(
        self, request: pb.CreateOrganizationRequest, context: Context
    ) -> pb.Organization:
        """Make an organization for a team."""
        user_id = current_user().user_id
        call = Call(
            str(user_id), "CreateOrganization", current().idempotency_key, request, pb.Organization
        )
        return await self._commands.create(request.name, user_id, call, _organization_message)

    async def ListOrganizations(
        self, request: pb.ListOrganizationsRequest, context: Context
    ) -> pb.ListOrganizationsResponse:
        """Give one page of the caller's organizations."""
        page = await self._queries.memberships(
            current_user().user_id, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListOrganizationsResponse(
            orgs=[_organization_message(membership) for membership in page.memberships],
            next_page_token=page.next_page_token,
        )

    async def GetOrganization(
        self, request: pb.GetOrganizationRequest, context: Context
    ) -> pb.Organization:
        """Give one organization of the caller's."""
        org_id = parse_id("org", request.org_id, field="org_id")
        return _organization_message(await self._queries.membership(org_id, current_user().user_id))


def _organization_message(membership: Membership) -> pb.Organization:
    created_at = timestamp(membership.created_at)
    return pb.Organization(
        org_id=format_id("org", membership.org_id),
        name=membership.name,
        kind=membership.kind.value,
        role=membership.role.value,
        created_at=created_at,
    )
