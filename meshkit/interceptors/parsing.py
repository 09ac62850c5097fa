"""Turns the bytes of a request into its message."""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.protobuf.message import DecodeError, Message

from meshkit.errors import MalformedRequest
from meshkit.interceptors.call import Proceed, ServedCall


class Parsing:
    """Parses requests only once the caller is known, so strangers cannot make it work."""

    async def __call__(self, call: ServedCall, proceed: Proceed) -> None:
        """Set the call's request or requests.

        Raises:
            MalformedRequest: the bytes are no message of the method's type.
        """
        if call.policy.streams_requests:
            call.requests = _parsed_stream(call)
        else:
            call.request = _parsed(call, call.raw)
        await proceed(call)


async def _parsed_stream(call: ServedCall) -> AsyncIterator[Message]:
    async for data in call.raw:
        yield _parsed(call, data)


def _parsed(call: ServedCall, data: bytes) -> Message:
    try:
        return call.parse(data)
    except DecodeError:
        raise MalformedRequest("the request is no message of this method") from None
