"""A data folder whose path has a space, and a supervisor in it that is stopped at the end."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.local.component import Component
from deploy.local.layout import Layout
from deploy.local.status import PlatformStatus
from deploy.local.supervisor import Supervisor
from tests.deploy.programs import Recorder

Supervise = Callable[..., Supervisor]


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(tmp_path / "data folder")
    layout.prepare()
    yield layout
    shutil.rmtree(layout.runtime, ignore_errors=True)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def supervise(layout: Layout, recorder: Recorder) -> AsyncIterator[Supervise]:
    async with AsyncExitStack() as stack:

        def make(*components: Component) -> Supervisor:
            supervisor = Supervisor(layout, components, PlatformStatus("http://gateway"), recorder)
            stack.push_async_callback(supervisor.stop)
            return supervisor

        yield make
