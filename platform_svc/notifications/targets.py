"""Decides where webhooks may be sent, so that nobody reaches a private network through us.

Every address that a host resolves to is judged, and the connection goes to those very addresses:
a name that resolves otherwise a moment later changes nothing.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Lookup = Callable[[str, int], Awaitable[Sequence[Address]]]

PUBLIC_PORTS: Final = frozenset({443, 8443})
DEFAULT_PORTS: Final = {"https": 443, "http": 80}
# Addresses that carry an IPv4 address inside: NAT64 (RFC 6052), and its local form (RFC 8215).
NAT64: Final = (
    ipaddress.IPv6Network("64:ff9b::/96"),
    ipaddress.IPv6Network("64:ff9b:1::/48"),
)
IPV4_BITS: Final = 0xFFFFFFFF


class Forbidden(Exception):
    """Nothing may be sent there; its text is safe to show."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect: only to these addresses, whatever the host's name may mean later."""

    url: str
    host: str
    port: int
    addresses: tuple[Address, ...]


async def look_up(host: str, port: int) -> Sequence[Address]:
    """Ask the system's resolver.

    Raises:
        OSError: the name is unknown.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # A scope, as in fe80::1%eth0, is no part of the address.
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]


@dataclass(frozen=True, slots=True)
class TargetGuard:
    """Admits public addresses over https, and what an operator has allowed besides.

    In `allowed` networks, which are for development and self-hosting, http and every port are
    allowed too.
    """

    allowed: tuple[Network, ...] = ()
    look_up: Lookup = look_up

    async def admit(self, url: str) -> Target:
        """Resolve the host of a URL and judge every address.

        Raises:
            Forbidden: the URL, or one of the addresses.
            OSError: the host is unknown.
        """
        parts, port = _read(url)
        host = parts.hostname
        assert host is not None, "it was read"
        literal = _literal(host)
        addresses = [literal] if literal else list(await self.look_up(host, port))
        if not addresses:
            raise Forbidden("its host has no address")
        for address in addresses:
            self._judge(address, port, is_secure=parts.scheme == "https")
        return Target(url, host, port, tuple(dict.fromkeys(addresses)))

    def permits(self, address: Address) -> bool:
        """Whether the address is public or allowed; asked again when a socket is made."""
        return self._is_allowed(address) or is_public(unwrapped(address))

    def _judge(self, address: Address, port: int, *, is_secure: bool) -> None:
        if self._is_allowed(address):
            return
        if not self.permits(address):
            raise Forbidden("it leads into a private network")
        if not is_secure:
            raise Forbidden("it must use https")
        if port not in PUBLIC_PORTS:
            raise Forbidden("its port must be 443 or 8443")

    def _is_allowed(self, address: Address) -> bool:
        inner = unwrapped(address)
        return any(
            inner.version == network.version and inner in network for network in self.allowed
        )


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address is a form of, or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if address.teredo is not None:
        inner = address.teredo[1]
    if any(address in network for network in NAT64):
        inner = ipaddress.IPv4Address(int(address) & IPV4_BITS)
    return inner or address


def is_public(address: Address) -> bool:
    """Whether the address is one that anybody on the internet may be reached at."""
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_private
        and not (isinstance(address, ipaddress.IPv6Address) and address.is_site_local)
    )


def read_networks(text: str) -> tuple[Network, ...]:
    """Read networks in CIDR form, separated by commas.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip())


def _read(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        raise Forbidden("it is no URL") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise Forbidden("it must begin with https:// and a host")
    if parts.username is not None or parts.password is not None:
        raise Forbidden("it must not hold a user or a password")
    if any(character <= " " or character == "\x7f" for character in url):
        raise Forbidden("it must not hold spaces or control characters")
    return parts, port


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
