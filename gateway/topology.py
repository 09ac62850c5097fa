"""What the edge stands in front of, and what differs from one installation to another."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_ISSUER = "https://reelmesh.local"
DEFAULT_AUDIENCE = "reelmesh"


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or IP address) and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One running server of a part, and the region it runs in."""

    address: Address
    region: str = "home"


@dataclass(frozen=True, slots=True)
class Upstream:
    """A part ("platform", "business") and the servers that run it.

    A server that runs only some services of the part is no endpoint of it.
    """

    part: str
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the edge; times in seconds, sizes in bytes."""

    body_bytes_max: int = 256 * 1024
    # The largest message that the services send.
    reply_bytes_max: int = 4 * 1024 * 1024
    unary_seconds: int = 30
    stream_seconds: int = 3600
    # Sign-up, sign-in and refresh, over all callers: argon2 is dear by design.
    auth_requests_per_second: int = 200
    connections_max: int = 10_000


@dataclass(frozen=True, slots=True)
class Topology:
    """Where the edge listens, whom it forwards to, and whose tokens it takes.

    `admin` is Envoy's own administration page, for operators on the same machine only; without
    it there is none. `access_log` is a file; without one the log goes to the standard output.
    """

    listen: Address
    upstreams: tuple[Upstream, ...]
    admin: Address | None = None
    issuer: str = DEFAULT_ISSUER
    audience: str = DEFAULT_AUDIENCE
    # Browser origins that may call; "*" lets all, without cookies (tokens travel in a header).
    allowed_origins: tuple[str, ...] = ("*",)
    access_log: str | None = None
    region: str = "home"
    # The upstream that hosts the access service.
    key_part: str = "platform"
    limits: Limits = field(default_factory=Limits)
