from __future__ import annotations

import asyncio
import json
import signal
from dataclasses import replace

import psutil
import pytest

from deploy.local.component import Unwell
from deploy.local.failures import ComponentFailed, ProgramMissing
from deploy.local.layout import Layout
from deploy.local.runner import STUCK_CHECKS
from deploy.local.status import State
from tests.deploy.conftest import Supervise
from tests.deploy.programs import FAILING, PARENT, STUBBORN, Recorder, flag, program
from tests.deploy.waiting import lives, until


def pid_of(layout: Layout, name: str) -> int:
    processes = json.loads(layout.state_file.read_text())["processes"]
    return next(one["pid"] for one in processes if one["name"] == name)


def restarts_of(layout: Layout, name: str) -> int:
    processes = json.loads(layout.state_file.read_text())["processes"]
    return next(one["restarts"] for one in processes if one["name"] == name)


def state_of(layout: Layout, name: str) -> str:
    processes = json.loads(layout.state_file.read_text())["processes"]
    return next(one["state"] for one in processes if one["name"] == name)


async def test_components_start_after_what_they_need_and_stop_before_it(
    layout: Layout, supervise: Supervise, recorder: Recorder
) -> None:
    first, second = program("first", layout), program("second", layout, needs=("first",))
    supervisor = supervise(second, first)

    await supervisor.start()
    await supervisor.stop()

    assert recorder.index("first", State.READY) < recorder.index("second", State.STARTING)
    assert recorder.index("second", State.STOPPED) < recorder.index("first", State.STOPPING)


async def test_components_that_need_nothing_start_side_by_side(
    layout: Layout, supervise: Supervise, recorder: Recorder
) -> None:
    await supervise(*(program(name, layout) for name in ("a", "b", "c"))).start()

    first_ready = min(recorder.index(name, State.READY) for name in ("a", "b", "c"))
    assert all(recorder.index(name, State.STARTING) < first_ready for name in ("a", "b", "c"))


async def test_a_killed_process_is_started_again(layout: Layout, supervise: Supervise) -> None:
    await supervise(program("one", layout)).start()
    pid = pid_of(layout, "one")

    psutil.Process(pid).send_signal(signal.SIGKILL)

    await until(lambda: state_of(layout, "one") == "ready" and pid_of(layout, "one") != pid)
    assert restarts_of(layout, "one") == 1


async def test_what_follows_a_killed_process_is_started_again_too(
    layout: Layout, supervise: Supervise
) -> None:
    head = program("head", layout)
    agent = program("agent", layout, needs=("head",), follows=("head",))
    await supervise(head, agent).start()
    agent_pid = pid_of(layout, "agent")

    psutil.Process(pid_of(layout, "head")).send_signal(signal.SIGKILL)

    await until(
        lambda: (
            pid_of(layout, "agent") not in {agent_pid, None}
            and state_of(layout, "agent") == "ready"
        )
    )
    assert not lives(agent_pid)


async def test_a_component_that_never_gets_ready_fails_with_the_end_of_its_log(
    layout: Layout, supervise: Supervise
) -> None:
    supervisor = supervise(program("broken", layout, FAILING))

    with pytest.raises(ComponentFailed, match="cannot find my configuration") as failure:
        await supervisor.start()

    assert "status 3" in str(failure.value)
    assert str(layout.log("broken")) in str(failure.value)


async def test_a_crash_loop_is_reported_once_with_the_end_of_the_log(
    layout: Layout, supervise: Supervise, recorder: Recorder
) -> None:
    dies = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch(); print('out of luck')"
    lasting = "; import time; time.sleep(0.5)"
    await supervise(program("unlucky", layout, dies + lasting)).start()

    await until(lambda: state_of(layout, "unlucky") == "crash_loop", seconds=40)

    loops = [text for text in recorder.messages if "again and again" in text]
    assert len(loops) == 1
    assert "out of luck" in loops[0]


async def test_a_program_that_is_not_there_says_how_to_get_it(
    layout: Layout, supervise: Supervise
) -> None:
    missing = program("missing", layout)
    component = type(missing)(**{**vars(missing), "command": ("/nowhere/weed",)})

    with pytest.raises(ProgramMissing, match="make setup"):
        await supervise(component).start()


async def test_a_preparation_that_fails_in_an_unforeseen_way_ends_the_start(
    layout: Layout, supervise: Supervise
) -> None:
    blocked = layout.data / "file"
    blocked.touch()

    async def prepare() -> None:
        (blocked / "folder").mkdir()

    component = replace(program("blocked", layout), prepare=prepare)
    async with asyncio.timeout(10):
        with pytest.raises(ComponentFailed, match="blocked did not start: Not a dir") as failure:
            await supervise(component, program("other", layout)).start()

    assert str(blocked / "folder") in str(failure.value)
    assert state_of(layout, "blocked") == "crash_loop"


async def test_a_check_that_breaks_counts_as_not_ready(
    layout: Layout, supervise: Supervise
) -> None:
    async def check() -> None:
        int("another program's greeting")

    component = replace(program("odd", layout), check=check, ready_seconds=0.5, first_starts_max=1)
    async with asyncio.timeout(20):
        with pytest.raises(ComponentFailed, match=r"was not ready in .*ValueError: invalid lit"):
            await supervise(component).start()


async def test_a_component_that_ran_is_tried_again_when_its_preparation_breaks(
    layout: Layout, supervise: Supervise, recorder: Recorder
) -> None:
    one = program("one", layout)
    disk_full = asyncio.Event()

    async def prepare() -> None:
        if disk_full.is_set():
            disk_full.clear()
            raise OSError(28, "No space left on device", "settings.conf")
        await one.prepare()

    await supervise(replace(one, prepare=prepare)).start()
    pid = pid_of(layout, "one")
    disk_full.set()

    psutil.Process(pid).send_signal(signal.SIGKILL)

    await until(lambda: state_of(layout, "one") == "ready" and pid_of(layout, "one") != pid)
    assert restarts_of(layout, "one") == 2
    assert any("No space left on device (settings.conf)" in text for text in recorder.messages)


async def test_a_check_that_breaks_later_does_not_end_the_supervision(
    layout: Layout, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.local.runner.HEALTH_SECONDS", 0.02)
    one = program("one", layout)
    broken = asyncio.Event()

    async def check() -> None:
        await one.check()
        if broken.is_set():
            raise ZeroDivisionError

    await supervise(replace(one, check=check)).start()
    pid = pid_of(layout, "one")
    broken.set()

    await until(lambda: restarts_of(layout, "one") == 1)
    broken.clear()
    await until(lambda: state_of(layout, "one") == "ready" and pid_of(layout, "one") != pid)


async def test_a_component_that_says_it_is_unwell_is_shown_so_and_left_running(
    layout: Layout, supervise: Supervise, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.local.runner.HEALTH_SECONDS", 0.01)
    checks = 0

    async def check() -> None:
        nonlocal checks
        checks += 1
        if checks > 1:
            raise Unwell("it says NOT_SERVING")

    await supervise(replace(program("one", layout), check=check)).start()
    pid = pid_of(layout, "one")

    await until(lambda: checks > 2 * STUCK_CHECKS)
    assert ("one", State.UNHEALTHY) in recorder.states
    assert (pid_of(layout, "one"), restarts_of(layout, "one")) == (pid, 0)


async def test_stopping_ends_children_and_those_that_ignore_signals(
    layout: Layout, supervise: Supervise
) -> None:
    supervisor = supervise(program("parent", layout, PARENT), program("deaf", layout, STUBBORN))
    await supervisor.start()
    await until(lambda: flag(layout, "parent").read_text())
    pids = [pid_of(layout, "parent"), pid_of(layout, "deaf")]
    pids.append(int(flag(layout, "parent").read_text()))
    assert all(map(lives, pids))

    await supervisor.stop()

    assert not any(map(lives, pids))


async def test_children_of_a_killed_process_are_gone_before_it_starts_again(
    layout: Layout, supervise: Supervise
) -> None:
    await supervise(program("parent", layout, PARENT)).start()
    await until(lambda: flag(layout, "parent").read_text())
    child, pid = int(flag(layout, "parent").read_text()), pid_of(layout, "parent")

    psutil.Process(pid).send_signal(signal.SIGKILL)

    await until(lambda: restarts_of(layout, "parent") == 1)
    assert not lives(child)


async def test_stopping_twice_is_harmless(layout: Layout, supervise: Supervise) -> None:
    supervisor = supervise(program("one", layout))
    await supervisor.start()

    await supervisor.stop()
    await supervisor.stop()

    assert state_of(layout, "one") == "stopped"
