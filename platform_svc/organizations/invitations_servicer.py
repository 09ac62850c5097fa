"""gRPC surface of invitations: messages to values, one use case, values to messages."""

from __future__ import annotations

from functools import partial
from typing import Any

import grpc
from google.protobuf.message import Message
from reelmesh.platform.organizations.v1 import invitations_service_pb2 as pb
from reelmesh.platform.organizations.v1 import invitations_service_pb2_grpc as pb_grpc

from meshkit.clock import Ambient
from meshkit.context import current, current_user
from meshkit.idempotency import Call
from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp
from platform_svc.organizations.invitation import Invitation
from platform_svc.organizations.invitation_commands import InvitationCommands
from platform_svc.organizations.member_queries import MemberQueries
from platform_svc.organizations.membership import Role

Context = grpc.aio.ServicerContext[Any, Any]


class InvitationsServicer(pb_grpc.InvitationsServiceServicer):
    """Serves InvitationsService; holds no state but its collaborators."""

    def __init__(
        self, commands: InvitationCommands, queries: MemberQueries, ambient: Ambient
    ) -> None:
        self._commands = commands
        self._queries = queries
        self._message = partial(_invitation_message, ambient)

    async def CreateInvitation(
        self, request: pb.CreateInvitationRequest, context: Context
    ) -> pb.Invitation:
        """Invite an address."""
        org_id = parse_id("org", request.org_id, field="org_id")
        return await self._commands.create(
            (org_id, request.email.lower(), Role(request.role)),
            current_user().user_id,
            _call("CreateInvitation", request),
            self._message,
        )

    async def ListInvitations(
        self, request: pb.ListInvitationsRequest, context: Context
    ) -> pb.ListInvitationsResponse:
        """Give one page of invitations."""
        invitations, token = await self._queries.invitations(
            parse_id("org", request.org_id, field="org_id"),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListInvitationsResponse(
            invitations=[self._message(one) for one in invitations], next_page_token=token
        )

    async def ResendInvitation(
        self, request: pb.ResendInvitationRequest, context: Context
    ) -> pb.Invitation:
        """Send an invitation again."""
        return await self._commands.resend(
            (
                parse_id("org", request.org_id, field="org_id"),
                parse_id("inv", request.invitation_id, field="invitation_id"),
            ),
            current_user().user_id,
            _call("ResendInvitation", request),
            self._message,
        )

    async def RevokeInvitation(
        self, request: pb.RevokeInvitationRequest, context: Context
    ) -> pb.Invitation:
        """Take an invitation back."""
        invitation = await self._commands.revoke(
            parse_id("org", request.org_id, field="org_id"),
            parse_id("inv", request.invitation_id, field="invitation_id"),
        )
        return self._message(invitation)

    async def AcceptInvitation(
        self, request: pb.AcceptInvitationRequest, context: Context
    ) -> pb.AcceptInvitationResponse:
        """Make the caller a member."""
        invitation = await self._commands.accept(request.token, current_user().user_id)
        return pb.AcceptInvitationResponse(
            org_id=format_id("org", invitation.org_id), role=invitation.role.value
        )

    async def DeclineInvitation(
        self, request: pb.DeclineInvitationRequest, context: Context
    ) -> pb.DeclineInvitationResponse:
        """End an invitation without joining."""
        await self._commands.decline(request.token)
        return pb.DeclineInvitationResponse()


def _call(method: str, request: Message) -> Call[pb.Invitation]:
    scope = str(current_user().user_id)
    return Call(scope, method, current().idempotency_key, request, pb.Invitation)


def _invitation_message(ambient: Ambient, invitation: Invitation) -> pb.Invitation:
    created_at = timestamp(invitation.created_at)
    expires_at = timestamp(invitation.expires_at)
    return pb.Invitation(
        invitation_id=format_id("inv", invitation.id),
        org_id=format_id("org", invitation.org_id),
        email=invitation.email,
        role=invitation.role.value,
        state=invitation.state_at(ambient.now()).value,
        invited_by=format_id("usr", invitation.invited_by),
        created_at=created_at,
        expires_at=expires_at,
        mail_sent=invitation.mail_due_at is None,
    )
