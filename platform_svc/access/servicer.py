"""gRPC surface of access: messages to values, one use case, values to messages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
from reelmesh.platform.access.v1 import access_service_pb2 as pb
from reelmesh.platform.access.v1 import access_service_pb2_grpc as pb_grpc

from meshkit.context import current, current_user
from meshkit.idempotency import Call
from meshkit.ids import format_id, parse_id
from meshkit.timestamps import timestamp
from platform_svc.access.commands import AccessCommands
from platform_svc.access.key import GOOD_FOR_DAYS, ApiKey, Wanted
from platform_svc.access.queries import AccessQueries

Context = grpc.aio.ServicerContext[Any, Any]


class AccessServicer(pb_grpc.AccessServiceServicer):
    """Serves AccessService; holds no state but its collaborators."""

    def __init__(self, commands: AccessCommands, queries: AccessQueries) -> None:
        self._commands = commands
        self._queries = queries

    async def CreateApiKey(
        self, request: pb.CreateApiKeyRequest, context: Context
    ) -> pb.CreateApiKeyResponse:
        """Make a key and show its text, this once."""
        user = current_user()
        call = Call(
            str(user.user_id),
            "CreateApiKey",
            current().idempotency_key,
            request,
            pb.CreateApiKeyResponse,
        )
        wanted = Wanted(
            org_id=parse_id("org", request.org_id, field="org_id"),
            name=request.name,
            scopes=tuple(sorted(request.scopes)),
            good_for=timedelta(days=request.expires_in_days or GOOD_FOR_DAYS),
        )
        remembered = await self._commands.create(wanted, user, call, _remembered)
        text = self._commands.text_of(remembered.key, remembered.api_key.prefix)
        return pb.CreateApiKeyResponse(api_key=remembered.api_key, key=text)

    async def ListApiKeys(
        self, request: pb.ListApiKeysRequest, context: Context
    ) -> pb.ListApiKeysResponse:
        """Give one page of keys."""
        keys, token = await self._queries.page(
            parse_id("org", request.org_id, field="org_id"),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListApiKeysResponse(
            api_keys=[_key_message(key) for key in keys], next_page_token=token
        )

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Context) -> pb.ApiKey:
        """End a key."""
        key = await self._commands.revoke(
            parse_id("org", request.org_id, field="org_id"),
            parse_id("key", request.key_id, field="key_id"),
            current_user(),
        )
        return _key_message(key)


def _remembered(key: ApiKey, seed: str) -> pb.CreateApiKeyResponse:
    return pb.CreateApiKeyResponse(api_key=_key_message(key), key=seed)


def _key_message(key: ApiKey) -> pb.ApiKey:
    return pb.ApiKey(
        key_id=format_id("key", key.id),
        name=key.name,
        prefix=key.prefix,
        scopes=key.scopes,
        created_by=format_id("usr", key.created_by),
        created_at=timestamp(key.created_at),
        expires_at=timestamp(key.expires_at),
        last_used_at=timestamp(key.last_used_at),
        revoked_at=timestamp(key.revoked_at),
    )
