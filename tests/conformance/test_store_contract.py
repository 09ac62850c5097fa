"""The suite that any S3 store must pass: SeaweedFS does, and a store that is lax is found out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from deploy.cli import app
from deploy.store_contract.bench import Bench
from deploy.store_contract.running import CHECKS, PREFIX, Check, examine, examined, name_of
from meshkit.clock import uuid7
from meshkit.multipart import MultipartUploads
from meshkit.object_store import S3ObjectStore, S3Settings

# What moto takes although nobody signed it: the reason to test on a real store.
LAX = {
    "refuses another length",
    "refuses other bytes",
    "refuses another checksum",
    "refuses another type",
    "signs for one key and verb",
    "ends signatures",
    "refuses parts of another length",
    "aborts uploads",
}


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Settings]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield S3Settings(f"http://{host}:{port}", "us-east-1", "lax", "key", "secret")
    server.stop()


@pytest.fixture
def credentials(tmp_path: Path, s3_settings: S3Settings) -> list[str]:
    """The options of the command that name the run's store."""
    (tmp_path / "access").write_text(s3_settings.access_key)
    (tmp_path / "secret").write_text(s3_settings.secret_key)
    return [
        f"--endpoint={s3_settings.endpoint}",
        f"--bucket={s3_settings.bucket}",
        f"--access-key-file={tmp_path / 'access'}",
        f"--secret-key-file={tmp_path / 'secret'}",
    ]


@pytest.mark.parametrize("check", CHECKS, ids=name_of)
async def test_seaweedfs_does_what_is_asked(
    objects: S3ObjectStore, s3_settings: S3Settings, http: httpx.AsyncClient, check: Check
) -> None:
    bench = Bench(objects, s3_settings, http, f"{PREFIX}{uuid7().hex}/")
    finding = await examined(check, bench)
    assert finding.problem == ""
    assert finding.asked
    assert [info.key async for info in objects.list(bench.prefix)] == []
    assert [one async for one in MultipartUploads(objects).unfinished(bench.prefix)] == []


async def test_a_store_that_is_lax_is_found_out(moto: S3Settings) -> None:
    async with S3ObjectStore(moto) as store:
        await store.ensure_bucket()
    found = {finding.name async for finding in examine(moto) if not finding.holds}
    assert found == LAX


async def test_a_store_that_is_away_holds_nothing_of_it() -> None:
    away = S3Settings("http://127.0.0.1:1", "us-east-1", "b", "key", "secret")
    [finding] = [found async for found in examine(away, CHECKS[:1])]
    assert "cannot be reached" in finding.problem


def test_the_command_says_what_holds(credentials: list[str]) -> None:
    done = CliRunner().invoke(app, ["store", "check", *credentials, "--json"])
    assert done.exit_code == 0, done.output
    findings = json.loads(done.stdout)["findings"]
    assert [one["name"] for one in findings] == [name_of(check) for check in CHECKS]
    assert {one["holds"] for one in findings} == {True}


def test_the_command_fails_where_the_store_does(credentials: list[str]) -> None:
    secret = Path(credentials[-1].partition("=")[2])
    secret.write_text("another-secret")
    done = CliRunner().invoke(app, ["store", "check", *credentials])
    assert done.exit_code == 1
    assert "The store does not do" in done.stdout
    assert "another-secret" not in done.output
