"""Reads what a refused call says."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True)
class Refusal:
    """The status code, the reason and its metadata."""

    code: grpc.StatusCode
    reason: str
    metadata: dict[str, str]


async def refusal_of(call: Awaitable[Any]) -> Refusal:
    """Make the call, which must be refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return read_refusal(refused.value)


def read_refusal(error: Any) -> Refusal:
    """Read an error that a stub raised."""
    assert isinstance(error, grpc.aio.AioRpcError), error
    status = rpc_status.from_call(error)
    assert status is not None, error
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details), error
    return Refusal(error.code(), info.reason, dict(info.metadata))
