"""Opens the queue connector that a region has chosen: gRPC, or a message broker."""

from __future__ import annotations

from contextlib import AsyncExitStack

from inference.connectors.brokers.opening import open_broker
from inference.connectors.client import LeaseClient
from inference.connectors.queue_channel import QueueChannel
from inference.connectors.queue_client import QueueLeaseClient
from inference.regions.settings import ReplicaSettings
from meshkit.stubs import UNARY_TIMEOUT_SECONDS, MeshChannel
from meshkit.tokens import ServiceIdentity


async def open_connector(
    stack: AsyncExitStack,
    settings: ReplicaSettings,
    *,
    timeout_seconds: float = UNARY_TIMEOUT_SECONDS,
) -> LeaseClient:
    """Give the region's side of its connector, which is closed with the stack.

    Neither waits for the other side: calls fail as `SchedulerAway` while it is not there.
    """
    identity = ServiceIdentity(f"region:{settings.region}", settings.service_key_file)
    if settings.broker_url is None:
        return LeaseClient(
            await stack.enter_async_context(
                MeshChannel(settings.scheduler_address, identity, timeout_seconds=timeout_seconds)
            )
        )
    broker = await stack.enter_async_context(open_broker(settings.broker_url))
    channel = QueueChannel(broker, identity, timeout_seconds=timeout_seconds)
    return QueueLeaseClient(await stack.enter_async_context(channel))
