"""Ports of the loopback interface for the platform's processes."""

from __future__ import annotations

import os
import secrets
import socket
from typing import Final

import psutil

from deploy.local.failures import BadSetting, PortTaken

GATEWAY_PORT_VARIABLE: Final = "REELMESH_PORT"
GATEWAY_PORT: Final = 8080
# Below the range that kernels hand to outgoing connections (from 32768 on Linux), so that a port
# stays free between being chosen, being bound, and being bound again after a restart.
FIRST: Final = 18000
LAST: Final = 32000
TRIES_MAX: Final = 2000


class Ports:
    """Hands out ports that are free now, each one once."""

    def __init__(self) -> None:
        self._given: set[int] = set()

    def one(self) -> int:
        """Give a free port."""
        return self.block(1)[0]

    def block(self, count: int) -> range:
        """Give free ports that follow each other."""
        for _ in range(TRIES_MAX):
            first = FIRST + secrets.randbelow(LAST - FIRST - count)
            ports = range(first, first + count)
            if self._given.isdisjoint(ports) and all(map(is_free, ports)):
                self._given.update(ports)
                return ports
        raise BadSetting(
            f"No {count} free ports in a row were found between {FIRST} and {LAST}. Stop programs "
            "that listen there and try again."
        )


def gateway_port() -> int:
    """Give the port of the gateway.

    Raises:
        BadSetting: REELMESH_PORT is not a port.
        PortTaken: another program listens there.
    """
    text = os.environ.get(GATEWAY_PORT_VARIABLE) or str(GATEWAY_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:  # noqa: PLR2004 - the last port.
        raise BadSetting(
            f"{GATEWAY_PORT_VARIABLE} is '{text}', which is not a port. Set it to a number from "
            f"1024 to 65535, or unset it for {GATEWAY_PORT}."
        )
    port = int(text)
    if not is_free(port):
        raise PortTaken(port, GATEWAY_PORT_VARIABLE, _owner(port))
    return port


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port of any interface now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still closing is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - asks, and never listens.
        except OSError:
            return False
    return True


def _owner(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return "another program"
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            if connection.pid is None:
                break
            try:
                return f"the program {psutil.Process(connection.pid).name()} ({connection.pid})"
            except psutil.Error:
                break
    return "another program"
