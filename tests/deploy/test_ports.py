from __future__ import annotations

import socket

import pytest

from deploy.local.failures import BadSetting, PortTaken
from deploy.local.ports import FIRST, LAST, Ports, gateway_port, is_free


def test_ports_are_free_and_differ() -> None:
    ports = Ports()

    given = [ports.one() for _ in range(20)] + list(ports.block(40))

    assert len(set(given)) == 60
    assert all(FIRST <= port < LAST and is_free(port) for port in given)


def test_a_block_has_ports_that_follow_each_other() -> None:
    block = Ports().block(30)

    assert list(block) == list(range(block.start, block.start + 30))


def test_a_port_in_use_is_not_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        assert not is_free(server.getsockname()[1])


def test_a_taken_gateway_port_names_the_variable_and_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        monkeypatch.setenv("REELMESH_PORT", str(port))

        with pytest.raises(PortTaken, match=rf"Port {port} is taken by .*REELMESH_PORT={port + 1}"):
            gateway_port()


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1", "80.5"])
def test_a_gateway_port_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELMESH_PORT", text)

    with pytest.raises(BadSetting, match="REELMESH_PORT"):
        gateway_port()
