"""Sends one webhook over a connection to the addresses that were judged, and to no other."""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from platform_svc.notifications.targets import Forbidden, Target, TargetGuard
from platform_svc.notifications.webhooks import Answer

SECONDS_MAX: Final = 10.0
RESPONSE_BYTES_MAX: Final = 2048
SUCCESS: Final = range(200, 300)
REDIRECTS: Final = range(300, 400)


class PinnedResolver(AbstractResolver):
    """Gives the judged addresses, whatever the name means now."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Give the addresses; a connector asks for one host only, however it spells it."""
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=_family(address.version),
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._target.addresses
            if family in {socket.AF_UNSPEC, _family(address.version)}
        ]

    async def close(self) -> None:
        """Hold nothing."""


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts bodies; `trust` is whose certificates are believed, the system's if unsaid."""

    guard: TargetGuard
    trust: ssl.SSLContext | None = None

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, now: datetime
    ) -> Answer:
        """Send once and say how it went; never raises for what the other side does."""
        try:
            async with asyncio.timeout(SECONDS_MAX):
                target = await self.guard.admit(url)
                return await self._exchange(target, body, headers, now)
        except Forbidden as error:
            return Answer(0, f"not sent: {error}")
        except TimeoutError:
            return Answer(0, f"no answer within {SECONDS_MAX:.0f} seconds")
        except (OSError, ValueError, aiohttp.ClientError) as error:
            return Answer(0, f"no answer: {_kind(error)}")

    async def _exchange(
        self, target: Target, body: bytes, headers: Mapping[str, str], now: datetime
    ) -> Answer:
        connector = aiohttp.TCPConnector(
            resolver=PinnedResolver(target),
            use_dns_cache=False,
            force_close=True,
            ssl=self.trust or True,
            socket_factory=self._socket,
        )
        async with (
            aiohttp.ClientSession(connector=connector, auto_decompress=False) as session,
            session.post(
                target.url, data=body, headers=dict(headers), allow_redirects=False
            ) as response,
        ):
            text = (await response.content.read(RESPONSE_BYTES_MAX)).decode(errors="replace")
            return Answer(
                response.status,
                _failure(response.status),
                text.replace("\0", "\N{REPLACEMENT CHARACTER}"),
                _retry_after(response.headers.get("retry-after", ""), now),
            )

    def _socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Make a socket, if the address that it is for may be reached; the last look there is."""
        family, kind, protocol, _, place = info
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        if not self.guard.permits(address):
            raise Forbidden("it leads into a private network")
        return socket.socket(family, kind, protocol)


def _family(version: int) -> socket.AddressFamily:
    return socket.AF_INET if version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4


def _failure(status: int) -> str:
    if status in SUCCESS:
        return ""
    if status in REDIRECTS:
        return f"status {status}: redirects are not followed"
    return f"status {status}"


def _retry_after(text: str, now: datetime) -> timedelta | None:
    """Read Retry-After (RFC 9110, section 10.2.3): seconds or a date; None if it is neither."""
    if text.isascii() and text.isdigit():
        # Longer ones are cut anyway, and this many digits overflow nothing.
        return timedelta(seconds=int(text[:9]))
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(timedelta(0), moment.replace(tzinfo=moment.tzinfo or UTC) - now)


def _kind(error: Exception) -> str:
    """Say what went wrong without addresses, which are none of the endpoint's owner's."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientSSLError):
        return "TLS failed"
    if isinstance(error, socket.gaierror):
        return "its host is unknown"
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionError):
        return "the connection failed"
    return type(error).__name__
