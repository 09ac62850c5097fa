"""The live scheduler on a real queue: shares, residency and prices decide what is leased."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

from inference.connectors.protocol import Lease
from inference.testing import REGION, Bench, offer

OTHER = "eu-west"


async def ask(live: Bench, region: str = REGION, wait_seconds: float = 20) -> Sequence[Lease]:
    return await live.part.queue(region).lease(offer(region=region, wait_seconds=wait_seconds))


async def test_a_burst_of_one_tenant_does_not_hold_up_another(live: Bench) -> None:
    for n in range(12):
        await live.submit(f"burst {n}", tenant_id="org_1")
    others = {await live.submit(f"other {n}", tenant_id="org_2") for n in range(3)}
    served: list[uuid.UUID] = []
    while not others <= set(served):
        [lease] = await ask(live)
        served.append(lease.key.job_id)
    # In turn: no more of the burst than of the others, and one.
    assert len(served) <= 2 * len(others) + 1


async def test_a_job_goes_only_to_a_region_that_it_names(live: Bench) -> None:
    job_id = await live.submit("k", regions=(OTHER,))
    home = asyncio.create_task(ask(live, REGION, wait_seconds=0.5))
    assert await home == ()
    [lease] = await ask(live, OTHER)
    assert lease.key.job_id == job_id


async def test_a_job_keeps_its_regions_when_it_is_queued_again(live: Bench) -> None:
    await live.submit("k", regions=(OTHER,))
    [lease] = await ask(live, OTHER)
    await live.part.leases.hand_back([lease])
    assert await ask(live, REGION, wait_seconds=0.5) == ()
    [again] = await ask(live, OTHER)
    assert again.key.job_id == lease.key.job_id
