"""Identity's values as messages, and what a call's metadata says of its device."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from reelmesh.platform.identity.v1 import account_service_pb2 as account_pb
from reelmesh.platform.identity.v1 import identity_service_pb2 as pb

from meshkit.ids import format_id
from meshkit.networks import client_network
from meshkit.timestamps import timestamp
from platform_svc.identity.account_queries import Export
from platform_svc.identity.accounts import User
from platform_svc.identity.commands import Challenge
from platform_svc.identity.issuing import SignedIn
from platform_svc.identity.refresh import Device, Session

USER_AGENT_KEY = "user-agent"
USER_AGENT_CHARACTERS_MAX = 200


def device_of(context: grpc.aio.ServicerContext[Any, Any]) -> Device:
    """Read where a call comes from."""
    metadata = dict(context.invocation_metadata() or ())
    agent = metadata.get(USER_AGENT_KEY, "")
    text = agent if isinstance(agent, str) else ""
    return Device(
        user_agent=text[:USER_AGENT_CHARACTERS_MAX],
        network=client_network(metadata, context.peer()),
    )


def session_response(signed_in: SignedIn) -> pb.SessionResponse:
    """Show a user and the tokens of a session."""
    return pb.SessionResponse(
        user=user_message(signed_in.user),
        session=pb.Session(
            session_id=format_id("ses", signed_in.session_id),
            access_token=signed_in.access_token,
            refresh_token=signed_in.refresh_token,
            access_token_expires_at=timestamp(signed_in.access_token_expires_at),
        ),
    )


def challenge_response(challenge: Challenge) -> pb.SessionResponse:
    """Show what stands for a session that needs a second step."""
    return pb.SessionResponse(
        challenge=pb.Challenge(challenge=challenge.text, expires_at=timestamp(challenge.expires_at))
    )


def user_message(user: User) -> pb.User:
    """Show a user."""
    return pb.User(
        user_id=format_id("usr", user.id),
        email=user.email,
        display_name=user.display_name,
        personal_org_id=format_id("org", user.personal_org_id),
        created_at=timestamp(user.created_at),
        email_verified=user.email_verified_at is not None,
        two_step_enabled=user.two_step_since is not None,
    )


def session_message(session: Session, *, is_current: bool) -> account_pb.SessionInfo:
    """Show a session to its user."""
    return account_pb.SessionInfo(
        session_id=format_id("ses", session.id),
        created_at=timestamp(session.created_at),
        last_used_at=timestamp(session.last_used_at),
        expires_at=timestamp(session.expires_at),
        user_agent=session.user_agent,
        network=session.network,
        is_current=is_current,
    )


def export_message(export: Export) -> account_pb.AccountExport:
    """Show what is kept about a user."""
    return account_pb.AccountExport(
        user=user_message(export.user),
        sessions=[session_message(one, is_current=False) for one in export.sessions],
        email_verified_at=_optional(export.user.email_verified_at),
        password_changed_at=_optional(export.password_changed_at),
        two_step_enabled_at=_optional(export.user.two_step_since),
        recovery_codes_left=export.recovery_codes_left,
        exported_at=timestamp(export.exported_at),
    )


def _optional(moment: datetime | None) -> Timestamp | None:
    return None if moment is None else timestamp(moment)
