"""Laws that hold over many decisions: fair shares, no starvation, no hoarding."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from inference.scheduler.settings import SETTINGS
from inference.scheduler.snapshot import Shares
from tests.inference.scheduler.factories import FAR, NOW, Server, demand, job, numbered, order

costs = st.floats(0.5, 30)
weights = st.sampled_from([0.5, 1.0, 2.0, 5.0])
MARGIN = 1e-6


def backlog(tenant: str, weight: float, sizes: list[float], **changes: object) -> list:
    return [job(0, tenant_id=tenant, weight=weight, cost_seconds=size, **changes) for size in sizes]


def largest(sizes: list[float], weight: float) -> float:
    return max(sizes) / weight


@settings(max_examples=30, deadline=None)
@given(
    st.lists(costs, min_size=25, max_size=25),
    st.lists(costs, min_size=25, max_size=25),
    weights,
    weights,
    st.integers(0, 2),
)
def test_service_of_waiting_tenants_differs_by_a_job_each_at_most(
    ones: list[float], others: list[float], weight: float, other_weight: float, band: int
) -> None:
    """The bound of start-time fair queueing: one largest job of each."""
    jobs = backlog("a", weight, ones, band=band) + backlog("b", other_weight, others, band=band)
    server = Server(numbered(jobs))
    bound = largest(ones, weight) + largest(others, other_weight) + MARGIN
    while {one.tenant_id for one in server.jobs} == {"a", "b"}:
        server.step()
        assert abs(server.service("a") - server.service("b")) <= bound


@settings(max_examples=20, deadline=None)
@given(st.lists(costs, min_size=40, max_size=40), st.lists(costs, min_size=40, max_size=40))
def test_a_loaded_model_wins_at_most_its_quantum(ones: list[float], others: list[float]) -> None:
    jobs = backlog("cold", 1.0, ones, model="film") + backlog("warm", 1.0, others)
    offer = demand(models={"shapes", "film"}, warm_models={"shapes"})
    server = Server(numbered(jobs), demand=offer)
    bound = SETTINGS.warm_quantum_seconds + max(ones) + max(others) + MARGIN
    while {one.tenant_id for one in server.jobs} == {"cold", "warm"}:
        server.step()
        assert abs(server.service("cold") - server.service("warm")) <= bound


def test_a_loaded_model_goes_ahead_within_the_quantum() -> None:
    offer = demand(models={"shapes", "film"}, warm_models={"shapes"})
    server = Server(
        [job(1, tenant_id="cold", model="film"), job(2, tenant_id="warm")], demand=offer
    )
    placement = server.step()
    assert placement is not None
    assert placement.job_id.int == 2
    assert "ahead of cold" in placement.reason


def test_a_job_that_is_nearly_due_is_not_passed_by_a_loaded_model() -> None:
    offer = demand(models={"shapes", "film"}, warm_models={"shapes"})
    pressed = job(1, tenant_id="cold", model="film", order=order(NOW + timedelta(seconds=5)))
    server = Server([pressed, job(2, tenant_id="warm")], demand=offer)
    server.step()
    assert server.served == [pressed]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(0.5, 8), min_size=1, max_size=3),
    st.lists(st.floats(2, 30), min_size=1, max_size=5),
    st.sampled_from(["another band", "newcomers"]),
)
def test_a_late_job_starts_within_the_stated_service_of_others(
    late_costs: list[float], flood_costs: list[float], kind: str
) -> None:
    """Whatever comes: at most its cost over the share, for it and each one due before it."""
    late = [
        job(
            n,
            tenant_id="late",
            band=2 if kind == "another band" else 0,
            cost_seconds=cost,
            order=order(NOW) - 100 + n,
        )
        for n, cost in enumerate(late_costs, start=1)
    ]
    shares = Shares(clocks={(0, "late"): 1e9, (2, "late"): 1e9}, floors={0: 0.0, 2: 1e9})
    server = Server(list(late), shares=shares)
    number = 100
    given_to_others = 0.0
    while late[-1] in server.jobs:
        assert number < 2_000
        # An endless flood of tenants that have had nothing yet.
        number += 1
        size = flood_costs[number % len(flood_costs)]
        server.jobs.append(job(number, tenant_id=f"n{number}", band=0, cost_seconds=size))
        server.step()
        if server.served[-1] not in late:
            given_to_others += size
    due_first = sum(late_costs)
    overshoot = len(late_costs) * max(flood_costs)
    assert given_to_others <= due_first / SETTINGS.late_share + overshoot + MARGIN


def test_the_share_for_late_jobs_is_not_saved_up_for_later_ones() -> None:
    flood = [job(n, band=0, tenant_id="x", cost_seconds=10) for n in range(1, 200)]
    server = Server([*flood, job(900, band=2, cost_seconds=1, order=order(NOW) - 1)])
    server.until(lambda served: any(one.band == 2 for one in served))
    assert server.shares.owed_seconds == 0
    for _ in range(20):
        server.step()
    assert server.shares.owed_seconds == 0


def test_an_idle_tenant_saves_up_no_more_than_the_catch_up() -> None:
    busy = [job(n, tenant_id="busy", cost_seconds=2) for n in range(1, 400)]
    server = Server(busy)
    for _ in range(200):
        server.step()
    back = [job(1000 + n, tenant_id="idle", cost_seconds=2) for n in range(100)]
    server.jobs += back
    before = len(server.served)
    server.until(lambda served: any(one.tenant_id == "busy" for one in served[before:]))
    ahead = sum(one.cost_seconds for one in server.served[before:] if one.tenant_id == "idle")
    assert 0 < ahead <= SETTINGS.catch_up_seconds + 2 * 2


def test_one_tenants_burst_does_not_delay_the_others() -> None:
    burst = [job(n, tenant_id="burst", order=FAR) for n in range(1, 61)]
    others = [job(100 + n, tenant_id=f"t{n}", order=FAR + 1) for n in range(5)]
    server = Server(burst + others)
    server.until(lambda served: all(one in served for one in others))
    assert len(server.served) <= 2 * len(others) + 1


def test_a_lower_band_waits_while_it_is_not_late() -> None:
    jobs = [job(n, band=0) for n in range(1, 20)] + [job(50, band=2, tenant_id="b")]
    server = Server(jobs)
    server.until(lambda served: any(one.band == 2 for one in served))
    assert len(server.served) == 20
