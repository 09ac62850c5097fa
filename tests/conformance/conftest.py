"""Servers that the suites share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.conformance.wires import BrokerServers


@pytest.fixture(scope="module")
async def brokers() -> AsyncIterator[BrokerServers]:
    async with AsyncExitStack() as stack:
        yield BrokerServers(stack)
