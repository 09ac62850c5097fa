"""Tells a server's health by whether what it cannot do without can be reached."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from meshkit.errors import Unavailable

PROBE_SECONDS: Final = 1.0
# A short absence, such as a restart, is for callers to retry and no reason to send them away.
FAILURES_MAX: Final = 3

logger = logging.getLogger(__name__)

Probe = Callable[[], Awaitable[None]]


class ServesOrNot(Protocol):
    """A server that can be told whether to say that it serves."""

    async def set_serving(self, *, serving: bool) -> None:
        """Say SERVING or NOT_SERVING."""


class Readiness:
    """Runs the probes for ever and tells a server whether it can serve.

    A probe raises `Unavailable` when what it looks for is away. The server is told after
    `FAILURES_MAX` rounds in a row with a failure, and again after the first good one.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        server: ServesOrNot,
        *,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        self._probes = probes
        self._server = server
        self._probe_seconds = probe_seconds

    async def run(self) -> None:
        """Probe until cancelled."""
        failures = 0
        while True:
            problem = await self._problem()
            if problem is None and failures >= FAILURES_MAX:
                logger.info("serving again")
                await self._server.set_serving(serving=True)
            failures = 0 if problem is None else failures + 1
            if failures == FAILURES_MAX:
                logger.warning("not serving", extra={"error": str(problem)})
                await self._server.set_serving(serving=False)
            await asyncio.sleep(self._probe_seconds)  # The pause is the point.

    async def _problem(self) -> Unavailable | None:
        for probe in self._probes:
            try:
                await probe()
            except Unavailable as error:
                return error
        return None
