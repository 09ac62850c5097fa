"""gRPC surface of members: messages to values, one use case, values to messages."""

from __future__ import annotations

from typing import Any

import grpc
from reelmesh.platform.organizations.v1 import members_service_pb2 as pb
from reelmesh.platform.organizations.v1 import members_service_pb2_grpc as pb_grpc

from meshkit.context import current, current_user
from meshkit.idempotency import Call
from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp
from platform_svc.organizations.member_commands import MemberCommands
from platform_svc.organizations.member_queries import MemberQueries
from platform_svc.organizations.membership import Member, Role
from platform_svc.organizations.permissions import PERMISSIONS

Context = grpc.aio.ServicerContext[Any, Any]


class MembersServicer(pb_grpc.MembersServiceServicer):
    """Serves MembersService; holds no state but its collaborators."""

    def __init__(self, commands: MemberCommands, queries: MemberQueries) -> None:
        self._commands = commands
        self._queries = queries

    async def ListRoles(
        self, request: pb.ListRolesRequest, context: Context
    ) -> pb.ListRolesResponse:
        """Give every role with its permissions."""
        return pb.ListRolesResponse(
            roles=[pb.Role(role=role.value, permissions=_permissions(role)) for role in Role]
        )

    async def ListMembers(
        self, request: pb.ListMembersRequest, context: Context
    ) -> pb.ListMembersResponse:
        """Give one page of the members."""
        members, token = await self._queries.members(
            parse_id("org", request.org_id, field="org_id"),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListMembersResponse(
            members=[_member_message(member) for member in members], next_page_token=token
        )

    async def ChangeMemberRole(
        self, request: pb.ChangeMemberRoleRequest, context: Context
    ) -> pb.Member:
        """Give a member another role."""
        member = await self._commands.change_role(
            parse_id("org", request.org_id, field="org_id"),
            current_user().user_id,
            parse_id("usr", request.user_id, field="user_id"),
            Role(request.role),
        )
        return _member_message(member)

    async def RemoveMember(
        self, request: pb.RemoveMemberRequest, context: Context
    ) -> pb.RemoveMemberResponse:
        """End a membership."""
        await self._commands.remove(
            parse_id("org", request.org_id, field="org_id"),
            current_user().user_id,
            parse_id("usr", request.user_id, field="user_id"),
        )
        return pb.RemoveMemberResponse()

    async def LeaveOrganization(
        self, request: pb.LeaveOrganizationRequest, context: Context
    ) -> pb.LeaveOrganizationResponse:
        """End the caller's own membership."""
        org_id = parse_id("org", request.org_id, field="org_id")
        await self._commands.leave(org_id, current_user().user_id)
        return pb.LeaveOrganizationResponse()

    async def TransferOwnership(
        self, request: pb.TransferOwnershipRequest, context: Context
    ) -> pb.Member:
        """Make another member an owner and the caller an admin."""
        user_id = current_user().user_id
        call = Call(
            str(user_id), "TransferOwnership", current().idempotency_key, request, pb.Member
        )
        return await self._commands.transfer(
            parse_id("org", request.org_id, field="org_id"),
            user_id,
            parse_id("usr", request.user_id, field="user_id"),
            call,
            _member_message,
        )

    async def ResolveMembership(
        self, request: pb.ResolveMembershipRequest, context: Context
    ) -> pb.ResolveMembershipResponse:
        """Say what a user may do in an organization."""
        member = await self._queries.member(
            parse_id("org", request.org_id, field="org_id"),
            parse_id("usr", request.user_id, field="user_id"),
        )
        if member is None:
            return pb.ResolveMembershipResponse()
        return pb.ResolveMembershipResponse(
            role=member.role.value, permissions=_permissions(member.role)
        )


def _permissions(role: Role) -> list[str]:
    return sorted(PERMISSIONS[role])


def _member_message(member: Member) -> pb.Member:
    joined_at = timestamp(member.joined_at)
    return pb.Member(
        user_id=format_id("usr", member.user_id),
        role=member.role.value,
        joined_at=joined_at,
        display_name=member.name,
    )
