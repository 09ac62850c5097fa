"""Sees to it that every call ends: at the caller's deadline, or at a default one."""

from __future__ import annotations

import asyncio
import time

from meshkit.errors import DeadlineExceeded
from meshkit.interceptors.call import Proceed, ServedCall

UNARY_SECONDS = 30.0
STREAM_SECONDS = 3600.0
# The answer must leave before gRPC itself drops the call at the same moment.
SPARE_SECONDS_MAX = 0.05
SPARE_SHARE = 0.1


class Deadlines:
    """Bounds each call; both defaults, in seconds, are for callers that set none."""

    def __init__(
        self, *, unary_seconds: float = UNARY_SECONDS, stream_seconds: float = STREAM_SECONDS
    ) -> None:
        self._unary_seconds = unary_seconds
        self._stream_seconds = stream_seconds

    async def __call__(self, call: ServedCall, proceed: Proceed) -> None:
        """Run the rest within the time that is left.

        Raises:
            DeadlineExceeded: the time is over.
        """
        seconds = call.context.time_remaining()
        if seconds is None:
            streams = call.policy.streams_requests or call.policy.streams_responses
            seconds = self._stream_seconds if streams else self._unary_seconds
        seconds -= min(SPARE_SECONDS_MAX, seconds * SPARE_SHARE)
        call.info.deadline = time.monotonic() + seconds
        timeout = asyncio.timeout(seconds)
        try:
            async with timeout:
                await proceed(call)
        except TimeoutError:
            if not timeout.expired():
                raise
            raise DeadlineExceeded("the call took too long") from None
