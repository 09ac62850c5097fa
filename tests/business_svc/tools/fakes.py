"""Platform and inference as the tools service meets them: fakes that keep state and accounts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import grpc
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as jobs_pb
from reelmesh.platform.assets.v1 import assets_service_pb2 as assets_pb
from reelmesh.platform.billing.v1 import billing_service_pb2 as billing_pb
from reelmesh.platform.credits.v1 import credits_service_pb2 as credits_pb
from reelmesh.platform.organizations.v1 import members_service_pb2 as members_pb

from meshkit.clock import uuid7
from meshkit.ids import format_id
from meshkit.stubs import RemoteError
from meshkit.testing.fakes import FakeServicer

# Newer than anything that a test's clock shows.
LATER = datetime(2100, 1, 1, tzinfo=UTC)
MEMBER = members_pb.ResolveMembershipResponse(
    role="member", permissions=["runs.read", "runs.write"]
)
FINAL = {"succeeded", "failed", "canceled", "expired"}


def refusal(code: grpc.StatusCode, reason: str, **metadata: str) -> RemoteError:
    return RemoteError(code, reason, reason.lower(), metadata)


def missing(reason: str) -> RemoteError:
    return refusal(grpc.StatusCode.NOT_FOUND, reason)


def closed(reason: str) -> RemoteError:
    return refusal(grpc.StatusCode.FAILED_PRECONDITION, reason)


# Not UNAVAILABLE, which channels retry by themselves.
BUSY = refusal(grpc.StatusCode.ABORTED, "TRANSACTION_ABORTED")


def after(effect: Callable[[Any], Any]) -> Callable[[Any], RemoteError]:
    """Return an answer that is lost on the way after the effect has happened."""

    def answer(request: Any) -> RemoteError:
        effect(request)
        return BUSY

    return answer


class FakePlatform:
    """Members, credits and assets of any number of organizations; all users are members."""

    def __init__(self) -> None:
        self.members = FakeServicer("reelmesh.platform.organizations.v1.MembersService")
        self.credits = FakeServicer("reelmesh.platform.credits.v1.CreditsService")
        self.assets = FakeServicer("reelmesh.platform.assets.v1.AssetsService")
        self.billing = FakeServicer("reelmesh.platform.billing.v1.BillingService")
        self.plan = billing_pb.Entitlements(plan="open", features=["tool:*"])
        self.billing.always("GetEntitlements", lambda _: self.plan)
        self.available: dict[str, int] = defaultdict(lambda: 500)
        self.holds: dict[str, credits_pb.Hold] = {}
        self.entries: list[credits_pb.LedgerEntry] = []
        self.ready: dict[str, assets_pb.Asset] = {}
        self.members.always("ResolveMembership", MEMBER)
        self.credits.always("HoldCredits", self.hold)
        self.credits.always("CaptureHold", self.capture)
        self.credits.always("ReleaseHold", self.release)
        self.credits.always("ListLedger", self.ledger)
        self.assets.always("ResolveAsset", self.resolve)
        self.assets.always("ImportAsset", self.keep)
        self.assets.always("PresignDownloads", self.presign)

    def states(self) -> list[str]:
        return [hold.state for hold in self.holds.values()]

    def hold(self, request: credits_pb.HoldCreditsRequest) -> Any:
        if request.hold_id in self.holds:
            return self.holds[request.hold_id]
        available = self.available[request.org_id]
        if available < request.amount_credits:
            return refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                "INSUFFICIENT_CREDITS",
                available_credits=str(available),
            )
        self.available[request.org_id] -= request.amount_credits
        self.holds[request.hold_id] = credits_pb.Hold(
            hold_id=request.hold_id,
            org_id=request.org_id,
            amount_credits=request.amount_credits,
            state="pending",
        )
        return self.holds[request.hold_id]

    def capture(self, request: credits_pb.CaptureHoldRequest) -> Any:
        hold = self.holds.get(request.hold_id)
        if hold is None:
            return missing("HOLD_NOT_FOUND")
        if hold.state == "pending":
            hold.state = "captured"
            hold.captured_credits = request.amount_credits
            self.available[hold.org_id] += hold.amount_credits - request.amount_credits
            self.book(hold.hold_id, hold.captured_credits)
        same = (hold.state, hold.captured_credits) == ("captured", request.amount_credits)
        return hold if same else closed("HOLD_CLOSED")

    def book(self, reference: str, amount: int, *, at: datetime = LATER) -> None:
        entry = credits_pb.LedgerEntry(
            kind="capture", reference=reference, amount_credits=-amount, created_at=at
        )
        self.entries.insert(0, entry)

    def ledger(self, request: credits_pb.ListLedgerRequest) -> credits_pb.ListLedgerResponse:
        """Give one entry a page, so that every reader has to turn pages."""
        begin = int(request.page_token or 0)
        more = str(begin + 1) if begin + 1 < len(self.entries) else ""
        return credits_pb.ListLedgerResponse(
            entries=self.entries[begin : begin + 1], next_page_token=more
        )

    def release(self, request: credits_pb.ReleaseHoldRequest) -> Any:
        hold = self.holds.get(request.hold_id)
        if hold is None:
            return missing("HOLD_NOT_FOUND")
        if hold.state == "pending":
            hold.state = "released"
            self.available[hold.org_id] += hold.amount_credits
        return closed("HOLD_CLOSED") if hold.state == "captured" else hold

    def resolve(self, request: assets_pb.ResolveAssetRequest) -> Any:
        asset = self.ready.get(request.asset_id)
        if asset is None or asset.org_id != request.org_id:
            return missing("ASSET_NOT_FOUND")
        return assets_pb.ResolveAssetResponse(
            object_key=f"assets/{request.asset_id}", content_type=asset.content_type or "image/png"
        )

    def keep(self, request: assets_pb.ImportAssetRequest) -> Any:
        asset = assets_pb.Asset(
            asset_id=request.asset_id, org_id=request.org_id, run_id=request.run_id, state="ready"
        )
        return self.ready.setdefault(request.asset_id, asset)

    def presign(self, request: assets_pb.PresignDownloadsRequest) -> Any:
        return assets_pb.PresignDownloadsResponse(
            urls={name: f"http://store/{name}" for name in request.asset_ids if name in self.ready}
        )


class FakeInference:
    """Jobs that do what the test tells them to."""

    def __init__(self) -> None:
        self.servicer = FakeServicer("reelmesh.inference.jobs.v1.JobsService")
        self.jobs: dict[str, jobs_pb.Job] = {}
        self.watchers = 0
        self._changed = asyncio.Condition()
        self.servicer.always("SubmitJob", self.submit)
        self.servicer.always("GetJob", self.get)
        self.servicer.always("CancelJob", self.cancel)
        self.servicer.always("WatchJob", self.watch)

    def of(self, run_id: str) -> jobs_pb.Job:
        return next(job for job in self.jobs.values() if job.idempotency_key == run_id)

    def submit(self, request: jobs_pb.SubmitJobRequest) -> Any:
        for job in self.jobs.values():
            if job.idempotency_key == request.idempotency_key:
                return job
        job = jobs_pb.Job(
            job_id=format_id("job", uuid7()),
            tenant_id=request.tenant_id,
            idempotency_key=request.idempotency_key,
            state="queued",
        )
        self.jobs[job.job_id] = job
        return job

    def get(self, request: jobs_pb.GetJobRequest) -> Any:
        return self.jobs.get(request.job_id) or missing("JOB_NOT_FOUND")

    async def cancel(self, request: jobs_pb.CancelJobRequest) -> Any:
        job = self.jobs.get(request.job_id)
        if job is None:
            return missing("JOB_NOT_FOUND")
        if job.state == "queued":
            await self.move(job, state="canceled")
        elif job.state == "running":
            await self.move(job, cancel_requested=True)
        return job

    async def watch(self, request: jobs_pb.WatchJobRequest) -> AsyncIterator[jobs_pb.Job]:
        self.watchers += 1
        return self._changes(self.jobs[request.job_id])

    async def _changes(self, job: jobs_pb.Job) -> AsyncIterator[jobs_pb.Job]:
        seen = None
        try:
            while seen is None or seen.state not in FINAL:
                async with self._changed:
                    await self._changed.wait_for(lambda: job != seen)  # noqa: B023 - the newest
                    seen = jobs_pb.Job.FromString(job.SerializeToString())
                yield seen
        finally:
            self.watchers -= 1

    async def move(self, job: jobs_pb.Job, **fields: Any) -> jobs_pb.Job:
        async with self._changed:
            job.MergeFrom(jobs_pb.Job(**fields))
            self._changed.notify_all()
        return job

    async def start(self, run_id: str, *, step: int = 1, steps: int = 25) -> jobs_pb.Job:
        job = self.of(run_id)
        return await self.move(
            job, state="running", step=step, steps=steps, attempt=1, region="us-east"
        )

    async def finish(self, run_id: str, state: str = "succeeded", pictures: int = 1) -> jobs_pb.Job:
        job = self.of(run_id)
        made = pictures if state == "succeeded" else 0
        outputs = [
            jobs_pb.JobOutput(
                object_key=f"results/{job.job_id}/1/{index}.png",
                content_type="image/png",
                size_bytes=100,
                sha256="0" * 64,
                width=64,
                height=64,
                seed=7 + index,
            )
            for index in range(made)
        ]
        error = None
        if state in {"failed", "expired"}:
            error = jobs_pb.JobError(reason="ATTEMPTS_EXHAUSTED", message="five times")
        timings = jobs_pb.JobTimings(queue_ms=5, run_ms=900, upload_ms=20)
        return await self.move(job, state=state, outputs=outputs, error=error, timings=timings)
