"""Envoy's external authorization: API keys become tokens before the edge verifies tokens."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import grpc
from envoy_ext_authz.v3 import external_auth_pb2 as pb
from envoy_ext_authz.v3 import external_auth_pb2_grpc as pb_grpc
from google.rpc import code_pb2

from platform_svc.access.exchange import KeyExchange
from platform_svc.access.key import PREFIX

Context = grpc.aio.ServicerContext[Any, Any]

BEARER = "bearer "
HEADER = "authorization"
DENIED = "the API key is unknown, revoked or expired"


class CheckServicer(pb_grpc.AuthorizationServicer):
    """Answers the edge's question for each request; what carries no key passes as it is."""

    def __init__(self, exchange: KeyExchange) -> None:
        self._exchange = exchange

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        """Trade the request's API key, if it has one."""
        credential = request.attributes.request.http.headers.get(HEADER, "")
        text = credential[len(BEARER) :].strip()
        if credential[: len(BEARER)].lower() != BEARER or not text.startswith(PREFIX):
            return pb.CheckResponse()
        token = await self._exchange.token_for(text)
        return _denied() if token is None else _passed(token)


def _passed(token: str) -> pb.CheckResponse:
    response = pb.CheckResponse()
    response.ok_response.headers.add(
        header=pb.HeaderValue(key=HEADER, value=f"Bearer {token}"),
        append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    return response


def _denied() -> pb.CheckResponse:
    response = pb.CheckResponse()
    response.status.code = code_pb2.UNAUTHENTICATED
    # The edge gives a REST caller the usual shape of errors; a gRPC caller gets this text.
    response.denied_response.status.code = HTTPStatus.UNAUTHORIZED
    response.denied_response.body = DENIED
    return response
