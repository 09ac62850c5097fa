from __future__ import annotations

import asyncio
import contextlib

import pytest

from meshkit.tasks import FAILURES, Supervisor, attempt, periodic
from meshkit.testing.signals import Signal


async def test_a_failing_loop_is_restarted_and_counted() -> None:
    began = Signal[int]()
    runs = 0

    async def loop() -> None:
        nonlocal runs
        runs += 1
        began.emit(runs)
        if runs < 3:
            raise RuntimeError
        await asyncio.Event().wait()

    async with Supervisor(pause_seconds_min=0.001) as supervisor:
        supervisor.start("restarted", loop)
        assert [await began.wait() for _ in range(3)] == [1, 2, 3]
        assert supervisor.failing == frozenset()
    assert FAILURES.labels(task="restarted")._value.get() == 2


async def test_a_loop_that_waits_for_its_restart_is_visible() -> None:
    began = Signal[None]()

    async def loop() -> None:
        began.emit(None)
        raise RuntimeError

    async with Supervisor(pause_seconds_min=60) as supervisor:
        supervisor.start("broken", loop)
        await began.wait()
        await asyncio.sleep(0)
        assert supervisor.failing == {"broken"}


async def test_loops_given_early_start_with_the_supervisor() -> None:
    began = Signal[None]()

    async def loop() -> None:
        began.emit(None)

    supervisor = Supervisor()
    supervisor.start("early", loop)
    assert began.drain() == []
    async with supervisor:
        await began.wait()


async def test_stopping_waits_for_the_loops_and_may_be_repeated() -> None:
    began = Signal[None]()
    ended: list[str] = []

    async def loop() -> None:
        began.emit(None)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    supervisor = Supervisor()
    async with supervisor:
        supervisor.start("loop", loop)
        await began.wait()
        await supervisor.stop()
        assert ended == ["cleaned up"]
    await supervisor.stop()


async def test_an_attempt_says_whether_it_succeeded_and_passes_cancellation() -> None:
    async def fine() -> int:
        return 1

    async def bad() -> None:
        raise ValueError

    assert await attempt("piece", fine()) is True
    assert await attempt("piece", bad()) is False
    assert FAILURES.labels(task="piece")._value.get() == 1
    task = asyncio.create_task(attempt("piece", asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_that_a_library_turned_into_an_error_still_ends_the_loop() -> None:
    began = Signal[None]()

    async def work() -> None:
        began.emit(None)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionError from None

    async with Supervisor() as supervisor:
        supervisor.start("loop", lambda: periodic("work", 3600, work))
        await began.wait()
        async with asyncio.timeout(5):
            await supervisor.stop()


async def test_a_loop_that_loses_a_cancellation_is_told_again() -> None:
    began = Signal[None]()

    async def loop() -> None:
        began.emit(None)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async with Supervisor() as supervisor:
        supervisor.start("stubborn", loop)
        await began.wait()
        async with asyncio.timeout(10):
            await supervisor.stop()


async def test_periodic_work_goes_on_after_a_failure() -> None:
    done = Signal[int]()
    times = 0

    async def work() -> None:
        nonlocal times
        times += 1
        done.emit(times)
        if times == 1:
            raise RuntimeError

    async with Supervisor() as supervisor:
        supervisor.start("loop", lambda: periodic("work", 0.001, work))
        assert [await done.wait() for _ in range(3)] == [1, 2, 3]
