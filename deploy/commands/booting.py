"""A platform for the time of a command: the one that is up already, or one of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.commands.terminal import progress, running_gateway
from deploy.local.layout import Layout
from deploy.local.live import display_for
from deploy.local.mesh import DEFAULT_REGION, LocalMesh
from deploy.local.status import is_locked


@asynccontextmanager
async def booted(layout: Layout) -> AsyncIterator[str]:
    """Give the gateway's URL; what was booted is stopped at the end, what was up stays up.

    Raises:
        LocalFailure: something cannot be started.
    """
    if is_locked(layout):
        progress.print("The platform is already up; it is used and left running.")
        yield running_gateway(layout)
        return
    display = display_for(progress)
    async with LocalMesh(layout, [DEFAULT_REGION], display) as mesh:
        with display:
            await mesh.start()
        try:
            yield mesh.status.gateway_url
        finally:
            progress.print("Stopping everything ...")
