"""Weighted fair shares by virtual time: who has had how much, and what a placement adds.

A tenant's clock in a band grows by the cost of each of its jobs divided by its weight, and the
tenant with the least is served next. The band's floor is the least clock of those who waited when
one of them was served, and only rises. A tenant that was idle joins at most `catch_up_seconds`
below the floor, so idleness saves up no more than that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from inference.scheduler.snapshot import Charge, ReadyJob, Shares

# A weight so small that its tenant's clock leaves what numbers can tell apart would end fairness.
WEIGHT_MIN: Final = 0.001


class Accounts:
    """The shares as they change while placements are made; the snapshot's own stay as they are."""

    def __init__(self, shares: Shares, catch_up_seconds: float, late_share: float) -> None:
        self._clocks = dict(shares.clocks)
        self._floors = dict(shares.floors)
        self._catch_up_seconds = catch_up_seconds
        self._late_share = late_share
        self.owed_seconds = shares.owed_seconds

    def clock(self, band: int, tenant_id: str) -> float:
        """Give how much the tenant counts as having had."""
        least = self._floors.get(band, 0.0) - self._catch_up_seconds
        return max(self._clocks.get((band, tenant_id), 0.0), least)

    def charge(
        self,
        job: ReadyJob,
        rivals: Collection[str],
        late: ReadyJob | None,
        *,
        from_late_share: bool,
    ) -> Charge:
        """Book a placement.

        `rivals` are the tenants that waited in the job's band, its own among them; `late` is the
        job that has been due longest and still waits.
        """
        least = min(self.clock(job.band, tenant_id) for tenant_id in rivals)
        floor = max(self._floors.get(job.band, 0.0), least)
        had = job.cost_seconds / max(job.weight, WEIGHT_MIN)
        finish = self.clock(job.band, job.tenant_id) + had
        self._clocks[job.band, job.tenant_id] = finish
        self._floors[job.band] = floor
        if from_late_share:
            self.owed_seconds = max(self.owed_seconds - job.cost_seconds, 0.0)
        elif late is not None:
            saved = self.owed_seconds + self._late_share * job.cost_seconds
            # No more than the next late job needs: the share is no reserve for later ones.
            self.owed_seconds = min(saved, late.cost_seconds)
        return Charge(job.band, job.tenant_id, finish, floor, self.owed_seconds)


def after(shares: Shares, charges: Sequence[Charge]) -> Shares:
    """Give the shares after these placements, as the backlog would store them."""
    clocks, floors = dict(shares.clocks), dict(shares.floors)
    for charge in charges:
        clocks[charge.band, charge.tenant_id] = charge.clock
        floors[charge.band] = charge.floor
    owed = charges[-1].owed_seconds_after if charges else shares.owed_seconds
    return Shares(clocks, floors, owed)
