"""A platform booted for a benchmark, by the same command as anybody's, and a user on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.ports import free_port
from meshkit.clock import uuid7

CLI = Path(sys.executable).parent / "reelmesh"
PASSWORD = "a long benchmark password"  # noqa: S105 - of a user that lives for one run


@dataclass(frozen=True, slots=True)
class Booted:
    """A running platform."""

    gateway_url: str
    ports: dict[str, int]
    pids: dict[str, int]


@contextmanager
def booted() -> Iterator[Booted]:
    """Boot a platform on free ports and an empty data folder; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="reelmesh-bench-") as folder:
        environment = os.environ | {"REELMESH_PORT": str(free_port()), "REELMESH_DATA": folder}
        _cli(["up", "--detach"], environment)
        try:
            status = json.loads(_cli(["status", "--json"], environment))
            processes = {process["name"]: process for process in status["processes"]}
            yield Booted(
                gateway_url=status["gateway_url"],
                ports={name: p["port"] for name, p in processes.items() if p["port"]},
                pids={name: p["pid"] for name, p in processes.items() if p["pid"]},
            )
        finally:
            _cli(["down"], environment)


@contextmanager
def signed_up(gateway_url: str) -> Iterator[httpx.Client]:
    """Give a client that is signed in as a new user."""
    name = uuid7().hex
    form = {"email": f"{name}@bench.example.com", "password": PASSWORD, "display_name": "Bench"}
    with httpx.Client(base_url=gateway_url, timeout=60) as client:
        reply = client.post("/v1/auth/sign-up", json=form)
        reply.raise_for_status()
        client.headers["authorization"] = f"Bearer {reply.json()['session']['access_token']}"
        yield client


def _cli(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(  # noqa: S603 - our own command
        [str(CLI), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout
