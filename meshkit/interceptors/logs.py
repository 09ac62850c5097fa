"""Writes one line per call: what was called, by whom, how it ended and how long it took."""

from __future__ import annotations

import asyncio
import logging

import grpc

from meshkit.context import Anonymous, Principal, ServicePrincipal, UserPrincipal
from meshkit.ids import format_id
from meshkit.interceptors.call import Proceed, ServedCall

logger = logging.getLogger("meshkit.calls")

# Codes that are somebody's bug or outage; the rest are answers.
FAILURES = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS})


class CallLogs:
    """Logs each call once, at its end; never its messages or tokens."""

    async def __call__(self, call: ServedCall, proceed: Proceed) -> None:
        """Log the call when it is over."""
        try:
            await proceed(call)
        except asyncio.CancelledError:
            call.code = grpc.StatusCode.CANCELLED
            raise
        finally:
            level = _level(call)
            if logger.isEnabledFor(level):
                logger.log(level, "call", extra=_fields(call))


def _level(call: ServedCall) -> int:
    if call.code in FAILURES:
        return logging.ERROR
    # Regions and services call all the time; their successes would drown the rest.
    if call.code is grpc.StatusCode.OK and isinstance(call.info.principal, ServicePrincipal):
        return logging.DEBUG
    return logging.INFO


def _fields(call: ServedCall) -> dict[str, str | float]:
    fields: dict[str, str | float] = {
        "method": call.info.method,
        "code": call.code.name,
        "duration_ms": round(call.elapsed_seconds() * 1000, 2),
        "caller": _caller(call.info.principal),
    }
    if call.reason:
        fields["reason"] = call.reason
    return fields


def _caller(principal: Principal) -> str:
    match principal:
        case UserPrincipal(user_id=user_id):
            return format_id("usr", user_id)
        case ServicePrincipal(service=service, name=name):
            return service if service == name else f"{service}:{name}"
        case Anonymous():
            return "anonymous"
