"""What a plan lets an organization run, and in which band."""

from __future__ import annotations

import uuid
from datetime import timedelta

import grpc
import pytest
from reelmesh.platform.billing.v1 import billing_service_pb2 as pb
from sqlalchemy import func, select

from business_svc.tools.catalog import load_catalog
from business_svc.tools.errors import NotInPlan, PlanLimitExceeded
from business_svc.tools.rights import PlanRights, Rights
from business_svc.tools.tables import IdempotencyKey, RunRow
from tests.platform_svc.refusals import refusal_of

from .harness import run_request

KEY = (("idempotency-key", "k1"),)
TOOL = load_catalog().find("text-to-image")
ORG = uuid.UUID(int=1)


def rights(*features: str, **limits: int) -> Rights:
    return Rights("free", 2, frozenset(features), limits)


@pytest.mark.parametrize("features", [{"tool:*"}, {"tool:text-to-image"}])
def test_what_the_plan_has_is_let_through(features) -> None:
    allowed = rights(*features, pictures_per_run=2, steps_per_picture=50)
    allowed.admit(TOOL, {"steps": 50}, count=2)


def test_what_the_plan_does_not_have_is_refused() -> None:
    with pytest.raises(NotInPlan) as refused:
        rights("tool:text-to-image-2", "tool:").admit(TOOL, {}, count=1)
    assert refused.value.metadata == {"plan": "free", "feature": "tool:text-to-image"}


@pytest.mark.parametrize(
    ("limit", "steps", "count"), [("pictures_per_run", 20, 3), ("steps_per_picture", 51, 1)]
)
def test_what_is_larger_than_the_plan_allows_is_refused(limit, steps, count) -> None:
    with pytest.raises(PlanLimitExceeded) as refused:
        rights("tool:*", pictures_per_run=2, steps_per_picture=50).admit(
            TOOL, {"steps": steps}, count=count
        )
    assert refused.value.metadata["limit"] == limit


async def test_a_run_is_served_in_the_band_of_its_plan(process, installation) -> None:
    installation.platform.plan = pb.Entitlements(plan="creator", band=1, features=["tool:*"])
    run = await process.stub.RunTool(run_request())
    [job] = installation.inference.servicer.calls["SubmitJob"]
    assert (run.band, job.band) == (1, 1)

    installation.platform.plan = pb.Entitlements(plan="free", band=2, features=["tool:*"])
    later = await process.stub.RunTool(run_request())
    jobs = installation.inference.servicer.calls["SubmitJob"]
    assert (later.band, [job.band for job in jobs]) == (2, [1, 2])


async def test_a_refused_run_leaves_nothing_and_may_be_made_after_an_upgrade(
    process, installation
) -> None:
    small = pb.Entitlements(plan="free", features=["tool:*"], limits={"steps_per_picture": 50})
    installation.platform.plan = small
    wish = run_request(inputs={"steps": 75})
    refusal = await refusal_of(process.stub.RunTool(wish, metadata=KEY))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "PLAN_LIMIT_EXCEEDED",
    )
    assert refusal.metadata["limit_max"] == "50"
    async with installation.database.sessions() as session:
        for table in (RunRow, IdempotencyKey):
            assert await session.scalar(select(func.count()).select_from(table)) == 0
    assert installation.platform.holds == {}

    installation.platform.plan = pb.Entitlements(plan="creator", features=["tool:*"])
    run = await process.stub.RunTool(wish, metadata=KEY)
    # After a downgrade the key still has its answer.
    installation.platform.plan = small
    assert (await process.stub.RunTool(wish, metadata=KEY)).run_id == run.run_id


async def test_rights_are_remembered_for_seconds(installation) -> None:
    now, calls = [100.0], installation.platform.billing.calls["GetEntitlements"]
    async with installation.others.channel("business") as channel:
        seconds = timedelta(seconds=3)
        asked = PlanRights.over(channel, seconds)
        asked = PlanRights(asked._stub, seconds, monotonic=lambda: now[0])
        assert (await asked.of(ORG)).plan == "open"
        installation.platform.plan = pb.Entitlements(plan="creator")
        now[0] += 2.9
        assert ((await asked.of(ORG)).plan, len(calls)) == ("open", 1)
        assert ((await asked.of(uuid.UUID(int=2))).plan, len(calls)) == ("creator", 2)
        now[0] += 0.2
        assert ((await asked.of(ORG)).plan, len(calls)) == ("creator", 3)
