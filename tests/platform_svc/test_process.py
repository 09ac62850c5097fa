"""`python -m platform_svc` for real: its services together, its start, its repairs, its end."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from reelmesh.platform.assets.v1 import assets_service_pb2 as assets_pb
from reelmesh.platform.assets.v1.assets_service_pb2_grpc import AssetsServiceStub
from reelmesh.platform.credits.v1 import credits_service_pb2 as credits_pb
from reelmesh.platform.credits.v1.credits_service_pb2_grpc import CreditsServiceStub
from reelmesh.platform.identity.v1 import identity_service_pb2 as identity_pb
from reelmesh.platform.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from reelmesh.platform.organizations.v1 import organizations_service_pb2 as organizations_pb
from reelmesh.platform.organizations.v1.organizations_service_pb2_grpc import (
    OrganizationsServiceStub,
)

from meshkit.testing.collector import collecting
from meshkit.testing.databases import Databases
from meshkit.testing.identity import TestIdentity
from meshkit.testing.processes import free_ports
from meshkit.testing.signals import eventually

FORM = identity_pb.SignUpRequest(
    email="ada@example.com", password="correct horse battery", display_name="Ada"
)
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
IDENTITY = "reelmesh.platform.identity.v1.IdentityService"
ORGANIZATIONS = "reelmesh.platform.organizations.v1.OrganizationsService"
INHERITED = ("PATH", "PYTHONPATH")
# Bounds for a machine that is busy with other things.
START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 60


@pytest.fixture
async def empty_url(databases: Databases) -> AsyncIterator[str]:
    async with databases.clone(await databases.template({})) as url:
        yield url


@pytest.fixture
def variables(empty_url, nats_url, s3_settings, identity: TestIdentity, tmp_path) -> dict[str, str]:
    (tmp_path / "access").write_text(s3_settings.access_key)
    (tmp_path / "secret").write_text(s3_settings.secret_key)
    (tmp_path / "identity_keys").write_text(base64.urlsafe_b64encode(bytes(32)).decode())
    (tmp_path / "webhook_keys").write_text(base64.urlsafe_b64encode(bytes(32)).decode())
    (tmp_path / "pepper").write_text("pepper " * 8)
    address = f"127.0.0.1:{free_ports(1)[0]}"
    return {
        "REELMESH_LISTEN": address,
        "REELMESH_PLATFORM_ADDRESS": address,
        "REELMESH_DATABASE_URL": empty_url,
        "REELMESH_NATS_URL": nats_url,
        "REELMESH_MIGRATE": "true",
        "REELMESH_JWT_PRIVATE_KEY_FILE": str(identity.private_key_file),
        "REELMESH_JWKS_FILE": str(identity.jwks_file),
        "REELMESH_SERVICE_JWKS_FILE": str(identity.service_jwks_file),
        "REELMESH_SERVICE_KEY_FILE": str(identity.service_key_file("platform")),
        "REELMESH_IDENTITY_KEYS_FILE": str(tmp_path / "identity_keys"),
        "REELMESH_WEBHOOK_KEYS_FILE": str(tmp_path / "webhook_keys"),
        "REELMESH_PEPPER_FILE": str(tmp_path / "pepper"),
        "REELMESH_MAIL_FOLDER": str(tmp_path / "mail"),
        "REELMESH_S3_ENDPOINT": s3_settings.endpoint,
        "REELMESH_S3_REGION": s3_settings.region,
        "REELMESH_S3_BUCKET": "platform-under-test",
        "REELMESH_S3_ACCESS_KEY_FILE": str(tmp_path / "access"),
        "REELMESH_S3_SECRET_KEY_FILE": str(tmp_path / "secret"),
    }


@asynccontextmanager
async def running(variables: dict[str, str], *arguments: str) -> AsyncIterator[grpc.aio.Channel]:
    process = await start(variables, *arguments)
    try:
        async with grpc.aio.insecure_channel(variables["REELMESH_LISTEN"]) as channel:
            await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), wait_for_ready=True, timeout=START_SECONDS_MAX
            )
            yield channel
        process.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(process.communicate(), STOP_SECONDS_MAX)
        assert process.returncode == 0, log.decode()
        lines = [json.loads(line) for line in log.decode().splitlines()]
        assert lines[-1]["message"] == "part stopped"
        assert "correct horse" not in log.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def start(variables: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "platform_svc", *arguments),
        env={name: os.environ[name] for name in INHERITED if name in os.environ} | variables,
        stderr=asyncio.subprocess.PIPE,
    )


async def has_balance(channel, org_id: str, metadata, credits_: int) -> bool:
    try:
        balance = await CreditsServiceStub(channel).GetBalance(
            credits_pb.GetBalanceRequest(org_id=org_id), metadata=metadata
        )
    except grpc.aio.AioRpcError as error:
        # Nobody is a member of an organization that is yet to be made.
        if error.code() is grpc.StatusCode.PERMISSION_DENIED:
            return False
        raise
    return (balance.available, balance.total) == (credits_, credits_)


@pytest.mark.slow
async def test_all_services_together_sign_a_user_up_and_serve_them(variables) -> None:
    async with running(variables) as channel:
        reply = await IdentityServiceStub(channel).SignUp(FORM)
        bearer = (("authorization", f"Bearer {reply.session.access_token}"),)
        org_id = reply.user.personal_org_id
        await eventually(lambda: has_balance(channel, org_id, bearer, 500), START_SECONDS_MAX)
        listed = await OrganizationsServiceStub(channel).ListOrganizations(
            organizations_pb.ListOrganizationsRequest(), metadata=bearer
        )
        assert [(org.org_id, org.name, org.role) for org in listed.orgs] == [
            (org_id, "Ada", "owner")
        ]
        owned = await AssetsServiceStub(channel).ListAssets(
            assets_pb.ListAssetsRequest(), metadata=bearer
        )
        assert not owned.assets


@pytest.mark.slow
async def test_a_call_is_one_trace_through_every_service_it_reaches(variables) -> None:
    caller = f"00-{TRACE_ID}-{'b7' * 8}-01"
    async with collecting() as collector:
        exported = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        async with running(variables | exported) as channel:
            reply = await IdentityServiceStub(channel).SignUp(
                FORM, metadata=(("traceparent", caller),)
            )
        spans = {one.name: one for one in collector.spans if one.trace_id.hex() == TRACE_ID}

    first = spans[f"{IDENTITY}/SignUp"]
    inner = spans[
        "reelmesh.platform.organizations.v1.OrganizationsService/EnsurePersonalOrganization"
    ]
    assert first.parent_span_id.hex() == "b7" * 8
    assert inner.parent_span_id == first.span_id
    assert reply.session.access_token not in str(collector.spans)
    assert FORM.email not in str(collector.spans)


@pytest.mark.slow
async def test_events_make_good_what_sign_up_could_not_do(variables) -> None:
    async with running(variables, "--services", "identity") as channel:
        # Organizations and credits are away.
        reply = await IdentityServiceStub(channel).SignUp(FORM, timeout=30)
    bearer = (("authorization", f"Bearer {reply.session.access_token}"),)
    org_id = reply.user.personal_org_id
    async with running(variables, "--services", "organizations,credits,identity") as channel:
        await eventually(lambda: has_balance(channel, org_id, bearer, 500), START_SECONDS_MAX)


async def test_every_problem_of_the_configuration_is_told_at_once(variables) -> None:
    del variables["REELMESH_JWT_PRIVATE_KEY_FILE"]
    variables |= {"REELMESH_SIGN_UP_CREDITS": "-1", "REELMESH_CREDITS_SWEEP_SECONDS": "soon"}
    process = await start(variables)
    _, log = await asyncio.wait_for(process.communicate(), START_SECONDS_MAX)
    assert process.returncode == 2
    for name in (
        "REELMESH_JWT_PRIVATE_KEY_FILE",
        "REELMESH_SIGN_UP_CREDITS",
        "REELMESH_CREDITS_SWEEP_SECONDS",
    ):
        assert name in log.decode()


async def test_an_unknown_service_is_refused(variables) -> None:
    process = await start(variables, "--services", "identity,guesses")
    _, log = await asyncio.wait_for(process.communicate(), START_SECONDS_MAX)
    assert process.returncode == 2
    assert "guesses" in log.decode()
