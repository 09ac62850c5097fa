"""gRPC surface of identity: messages to values, one use case, values to messages."""

from __future__ import annotations

from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from reelmesh.platform.identity.v1 import identity_service_pb2 as pb
from reelmesh.platform.identity.v1 import identity_service_pb2_grpc as pb_grpc

from meshkit.context import current, current_user
from meshkit.idempotency import Call
from platform_svc.identity.accounts import SignUpForm
from platform_svc.identity.commands import Challenge, IdentityCommands
from platform_svc.identity.messages import (
    challenge_response,
    device_of,
    session_response,
    user_message,
)
from platform_svc.identity.queries import IdentityQueries
from platform_svc.identity.recovery_commands import RecoveryCommands
from platform_svc.identity.store import ANONYMOUS_SCOPE
from platform_svc.identity.two_step_commands import TwoStepCommands

Context = grpc.aio.ServicerContext[Any, Any]
R = TypeVar("R", bound=Message)


class IdentityServicer(pb_grpc.IdentityServiceServicer):
    """Serves IdentityService; holds no state but its collaborators."""

    def __init__(
        self,
        commands: IdentityCommands,
        recovery: RecoveryCommands,
        two_step: TwoStepCommands,
        queries: IdentityQueries,
    ) -> None:
        self._commands = commands
        self._recovery = recovery
        self._two_step = two_step
        self._queries = queries

    async def SignUp(self, request: pb.SignUpRequest, context: Context) -> pb.SessionResponse:
        """Make a user and open a session."""
        form = SignUpForm(request.email, request.password, request.display_name)
        signed_in = await self._commands.sign_up(
            form, device=device_of(context), idempotency_key=current().idempotency_key
        )
        return session_response(signed_in)

    async def SignIn(self, request: pb.SignInRequest, context: Context) -> pb.SessionResponse:
        """Open a session, or ask for the second step."""
        outcome = await self._commands.sign_in(
            request.email, request.password, device=device_of(context)
        )
        if isinstance(outcome, Challenge):
            return challenge_response(outcome)
        return session_response(outcome)

    async def CompleteSignIn(
        self, request: pb.CompleteSignInRequest, context: Context
    ) -> pb.SessionResponse:
        """Open a session by the second step."""
        signed_in = await self._two_step.complete_sign_in(
            request.challenge, request.code, device=device_of(context)
        )
        return session_response(signed_in)

    async def VerifyEmail(
        self, request: pb.VerifyEmailRequest, context: Context
    ) -> pb.VerifyEmailResponse:
        """Take a mailed code for an address."""
        call = _anonymous_call("VerifyEmail", request, pb.VerifyEmailResponse)
        await self._recovery.verify_email(request.code, call, network=device_of(context).network)
        return pb.VerifyEmailResponse()

    async def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest, context: Context
    ) -> pb.RequestPasswordResetResponse:
        """Mail a code to whoever has the address."""
        await self._recovery.request_password_reset(
            request.email, network=device_of(context).network
        )
        return pb.RequestPasswordResetResponse()

    async def ResetPassword(
        self, request: pb.ResetPasswordRequest, context: Context
    ) -> pb.ResetPasswordResponse:
        """Take a mailed code for a new password."""
        # A fast hash of the password must not be kept, so the code alone tells calls apart.
        known = pb.ResetPasswordRequest(code=request.code)
        await self._recovery.reset_password(
            request.code,
            request.new_password,
            _anonymous_call("ResetPassword", known, pb.ResetPasswordResponse),
            network=device_of(context).network,
        )
        return pb.ResetPasswordResponse()

    async def RefreshSession(
        self, request: pb.RefreshSessionRequest, context: Context
    ) -> pb.SessionResponse:
        """Trade a refresh token for a new pair."""
        return session_response(await self._commands.refresh_session(request.refresh_token))

    async def SignOut(self, request: pb.SignOutRequest, context: Context) -> pb.SignOutResponse:
        """End the caller's session."""
        await self._commands.sign_out(current_user().session_id)
        return pb.SignOutResponse()

    async def GetMe(self, request: pb.GetMeRequest, context: Context) -> pb.User:
        """Give the signed-in user."""
        return user_message(await self._queries.user(current_user().user_id))

    async def GetJwks(self, request: pb.GetJwksRequest, context: Context) -> pb.JsonWebKeySet:
        """Give the public keys."""
        keys = await self._queries.public_keys()
        names = pb.JsonWebKey.DESCRIPTOR.fields_by_name
        return pb.JsonWebKeySet(
            keys=[
                pb.JsonWebKey(**{name: value for name, value in key.items() if name in names})
                for key in keys
            ]
        )


def _anonymous_call(method: str, request: Message, response_type: type[R]) -> Call[R]:
    return Call(ANONYMOUS_SCOPE, method, current().idempotency_key, request, response_type)
