"""A deterministic discrete-event simulation of the queue and the fleet around a policy."""

from __future__ import annotations

import bisect
import enum
import heapq
import itertools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from inference.scheduler.settings import due_after
from inference.scheduler.shares import after
from inference.scheduler.snapshot import Placement, ReadyJob, RegionDemand, Shares, Snapshot
from inference.simulation.contenders import Contender
from inference.simulation.fleet import LOAD_SECONDS, Device, FleetPlan
from inference.simulation.workload import Request

EPOCH: Final = datetime(2030, 1, 1, tzinfo=UTC)
# As the live queue shows them: the first jobs of each lane.
EACH_SHOWN: Final = 4

Lane = tuple[str, int, str, frozenset[str]]


class Happening(enum.IntEnum):
    """What happens at a moment, in the order in which it is dealt with."""

    FINISH = 0
    CHANGE = 1
    ARRIVE = 2
    EXPIRE = 3


@dataclass(frozen=True, slots=True)
class Ended:
    """How one request ended; `started_at` is None if its deadline passed before it could start."""

    request: Request
    started_at: float | None
    finished_at: float
    region: str
    attempts: int


@dataclass(slots=True)
class Outcome:
    """What a simulation gives; times in seconds of devices."""

    ended: list[Ended] = field(default_factory=list)
    run_seconds: float = 0.0
    load_seconds: float = 0.0
    lost_seconds: float = 0.0
    swaps: int = 0
    cost: float = 0.0
    present_seconds: float = 0.0
    backlog: list[tuple[float, int]] = field(default_factory=list)


class Simulation:
    """One run of a workload on a fleet under a policy."""

    def __init__(self, requests: Sequence[Request], plan: FleetPlan, contender: Contender) -> None:
        self._contender = contender
        self._devices = plan.devices()
        self._offers: dict[int, Device] = {}
        self._offer_ids = itertools.count(1)
        self._models = frozenset(request.model for request in requests)
        self._lanes: dict[Lane, list[tuple[int, int]]] = {}
        self._jobs: dict[int, tuple[Request, ReadyJob]] = {}
        self._attempts = [0] * len(requests)
        self._shares = Shares()
        self._events: list[tuple[float, int, int, int, Any]] = []
        self._sequence = itertools.count()
        self._moved_at = 0.0
        self.outcome = Outcome()
        for request in requests:
            self._at(request.at, Happening.ARRIVE, request)
        for change in plan.changes:
            self._at(change.at, Happening.CHANGE, change)

    def run(self) -> Outcome:
        """Simulate until every request has ended."""
        for device in self._devices:
            self._offer(device)
        total = len(self._attempts)
        while len(self.outcome.ended) < total:
            now = self._events[0][0]
            self._pass_time(now)
            while self._events and self._events[0][0] == now:
                _, kind, _, _, what = heapq.heappop(self._events)
                self._happen(Happening(kind), now, what)
            self._place(now)
            self.outcome.backlog.append((now, len(self._jobs)))
        return self.outcome

    def _at(self, moment: float, kind: Happening, what: Any, order: int = 0) -> None:
        heapq.heappush(self._events, (moment, int(kind), order, next(self._sequence), what))

    def _pass_time(self, now: float) -> None:
        present = sum(device.is_present for device in self._devices)
        self.outcome.present_seconds += present * (now - self._moved_at)
        self._moved_at = now

    def _happen(self, kind: Happening, now: float, what: Any) -> None:
        match kind:
            case Happening.ARRIVE:
                self._queue(what)
                if what.deadline is not None:
                    self._at(what.deadline, Happening.EXPIRE, what)
            case Happening.EXPIRE:
                # A job that was broken off after its start has met its deadline.
                if what.number in self._jobs and not self._attempts[what.number]:
                    self._unqueue(what.number)
                    self.outcome.ended.append(Ended(what, None, now, "", 0))
            case Happening.FINISH:
                device, turn = what
                if device.turn == turn and device.job is not None:
                    self._finish(device, now)
            case Happening.CHANGE:
                self._change(self._devices[what.device], now, is_present=what.is_present)

    def _queue(self, request: Request) -> None:
        due = request.at + due_after(request.band).total_seconds()
        started = self._attempts[request.number] > 0
        deadline = None if started else request.deadline
        order = min(due, request.deadline if request.deadline is not None else due)
        job = ReadyJob(
            job_id=uuid.UUID(int=request.number),
            model=request.model,
            tenant_id=request.tenant_id,
            band=request.band,
            order=round((EPOCH + timedelta(seconds=order)).timestamp() * 1_000_000),
            start_deadline=None if deadline is None else EPOCH + timedelta(seconds=deadline),
            weight=request.weight,
            cost_seconds=request.cost_seconds,
            regions=request.regions,
        )
        self._jobs[request.number] = (request, job)
        bisect.insort(self._lanes.setdefault(_lane(job), []), (job.order, request.number))

    def _unqueue(self, number: int) -> Request:
        request, job = self._jobs.pop(number)
        lane = self._lanes[_lane(job)]
        lane.remove((job.order, number))
        if not lane:
            del self._lanes[_lane(job)]
        return request

    def _shown(self) -> Iterator[ReadyJob]:
        for lane in self._lanes.values():
            for _, number in lane[:EACH_SHOWN]:
                yield self._jobs[number][1]

    def _place(self, now: float) -> None:
        while self._jobs and self._offers:
            demands = tuple(self._demand(offer, one) for offer, one in self._offers.items())
            snapshot = Snapshot(tuple(self._shown()), demands, shares=self._shares)
            placements = self._contender(snapshot, EPOCH + timedelta(seconds=now))
            if not placements:
                return
            self._shares = after(self._shares, [one.charge for one in placements])
            for placement in placements:
                self._start(placement, now)

    def _demand(self, offer: int, device: Device) -> RegionDemand:
        return RegionDemand(
            demand_id=offer,
            region=device.region,
            agent_id=str(device.number),
            capacity=1,
            models=self._models,
            warm_models=frozenset(device.resident),
            price=device.price,
        )

    def _start(self, placement: Placement, now: float) -> None:
        device = self._offers.pop(placement.demand_id)
        request = self._unqueue(placement.job_id.int)
        assert not request.regions or device.region in request.regions
        self._attempts[request.number] += 1
        loading = LOAD_SECONDS if device.load(request.model) else 0.0
        self.outcome.swaps += bool(loading)
        device.job, device.job_began_at = request, now
        self._at(
            now + loading + request.run_seconds,
            Happening.FINISH,
            (device, device.turn),
            device.number,
        )

    def _finish(self, device: Device, now: float) -> None:
        request = device.job
        assert request is not None
        spent = now - device.job_began_at
        self.outcome.run_seconds += request.run_seconds
        self.outcome.load_seconds += spent - request.run_seconds
        self.outcome.cost += spent * device.price
        attempts = self._attempts[request.number]
        self.outcome.ended.append(Ended(request, device.job_began_at, now, device.region, attempts))
        device.job = None
        device.turn += 1
        self._offer(device)

    def _change(self, device: Device, now: float, *, is_present: bool) -> None:
        device.is_present = is_present
        if is_present:
            self._offer(device)
            return
        device.turn += 1
        device.resident.clear()
        self._offers = {k: one for k, one in self._offers.items() if one is not device}
        if device.job is not None:
            spent = now - device.job_began_at
            self.outcome.lost_seconds += spent
            self.outcome.cost += spent * device.price
            request, device.job = device.job, None
            self._queue(request)

    def _offer(self, device: Device) -> None:
        if device.is_free:
            self._offers[next(self._offer_ids)] = device


def _lane(job: ReadyJob) -> Lane:
    return (job.model, job.band, job.tenant_id, job.regions)
