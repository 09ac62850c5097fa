"""gRPC surface of a user's own account: messages to values, one use case, values to messages."""

from __future__ import annotations

from typing import Any

import grpc
from reelmesh.platform.identity.v1 import account_service_pb2 as pb
from reelmesh.platform.identity.v1 import account_service_pb2_grpc as pb_grpc
from reelmesh.platform.identity.v1 import identity_service_pb2 as identity_pb

from meshkit.context import current, current_user
from meshkit.idempotency import Call
from meshkit.ids import format_id, parse_id
from platform_svc.identity.account_commands import AccountCommands
from platform_svc.identity.account_queries import AccountQueries
from platform_svc.identity.messages import (
    device_of,
    export_message,
    session_message,
    user_message,
)
from platform_svc.identity.recovery_commands import RecoveryCommands
from platform_svc.identity.two_step_commands import TwoStepCommands

Context = grpc.aio.ServicerContext[Any, Any]


class AccountServicer(pb_grpc.AccountServiceServicer):
    """Serves AccountService; holds no state but its collaborators."""

    def __init__(
        self,
        commands: AccountCommands,
        recovery: RecoveryCommands,
        two_step: TwoStepCommands,
        queries: AccountQueries,
    ) -> None:
        self._commands = commands
        self._recovery = recovery
        self._two_step = two_step
        self._queries = queries

    async def UpdateMe(self, request: pb.UpdateMeRequest, context: Context) -> identity_pb.User:
        """Rename the caller."""
        user = await self._commands.rename(current_user().user_id, request.display_name)
        return user_message(user)

    async def DeleteMe(self, request: pb.DeleteMeRequest, context: Context) -> pb.DeleteMeResponse:
        """Erase the caller."""
        await self._commands.delete(current_user())
        return pb.DeleteMeResponse()

    async def ExportMe(self, request: pb.ExportMeRequest, context: Context) -> pb.AccountExport:
        """Give what is kept about the caller."""
        return export_message(await self._queries.export(current_user()))

    async def RequestEmailVerification(
        self, request: pb.RequestEmailVerificationRequest, context: Context
    ) -> pb.RequestEmailVerificationResponse:
        """Mail another code to the caller's address."""
        await self._recovery.request_verification(
            current_user().user_id, network=device_of(context).network
        )
        return pb.RequestEmailVerificationResponse()

    async def ChangePassword(
        self, request: pb.ChangePasswordRequest, context: Context
    ) -> pb.ChangePasswordResponse:
        """Set another password."""
        principal = current_user()
        call = Call(
            format_id("usr", principal.user_id),
            "ChangePassword",
            current().idempotency_key,
            # A fast hash of a password must not be kept; repeats prove theirs by argon2.
            pb.ChangePasswordRequest(),
            pb.ChangePasswordResponse,
        )
        await self._commands.change_password(
            principal, request.current_password, request.new_password, call
        )
        return pb.ChangePasswordResponse()

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        """Give a page of the caller's sessions."""
        principal = current_user()
        page = await self._queries.live_sessions(
            principal.user_id, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListSessionsResponse(
            sessions=[
                session_message(one, is_current=one.id == principal.session_id)
                for one in page.sessions
            ],
            next_page_token=page.next_page_token,
        )

    async def RevokeSession(
        self, request: pb.RevokeSessionRequest, context: Context
    ) -> pb.RevokeSessionResponse:
        """End one of the caller's sessions."""
        await self._commands.revoke_session(
            current_user().user_id, parse_id("ses", request.session_id, field="session_id")
        )
        return pb.RevokeSessionResponse()

    async def EnrolTotp(self, request: pb.EnrolTotpRequest, context: Context) -> pb.TotpEnrolment:
        """Begin two-step sign-in."""
        user, enrolment = await self._two_step.enrol(current_user())
        return pb.TotpEnrolment(
            secret=enrolment.secret,
            uri=enrolment.uri(user.email),
            recovery_codes=enrolment.recovery_codes,
        )

    async def ConfirmTotp(
        self, request: pb.ConfirmTotpRequest, context: Context
    ) -> pb.ConfirmTotpResponse:
        """Turn two-step sign-in on."""
        await self._two_step.confirm(current_user(), request.code)
        return pb.ConfirmTotpResponse()

    async def DisableTotp(
        self, request: pb.DisableTotpRequest, context: Context
    ) -> pb.DisableTotpResponse:
        """Turn two-step sign-in off."""
        await self._two_step.disable(current_user())
        return pb.DisableTotpResponse()
