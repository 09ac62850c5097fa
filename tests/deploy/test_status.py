from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.local.layout import Layout
from deploy.local.logfiles import LOG_BYTES_MAX, bound_logs, last_lines
from deploy.local.processes import MARK_VARIABLE, identify, write_identity
from deploy.local.status import PlatformStatus, ProcessStatus, State, read_status
from tests.deploy.waiting import until


def written(layout: Layout, *names: str) -> None:
    status = PlatformStatus("http://127.0.0.1:1", [{"name": "us-east", "processes": names}])
    for name in names:
        status.processes[name] = ProcessStatus(name, "1.2", 5000, 4_000_000, State.READY)
    status.write(layout)


def test_a_folder_without_a_platform_has_no_processes(layout: Layout) -> None:
    answer = CliRunner().invoke(app, ["status", "--json", "--data", str(layout.data)])

    assert answer.exit_code == 1
    assert json.loads(answer.stdout)["processes"] == []


def test_processes_of_a_platform_that_is_gone_are_stopped(layout: Layout) -> None:
    written(layout, "nats", "edge")

    document = read_status(layout)

    assert [one["state"] for one in document["processes"]] == ["stopped", "stopped"]
    assert document["regions"][0]["state"] == "stopped"
    assert document["ready"] is False


@pytest.mark.parametrize(
    ("head", "agent", "expected"),
    [
        (State.READY, State.READY, "running"),
        (State.WAITING, State.WAITING, "starting"),
        (State.READY, State.STARTING, "starting"),
        (State.RESTARTING, State.READY, "starting"),
        (State.READY, State.UNHEALTHY, "unhealthy"),
        (State.CRASH_LOOP, State.RESTARTING, "failed"),
        (State.READY, State.CRASH_LOOP, "failed"),
        (State.STOPPING, State.STOPPED, "stopped"),
    ],
)
def test_a_region_is_running_when_its_head_and_its_agent_are_ready(
    head: State, agent: State, expected: str
) -> None:
    status = PlatformStatus("", [{"name": "eu", "processes": ["head", "agent"]}])
    for name, state in (("edge", State.READY), ("head", head), ("agent", agent)):
        status.processes[name] = ProcessStatus(name, "1", None, None, state)

    assert status.document()["regions"][0]["state"] == expected


async def test_a_process_that_outlived_its_supervisor_is_orphaned_and_down_stops_it(
    layout: Layout,
) -> None:
    mark = f"{layout.key}/nats/"
    orphan = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import time; time.sleep(600)"),
        env={**os.environ, MARK_VARIABLE: mark},
        start_new_session=True,
    )
    identity = identify("nats", orphan.pid, mark)
    assert identity is not None
    write_identity(layout.pids, identity)
    written(layout, "nats", "edge")
    layout.lock_file.touch()
    await until(lambda: identity.process() is not None)
    states = {one["name"]: one["state"] for one in read_status(layout)["processes"]}

    answer = await asyncio.to_thread(CliRunner().invoke, app, ["down", "--data", str(layout.data)])

    assert states == {"nats": "orphaned", "edge": "stopped"}
    assert answer.exit_code == 0
    assert await orphan.wait() != 0


def test_a_command_that_needs_the_platform_says_how_to_start_it(layout: Layout) -> None:
    answer = CliRunner().invoke(app, ["generate", "x", "--data", str(layout.data)])

    assert answer.exit_code == 1
    assert "reelmesh up --detach" in " ".join(answer.output.split())


def test_long_logs_are_cut_and_kept_once(layout: Layout) -> None:
    log = layout.log("nats")
    log.write_bytes(b"old\n" * (LOG_BYTES_MAX // 4 + 1))
    with log.open("ab") as open_as_a_process_has_it:
        bound_logs(layout.logs)
        open_as_a_process_has_it.write(b"new\n")

    assert log.read_text() == "new\n"
    assert log.with_name("nats.log.1").stat().st_size > LOG_BYTES_MAX


def test_the_end_of_a_log_is_bounded(layout: Layout) -> None:
    log = layout.log("nats")
    log.write_text("\n".join(["x" * 10_000, *map(str, range(100))]))

    assert last_lines(log, 3) == "97\n98\n99"
    assert len(last_lines(log, 1000).splitlines()[0]) == 400
    assert last_lines(layout.log("none")) == ""


def test_the_edge_configuration_is_printed() -> None:
    answer = CliRunner().invoke(app, ["config", "envoy"])

    assert answer.exit_code == 0
    assert answer.stdout.lstrip().startswith("node:")
