"""The running platform as the journeys see it: by its commands, its REST API and its database."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import URL, make_url, text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from business_svc.social import invariants as social
from business_svc.tools import invariants as runs
from deploy.account import new_credentials
from deploy.client import ReelmeshClient
from deploy.local.layout import Layout
from deploy.local.status import is_locked
from inference.jobs import invariants as jobs
from meshkit.clock import utc_now
from meshkit.object_store import S3ObjectStore, S3Settings
from platform_svc.assets import invariants as assets
from platform_svc.billing import invariants as billing
from platform_svc.credits import invariants as credits_invariants
from tests.deploy.waiting import marked

REGIONS = ("us-east", "eu-west")
CONNECTOR = f"{REGIONS[1]}=nats"
COMMAND_SECONDS_MAX = 400
POLL_SECONDS = 0.05
SETTLED_WITHIN = timedelta(minutes=3)
REPLICA = "ray::ServeReplica"
# By sums, since SQL cannot read public ids: each organization was charged as often and as much
# as its succeeded runs say. The runs of others may be under way.
CAPTURE_WITHOUT_RUN = """
SELECT org_id::text FROM (
    SELECT t.org_id, count(*) AS captures, -sum(e.amount) AS credits
    FROM credits.ledger_tx t JOIN credits.ledger_entry e ON e.tx_id = t.id AND e.n = 1
    WHERE t.kind = 'capture' GROUP BY t.org_id) AS ledger
FULL JOIN (
    SELECT organization_id AS org_id, count(*) AS captures, sum(charged_credits) AS credits
    FROM tools.runs WHERE verdict = 'succeeded' AND phase = 'settled'
    GROUP BY organization_id) AS owned USING (org_id)
WHERE (ledger.captures, ledger.credits) IS DISTINCT FROM (owned.captures, owned.credits)
AND NOT EXISTS (
    SELECT 1 FROM tools.runs r WHERE r.organization_id = org_id AND r.phase <> 'settled')
"""


@dataclass(frozen=True)
class Mesh:
    """One platform in a data folder of its own, with the gateway on its own port."""

    data: Path
    port: int

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def layout(self) -> Layout:
        return Layout(self.data)

    def up(self) -> subprocess.CompletedProcess[str]:
        """Start the platform with two regions, one of which goes through a message broker."""
        regions = ("--regions", ",".join(REGIONS))
        return self.reelmesh("up", "--detach", *regions, check=False, REELMESH_CONNECTOR=CONNECTOR)

    def reelmesh(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command against this platform."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.cli", *arguments, "--data", str(self.data)],
            check=check,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            env={**os.environ, "REELMESH_PORT": str(self.port), **environment},
        )

    async def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command without holding up the loop."""
        return await asyncio.to_thread(self.reelmesh, *arguments)

    def status(self) -> dict[str, Any]:
        return json.loads(self.layout.state_file.read_text())

    def process(self, name: str) -> dict[str, Any]:
        return next(one for one in self.status()["processes"] if one["name"] == name)

    def assert_stopped(self) -> None:
        """Demand that nothing of this platform runs or waits in its folders for sockets."""
        status = json.loads(self.reelmesh("status", "--json", check=False).stdout)
        assert {one["state"] for one in status["processes"]} == {"stopped"}
        assert {one["state"] for one in status["regions"]} == {"stopped"}
        assert marked(self.layout) == []
        assert not is_locked(self.layout)
        assert not self.layout.runtime.exists()

    def replicas(self) -> list[psutil.Process]:
        """Give the region's replicas: workers of Ray that carry this platform's mark."""
        found = []
        for process in marked(self.layout):
            with suppress(psutil.Error):
                if " ".join(process.cmdline()).startswith(REPLICA):
                    found.append(process)
        return found

    async def all_ready(self, seconds: float = 180) -> None:
        await until(
            lambda: all(one["state"] == "ready" for one in self.status()["processes"]), seconds
        )

    @asynccontextmanager
    async def user(self, name: str = "journey") -> AsyncIterator[ReelmeshClient]:
        """Give a client that is signed in as a new user."""
        async with ReelmeshClient(self.gateway_url) as client:
            await client.sign_up(*new_credentials(name), name.title())
            yield client

    @asynccontextmanager
    async def users(self, count: int) -> AsyncIterator[Sequence[ReelmeshClient]]:
        """Give clients of as many new users."""
        clients = [ReelmeshClient(self.gateway_url) for _ in range(count)]
        try:
            await asyncio.gather(
                *(client.sign_up(*new_credentials("many"), "Many") for client in clients)
            )
            yield clients
        finally:
            await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients))

    def http(self, client: ReelmeshClient | None = None) -> httpx.AsyncClient:
        """Give a bare HTTP client, with the user's token if one is given."""
        headers = {}
        if client is not None and client.session is not None:
            headers["authorization"] = f"Bearer {client.session.access_token}"
        return httpx.AsyncClient(
            base_url=self.gateway_url, headers=headers, timeout=30, trust_env=False
        )

    async def offenders(self) -> dict[str, Any]:
        """Give the invariants of every service that do not hold, with what breaks them."""
        engine = create_async_engine(self._database_url(), poolclass=NullPool)
        sessions = async_sessionmaker(engine)
        try:
            async with sessions() as session:
                found: dict[str, Any] = {
                    **await credits_invariants.offenders(session, now=utc_now()),
                    **await billing.offenders(session, now=utc_now()),
                    **await jobs.offenders(session),
                    **await social.offenders(session, now=utc_now()),
                }
                live = await runs.offenders(session, now=utc_now(), settled_within=SETTLED_WITHIN)
                uncovered = (await session.scalars(text(CAPTURE_WITHOUT_RUN))).all()
            if live:
                found["runs"] = live
            if uncovered:
                found["captures without a succeeded run"] = list(uncovered)
            async with self.objects() as objects:
                missing = await assets.ready_without_object(sessions, objects)
            miscounted = await assets.miscounted(sessions)
            if miscounted:
                found["storage usage"] = miscounted
            return found | ({"ready assets without object": missing} if missing else {})
        finally:
            await engine.dispose()

    def objects(self) -> S3ObjectStore:
        secrets = self.layout.secrets
        keys = [(secrets / name).read_text() for name in ("s3_access_key", "s3_secret_key")]
        endpoint = self.status()["endpoints"]["s3"]
        return S3ObjectStore(S3Settings(endpoint, "us-east-1", "reelmesh", *keys))

    def _database_url(self) -> URL:
        password = (self.layout.secrets / "postgres_password").read_text()
        return make_url(self.status()["endpoints"]["postgres"]).set(password=password)


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return when the condition holds; fail if it does not within this time."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - other processes set no events here
            await asyncio.sleep(POLL_SECONDS)
