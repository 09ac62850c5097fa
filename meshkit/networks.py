"""Finds the network that a call comes from, behind the edge or without it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import unquote

# The edge sets this one itself; callers cannot.
TRUSTED_ADDRESS_KEY = "x-envoy-external-address"
FORWARDED_KEY = "x-forwarded-for"
IPV6_CUSTOMER_BITS = 64
UNKNOWN = "unknown"


def client_network(metadata: Mapping[str, str | bytes], peer: str) -> str:
    """Return an IPv4 address or an IPv6 /64, from metadata or else from gRPC's peer.

    Of a forwarding chain only the last address counts: the edge appended it, all before may be
    the caller's invention.
    """
    for key in (TRUSTED_ADDRESS_KEY, FORWARDED_KEY):
        value = metadata.get(key)
        if isinstance(value, str):
            network = _network(value.rpartition(",")[2].strip())
            if network is not None:
                return network
    kind, _, rest = unquote(peer).partition(":")
    if kind in {"ipv4", "ipv6"}:
        return _network(rest.rpartition(":")[0].strip("[]")) or UNKNOWN
    return UNKNOWN


def _network(text: str) -> str | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), IPV6_CUSTOMER_BITS), strict=False))
