"""Where a call comes from."""

from __future__ import annotations

import pytest

from meshkit.networks import client_network

PEER = "ipv4:127.0.0.1:50000"


@pytest.mark.parametrize(
    ("metadata", "peer", "network"),
    [
        ({"x-envoy-external-address": "203.0.113.7"}, PEER, "203.0.113.7"),
        (
            {"x-envoy-external-address": "203.0.113.7", "x-forwarded-for": "1.2.3.4"},
            PEER,
            "203.0.113.7",
        ),
        # Only the last hop is the edge's word.
        ({"x-forwarded-for": "6.6.6.6, 198.51.100.2"}, PEER, "198.51.100.2"),
        ({"x-forwarded-for": "2001:db8:1:2:3:4:5:6"}, PEER, "2001:db8:1:2::/64"),
        ({"x-forwarded-for": "::ffff:192.0.2.9"}, PEER, "192.0.2.9"),
        ({"x-forwarded-for": "nonsense"}, PEER, "127.0.0.1"),
        ({}, PEER, "127.0.0.1"),
        ({}, "ipv6:%5B2001:db8::1%5D:443", "2001:db8::/64"),
        ({}, "unix:/tmp/socket", "unknown"),
        ({}, "", "unknown"),
    ],
)
def test_the_network_of_a_call(metadata: dict[str, str | bytes], peer: str, network: str) -> None:
    assert client_network(metadata, peer) == network
