"""Decides which job goes to which region: a pure function from a snapshot to placements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from inference.scheduler.room import Room
from inference.scheduler.settings import SETTINGS, PolicySettings
from inference.scheduler.shares import Accounts
from inference.scheduler.snapshot import Placement, ReadyJob, Snapshot

MICROSECONDS: Final = 1_000_000


def decide(
    snapshot: Snapshot, now: datetime, settings: PolicySettings = SETTINGS
) -> list[Placement]:
    """Place as many jobs as there is room for.

    The lowest band goes first, and in it the tenant that has had least for its weight; another
    tenant may go before it while that spares loading a model and stays within a quantum. A share
    of the service is kept for the job that has been due longest, whatever its band and tenant, so
    nobody starves. Of the regions where a job may run, it goes to the one where it is predicted
    to start first, at a fair price. A job whose start deadline has passed is left to expire.

    Work conserving: room only shrinks, so a job that found none would find none later either.
    """
    turns = _Turns(snapshot, now, settings)
    placements = []
    while (turn := turns.following()) is not None:
        placements.append(turns.place(turn))
    return placements


@dataclass(frozen=True, slots=True)
class _Turn:
    job: ReadyJob
    why: str
    from_late_share: bool = False


class _Turns:
    """The state of one decision: what still waits, what is left, who has had what."""

    def __init__(self, snapshot: Snapshot, now: datetime, settings: PolicySettings) -> None:
        self._now = round(now.timestamp() * MICROSECONDS)
        self._settings = settings
        self._room = Room(snapshot, settings)
        self._accounts = Accounts(snapshot.shares, settings.catch_up_seconds, settings.late_share)
        self._lanes = _lanes(snapshot.ready, now)

    def following(self) -> _Turn | None:
        """Give whose turn it is, or None when nothing more can be placed."""
        heads = self._heads()
        if not heads:
            return None
        late = self._late(heads)
        if late is not None and self._accounts.owed_seconds >= late.cost_seconds:
            return _Turn(
                late, f"due {self._ago(late)} ago, by the share for late jobs", from_late_share=True
            )
        band = min(job.band for job in heads)
        inside = [job for job in heads if job.band == band]
        least = min(inside, key=self._rank)
        ahead = self._warm_ahead_of(least, inside)
        if ahead is not None:
            return _Turn(ahead, f"warm, ahead of {least.tenant_id} within the quantum")
        had = self._accounts.clock(band, least.tenant_id)
        return _Turn(least, f"least served of band {band} at {had:.1f} s")

    def place(self, turn: _Turn) -> Placement:
        """Place the job whose turn it is."""
        job, fit = turn.job, self._room.best(turn.job)
        heads = self._heads()
        rivals = {head.tenant_id for head in heads if head.band == job.band}
        late = self._late([head for head in heads if head is not job])
        self._lanes[job.band, job.tenant_id].remove(job)
        self._room.take(job, fit.demand)
        charge = self._accounts.charge(job, rivals, late, from_late_share=turn.from_late_share)
        closed = f"; closed: {', '.join(self._room.closed)}" if self._room.closed else ""
        return Placement(
            job_id=job.job_id,
            demand_id=fit.demand.demand_id,
            region=fit.demand.region,
            agent_id=fit.demand.agent_id,
            reason=f"{turn.why}; {fit}{closed}",
            charge=charge,
        )

    def _heads(self) -> list[ReadyJob]:
        """Give the first job of each lane that there is room for; the others never fit again."""
        heads = []
        for lane in self._lanes.values():
            while lane and not self._room.able(lane[0]):
                del lane[0]
            if lane:
                heads.append(lane[0])
        return heads

    def _late(self, heads: Sequence[ReadyJob]) -> ReadyJob | None:
        late = [job for job in heads if job.order <= self._now]
        return min(late, key=_order, default=None)

    def _warm_ahead_of(self, least: ReadyJob, inside: Sequence[ReadyJob]) -> ReadyJob | None:
        """Give the job that may go before the least served because its model is loaded."""
        margin = round(self._settings.load_seconds * MICROSECONDS)
        if self._room.is_warm_for(least) or least.order <= self._now + margin:
            return None
        limit = self._rank(least)[0] + self._settings.warm_quantum_seconds
        near = [
            job for job in inside if self._rank(job)[0] <= limit and self._room.is_warm_for(job)
        ]
        return min(near, key=self._rank, default=None)

    def _rank(self, job: ReadyJob) -> tuple[float, int, int]:
        return (self._accounts.clock(job.band, job.tenant_id), *_order(job))

    def _ago(self, job: ReadyJob) -> str:
        return f"{(self._now - job.order) / MICROSECONDS:.0f} s"


def _lanes(ready: Sequence[ReadyJob], now: datetime) -> dict[tuple[int, str], list[ReadyJob]]:
    """Give the jobs that may still start, by band and tenant, those due first at the front."""
    lanes: defaultdict[tuple[int, str], list[ReadyJob]] = defaultdict(list)
    for job in sorted(ready, key=_order):
        if job.start_deadline is None or job.start_deadline > now:
            lanes[job.band, job.tenant_id].append(job)
    return dict(lanes)


def _order(job: ReadyJob) -> tuple[int, int]:
    return (job.order, job.job_id.int)
