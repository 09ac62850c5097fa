"""gRPC surface of identity: messages to values, one use case, values to messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from reelmesh.platform.identity.v1 import identity_service_pb2 as pb
from reelmesh.platform.identity.v1 import identity_service_pb2_grpc as pb_grpc

from meshkit.context import current, current_user
from meshkit.ids import format_id
from platform_svc.identity.accounts import SignUpForm, User
from platform_svc.identity.commands import IdentityCommands, SignedIn
from platform_svc.identity.networks import client_network
from platform_svc.identity.queries import IdentityQueries

Context = grpc.aio.ServicerContext[Any, Any]


class IdentityServicer(pb_grpc.IdentityServiceServicer):
    """Serves IdentityService; holds no state but its collaborators."""

    def __init__(self, commands: IdentityCommands, queries: IdentityQueries) -> None:
        self._commands = commands
        self._queries = queries

    async def SignUp(self, request: pb.SignUpRequest, context: Context) -> pb.SessionResponse:
        """Make a user and open a session."""
        form = SignUpForm(request.email, request.password, request.display_name)
        signed_in = await self._commands.sign_up(
            form, network=_network(context), idempotency_key=current().idempotency_key
        )
        return _session_response(signed_in)

    async def SignIn(self, request: pb.SignInRequest, context: Context) -> pb.SessionResponse:
        """Open a session."""
        signed_in = await self._commands.sign_in(
            request.email, request.password, network=_network(context)
        )
        return _session_response(signed_in)

    async def RefreshSession(
        self, request: pb.RefreshSessionRequest, context: Context
    ) -> pb.SessionResponse:
        """Trade a refresh token for a new pair."""
        return _session_response(await self._commands.refresh_session(request.refresh_token))

    async def SignOut(self, request: pb.SignOutRequest, context: Context) -> pb.SignOutResponse:
        """End the caller's session."""
        await self._commands.sign_out(current_user().session_id)
        return pb.SignOutResponse()

    async def GetMe(self, request: pb.GetMeRequest, context: Context) -> pb.User:
        """Give the signed-in user."""
        return _user_message(await self._queries.user(current_user().user_id))

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


def _network(context: Context) -> str:
    return client_network(dict(context.invocation_metadata() or ()), context.peer())


def _session_response(signed_in: SignedIn) -> pb.SessionResponse:
    return pb.SessionResponse(
        user=_user_message(signed_in.user),
        session=pb.Session(
            session_id=format_id("ses", signed_in.session_id),
            access_token=signed_in.access_token,
            refresh_token=signed_in.refresh_token,
            access_token_expires_at=_timestamp(signed_in.access_token_expires_at),
        ),
    )


def _user_message(user: User) -> pb.User:
    return pb.User(
        user_id=format_id("usr", user.id),
        email=user.email,
        display_name=user.display_name,
        personal_org_id=format_id("org", user.personal_org_id),
        created_at=_timestamp(user.created_at),
    )


def _timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message
