"""The consumer side of the connector through a message broker."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from reelmesh.inference.regions.v1 import lease_service_pb2 as lease_pb
from reelmesh.inference.regions.v1 import queued_call_pb2 as pb

from inference.connectors import messages
from inference.connectors.client import LeaseClient, SchedulerAway
from inference.connectors.errors import LeaseLost
from inference.connectors.protocol import Failure, Fault, Lease, Offer
from inference.connectors.queue_channel import QueueChannel
from inference.connectors.queued_calls import LEASE_METHOD
from meshkit.stubs import RemoteError

logger = logging.getLogger(__name__)

# A broker does not tell the scheduler that a caller has died, as a connection would: an offer
# that stays parked longer could be granted work that nobody fetches.
WAIT_SECONDS_MAX: Final = 5.0
# Replies must fit into one message of any broker, and a lease may be a quarter of a megabyte.
CAPACITY_MAX: Final = 2


class QueueLeaseClient(LeaseClient):
    """Works with leases over a broker and gives back those that came too late."""

    def __init__(self, channel: QueueChannel) -> None:
        super().__init__(channel)
        channel.on_late = self._give_back

    async def lease(self, offer: Offer) -> Sequence[Lease]:
        """Wait for work as `LeaseClient` does, for shorter times and fewer leases at once."""
        return await super().lease(
            replace(
                offer,
                wait_seconds=min(offer.wait_seconds, WAIT_SECONDS_MAX),
                capacity=min(offer.capacity, CAPACITY_MAX),
            )
        )

    async def _give_back(self, reply: pb.QueuedReply) -> None:
        """Give leases back whose caller had given up, so that they need not expire."""
        if reply.method != LEASE_METHOD or reply.code != 0:
            return
        granted = lease_pb.LeaseJobsResponse.FromString(reply.response)
        for lease in map(messages.lease_of, granted.leases):
            logger.info("giving a late lease back", extra={"job": lease.key.job_id})
            try:
                await self.fail(Failure(lease.key, Fault.HANDED_BACK, "CAME_TOO_LATE"))
            except (LeaseLost, SchedulerAway, RemoteError) as error:
                # It expires by itself, if it has not done so already.
                logger.info("a late lease stays", extra={"why": str(error)})
