"""The five verbs straight on the jobs tables: what every connector carries to in the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from inference.connectors.protocol import (
    Beat,
    Completion,
    Failure,
    Lease,
    Offer,
    Submission,
    Verdict,
)
from inference.jobs.commands import JobCommands
from inference.jobs.leasing import LeaseCommands

# The scheduler's side of a lease, given by the wiring: jobs and scheduler do not know each other.
TakeOffer = Callable[[Offer], Coroutine[Any, Any, Sequence[Lease]]]


@dataclass(frozen=True, slots=True)
class RegionQueue:
    """A queue connector for one region, without a wire."""

    region: str
    commands: JobCommands
    leases: LeaseCommands
    take_offer: TakeOffer

    async def enqueue(self, submission: Submission) -> uuid.UUID:
        """Queue a job once per tenant and key."""
        return (await self.commands.submit(submission)).id

    async def lease(self, offer: Offer) -> Sequence[Lease]:
        """Wait up to the offer's time for work."""
        assert offer.region == self.region
        return await self.take_offer(offer)

    async def extend(self, beats: Sequence[Beat]) -> Verdict:
        """Keep leases alive and take in progress."""
        return await self.leases.extend(self.region, beats)

    async def complete(self, completion: Completion) -> None:
        """Publish a job's outputs."""
        await self.leases.complete(self.region, completion)

    async def fail(self, failure: Failure) -> None:
        """Give a lease up."""
        await self.leases.fail(self.region, failure)
