"""Compares GET /v1/me through the edge with the same RPC made straight to the service.

The calls alternate, so that both see the same machine; one connection each, one call at a time.
"""

from __future__ import annotations

import time

import grpc
import httpx
from reelmesh.platform.identity.v1 import identity_service_pb2 as pb
from reelmesh.platform.identity.v1 import identity_service_pb2_grpc as pb_grpc

from bench.booted import booted, signed_up
from bench.figures import Figure
from bench.quantiles import quantile

CALLS = 1000
WARM_UP = 100
ADDED_MS_MAX = 3.0


def measure() -> list[Figure]:
    """Boot a platform and time both ways."""
    with booted() as platform, signed_up(platform.gateway_url) as client:
        address = f"127.0.0.1:{platform.ports['platform']}"
        metadata = (("authorization", client.headers["authorization"]),)
        with grpc.insecure_channel(address) as channel:
            stub = pb_grpc.IdentityServiceStub(channel)
            rest, direct = _alternate(client, stub, metadata)
    rest_ms, direct_ms = quantile(rest, 0.5), quantile(direct, 0.5)
    return [
        Figure(
            id="A1",
            what="GET /v1/me through the edge, added to the direct gRPC call, p50",
            value=rest_ms - direct_ms,
            unit="ms",
            floor=ADDED_MS_MAX,
            better="lower",
            peers={"edge p50 ms": rest_ms, "direct p50 ms": direct_ms},
        ),
        Figure(
            id="A2",
            what="GET /v1/me through the edge, p99",
            value=quantile(rest, 0.99),
            unit="ms",
            floor=None,
            better="lower",
            peers={"direct p99 ms": quantile(direct, 0.99)},
        ),
    ]


def _alternate(
    client: httpx.Client, stub: pb_grpc.IdentityServiceStub, metadata: tuple[tuple[str, str], ...]
) -> tuple[list[float], list[float]]:
    rest: list[float] = []
    direct: list[float] = []
    for call in range(WARM_UP + CALLS):
        started = time.perf_counter()
        client.get("/v1/me").raise_for_status()
        between = time.perf_counter()
        stub.GetMe(pb.GetMeRequest(), metadata=metadata, timeout=10)
        ended = time.perf_counter()
        if call >= WARM_UP:
            rest.append((between - started) * 1000)
            direct.append((ended - between) * 1000)
    return rest, direct
