"""A small company: its users sign up and run tools, and its ledger is the real one."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from reelmesh.business.tools.v1.tools_events_pb2 import RunFinished
from reelmesh.inference.jobs.v1.jobs_events_pb2 import JobFinished
from reelmesh.inference.jobs.v1.jobs_service_pb2 import Job, JobTimings
from reelmesh.platform.events.v1.events_events_pb2 import CollectedEvent, EventsCollected
from reelmesh.platform.identity.v1.identity_events_pb2 import UserDeleted, UserSignedUp

from meshkit.bus import EventBus
from meshkit.clock import Ambient, uuid7
from meshkit.config import Environment
from meshkit.ids import format_id
from meshkit.object_store import S3Settings
from meshkit.stubs import MeshChannel
from meshkit.testing.identity import TestIdentity
from platform_svc.credits.commands import CreditCommands
from platform_svc.credits.ledger import GrantKind, GrantRequest, HoldRequest
from platform_svc.etl import pipeline
from platform_svc.etl.committer import only_committer
from platform_svc.etl.config import LoaderSettings, MartSettings
from platform_svc.etl.lake.bronze import Bronze
from platform_svc.etl.lake.catalogue import Lake, opened
from platform_svc.etl.lake.silver import Silver
from platform_svc.etl.ledger import Ledger
from platform_svc.etl.records import Event
from platform_svc.etl.stream import EventStream

INHERITED = ("PATH", "PYTHONPATH")
PACKAGE = "reelmesh"
TOOL = "text-to-image"
NO_GRACE = timedelta(0)


@dataclass
class World:
    """What a test does with the company; `published` are the ids of all events."""

    database_url: str
    nats_url: str
    bus: EventBus
    s3: S3Settings
    identity: TestIdentity
    platform_address: str
    credits: CreditCommands
    folder: Path
    published: list[str] = field(default_factory=list)
    loader: LoaderSettings = field(init=False)

    def __post_init__(self) -> None:
        marts = MartSettings.from_environment(Environment({}))
        marts = replace(marts, grace=NO_GRACE)
        self.loader = LoaderSettings(self.database_url, self.nats_url, self.s3, 50, marts)

    async def publish(self, subject: str, message: Message, event_id: str = "") -> str:
        """Publish an event as a relay does."""
        chosen = event_id or str(uuid7())
        await self.bus.publish(
            f"{PACKAGE}.{subject}", message.SerializeToString(), event_id=uuid.UUID(chosen)
        )
        self.published.append(chosen)
        return chosen

    async def sign_up(self) -> tuple[str, uuid.UUID]:
        """Let somebody sign up; gives the user and their organization, which has credits."""
        user, org = format_id("usr", uuid7()), uuid7()
        signed_up = UserSignedUp(
            user_id=user, personal_org_id=format_id("org", org), display_name="Ada Secret"
        )
        await self.publish("platform.identity.user_signed_up", signed_up)
        key = f"sign-up:{org}"
        await self.credits.grant(GrantRequest(org, 1000, key, GrantKind.PROMOTION))
        return user, org

    async def open_tool(self, user: str, org: uuid.UUID) -> str:
        """Let a frontend tell that somebody opened a tool."""
        one = CollectedEvent(
            event_id=str(uuid7()),
            org_id=format_id("org", org),
            user_id=user,
            name="tool_opened",
            schema_version=1,
        )
        one.occurred_at.FromDatetime(self.now())
        one.properties.update({"tool": TOOL})
        batch = EventsCollected(events=[one])
        await self.publish("platform.events.events_collected", batch)
        self.published[-1] = one.event_id
        return one.event_id

    async def capture(self, org: uuid.UUID, amount_credits: int) -> str:
        """Charge for a run; gives its id."""
        run_id = format_id("run", uuid7())
        await self.credits.hold(HoldRequest(run_id, org, amount_credits, timedelta(hours=1)))
        await self.credits.capture(run_id, amount_credits)
        return run_id

    async def tell(self, user: str, org: uuid.UUID, run_id: str, amount_credits: int) -> None:
        """Publish that a run and its job are finished."""
        job = Job(
            job_id=format_id("job", uuid7()),
            tenant_id=format_id("org", org),
            idempotency_key=run_id,
            state="succeeded",
            region="us-east",
            timings=JobTimings(run_ms=3_600, upload_ms=400),
        )
        await self.publish("inference.jobs.job_finished", JobFinished(job=job))
        run = RunFinished(
            run_id=run_id,
            org_id=format_id("org", org),
            user_id=user,
            tool=TOOL,
            tool_version="1",
            state="succeeded" if amount_credits else "failed",
            credits_charged=amount_credits,
        )
        run.finished_at.FromDatetime(self.now())
        await self.publish("business.tools.run_finished", run)

    async def use_tool(self, user: str, org: uuid.UUID, amount_credits: int) -> str:
        """Let somebody run a tool."""
        run_id = await self.capture(org, amount_credits)
        await self.tell(user, org, run_id, amount_credits)
        return run_id

    async def delete(self, user: str, org: uuid.UUID) -> None:
        """Let somebody leave for good."""
        deleted = UserDeleted(user_id=user, personal_org_id=format_id("org", org))
        await self.publish("platform.identity.user_deleted", deleted)

    async def load(
        self, settings: LoaderSettings | None = None, *, known_lost: int = 0
    ) -> pipeline.Made:
        """Make one run in this process."""
        chosen = settings or self.loader
        async with AsyncExitStack() as stack:
            committer = await stack.enter_async_context(only_committer(chosen.database_url))
            lake = stack.enter_context(opened(chosen.database_url, chosen.s3))
            channel = await stack.enter_async_context(
                MeshChannel(self.platform_address, self.identity.service("platform"))
            )
            work = pipeline.Pipeline(
                chosen, EventStream(self.bus), lake, Ledger.over(channel), committer, Ambient()
            )
            return await pipeline.run(work, known_lost=known_lost)

    @contextmanager
    def lake(self) -> Iterator[Lake]:
        with opened(self.database_url, self.s3) as lake:
            yield lake

    def bronze_offsets(self) -> list[int]:
        with self.lake() as lake:
            bronze = Bronze.of(lake)
            return [event.offset for event in bronze.between(0, bronze.offset)]

    def silver(self) -> list[Event]:
        with self.lake() as lake:
            found = Silver.of(lake).table.scan().to_arrow().drop_columns(["day"])
        return [Event(**row) for row in found.sort_by("offset").to_pylist()]

    def environment(self, **changes: str) -> Mapping[str, str]:
        """Give what a loader in a process of its own gets."""
        for name, secret in (("access", self.s3.access_key), ("secret", self.s3.secret_key)):
            (self.folder / name).write_text(secret)
        keep = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {
            **keep,
            "REELMESH_DATABASE_URL": self.database_url,
            "REELMESH_NATS_URL": self.nats_url,
            "REELMESH_PLATFORM_ADDRESS": self.platform_address,
            "REELMESH_SERVICE_KEY_FILE": str(self.identity.service_key_file("platform")),
            "REELMESH_S3_ENDPOINT": self.s3.endpoint,
            "REELMESH_S3_BUCKET": self.s3.bucket,
            "REELMESH_S3_ACCESS_KEY_FILE": str(self.folder / "access"),
            "REELMESH_S3_SECRET_KEY_FILE": str(self.folder / "secret"),
            "REELMESH_ETL_GRACE_SECONDS": "0",
            **changes,
        }

    async def start_loader(self, *arguments: str, **changes: str) -> asyncio.subprocess.Process:
        """Start a run in a process of its own."""
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "platform_svc.etl", *arguments),
            env=self.environment(**changes),
            stderr=asyncio.subprocess.PIPE,
        )

    @staticmethod
    def now() -> datetime:
        return Ambient().now()


def rows_of(made: pipeline.Made, mart: str) -> list[dict[str, Any]]:
    return [dict(row) for row in made.rows[mart]]
