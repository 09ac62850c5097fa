from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace

import psutil
import pytest

from deploy.local.failures import AlreadyRunning
from deploy.local.layout import Layout
from deploy.local.processes import (
    MARK_VARIABLE,
    identify,
    read_identities,
    stop_family,
    write_identity,
)
from deploy.local.status import find_supervisor, is_locked, lock, own_identity
from tests.deploy.conftest import Supervise
from tests.deploy.programs import program
from tests.deploy.waiting import lives, until

# A supervisor of its own that starts one component and then waits.
SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from deploy.local.layout import Layout
from deploy.local.status import PlatformStatus, lock, own_identity
from deploy.local.processes import write_identity
from deploy.local.supervisor import Supervisor
from tests.deploy.programs import PARENT, Recorder, program

async def main():
    layout = Layout(Path(sys.argv[1]))
    held = lock(layout)
    write_identity(layout.pids, own_identity(layout))
    components = [program("parent", layout, PARENT)]
    await Supervisor(layout, components, PlatformStatus(""), Recorder()).start()
    (layout.data / "up").touch()
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def start_supervisor(layout: Layout) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISOR, str(layout.data)
    )
    await until((layout.data / "up").exists)
    return process


async def test_what_a_killed_supervisor_left_is_stopped_by_the_next(
    layout: Layout, supervise: Supervise
) -> None:
    supervisor = await start_supervisor(layout)
    left = next(one for one in read_identities(layout.pids) if one.name == "parent")
    child = int((layout.data / "parent.flag").read_text())
    supervisor.kill()
    await supervisor.wait()
    assert left.process() is not None
    assert find_supervisor(layout) is None

    await supervise(program("other", layout)).start()

    assert left.process() is None
    assert not lives(child)


async def test_a_second_supervisor_of_the_same_folder_is_refused(layout: Layout) -> None:
    supervisor = await start_supervisor(layout)
    try:
        with pytest.raises(AlreadyRunning, match="already up"):
            lock(layout)
        found = find_supervisor(layout)
        assert found is not None
        assert found.pid == supervisor.pid
    finally:
        left = [one for one in read_identities(layout.pids) if one.pid != supervisor.pid]
        supervisor.kill()
        await supervisor.wait()
        await stop_family(left, f"{layout.key}/", grace_seconds=1)
    assert not is_locked(layout)


async def test_a_recycled_pid_is_never_signalled(layout: Layout) -> None:
    # An innocent process has the pid that the file names, but started at another time.
    innocent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import time; time.sleep(600)"
    )
    try:
        now = identify("one", innocent.pid, f"{layout.key}/one/")
        assert now is not None
        earlier = replace(now, created=now.created - 60)

        await stop_family([earlier], f"{layout.key}/one/", grace_seconds=0.1)

        assert earlier.process() is None
        assert innocent.returncode is None
    finally:
        innocent.kill()
        await innocent.wait()


async def test_a_process_of_another_folder_is_no_match_even_at_the_same_time(
    layout: Layout,
) -> None:
    other = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import time; time.sleep(600)"),
        env={**os.environ, MARK_VARIABLE: "another/one/"},
    )
    try:
        await until(lambda: MARK_VARIABLE in psutil.Process(other.pid).environ())
        claimed = identify("one", other.pid, f"{layout.key}/one/")
        assert claimed is not None

        assert claimed.process() is None
    finally:
        other.kill()
        await other.wait()


async def test_a_process_that_lost_its_pid_file_is_found_by_its_mark(layout: Layout) -> None:
    lost = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "import time; time.sleep(600)"),
        env={**os.environ, MARK_VARIABLE: f"{layout.key}/lost/"},
        start_new_session=True,
    )
    await until(lambda: MARK_VARIABLE in psutil.Process(lost.pid).environ())

    await stop_family([], f"{layout.key}/", grace_seconds=1)

    assert await lost.wait() == -signal.SIGTERM


def test_a_broken_pid_file_is_no_identity(layout: Layout) -> None:
    write_identity(layout.pids, own_identity(layout))
    (layout.pids / "half.json").write_text('{"name": "half", "pi')
    (layout.pids / "other.json").write_text("[]")

    assert [one.name for one in read_identities(layout.pids)] == ["supervisor"]
