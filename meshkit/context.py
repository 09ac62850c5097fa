"""The call that is being served: who calls, under which request id, until when."""

from __future__ import annotations

import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass, field

from meshkit.errors import CallerNotAllowed, TokenMissing


@dataclass(frozen=True, slots=True)
class Anonymous:
    """A caller without credentials."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The key that a program calls with, and what the key is good for at most."""

    key_id: uuid.UUID
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class UserPrincipal:
    """A signed-in user, acting in one organization.

    `api_key` is set when a program calls for the user who made the key. A key opens no session;
    its own id stands in for `session_id` then.
    """

    user_id: uuid.UUID
    session_id: uuid.UUID
    organization_id: uuid.UUID
    is_operator: bool = False
    api_key: ApiKey | None = None


@dataclass(frozen=True, slots=True)
class ServicePrincipal:
    """Another service; `name` tells instances apart, such as the region of an agent."""

    service: str
    name: str


Principal = Anonymous | UserPrincipal | ServicePrincipal


@dataclass(slots=True)
class CallContext:
    """What the interceptors know of one call; handlers only read it.

    `deadline` is a reading of `time.monotonic`, or None outside of a served call. `network` is
    the IPv4 address or the IPv6 /64 that the call came from, empty if unknown.
    """

    method: str
    request_id: str
    principal: Principal = field(default_factory=Anonymous)
    idempotency_key: str | None = None
    traceparent: str | None = None
    deadline: float | None = None
    network: str = ""

    def remaining_seconds(self) -> float | None:
        """Return the time left until the deadline, never below zero; None without one."""
        if self.deadline is None:
            return None
        return max(self.deadline - time.monotonic(), 0.0)


_current: ContextVar[CallContext | None] = ContextVar("meshkit_call", default=None)


def current() -> CallContext:
    """Return the call that is being served.

    Raises:
        LookupError: no call is being served here, such as in a background loop.
    """
    call = _current.get()
    if call is None:
        raise LookupError("no call is being served")
    return call


def find_current() -> CallContext | None:
    """Return the call that is being served, or None in a background loop."""
    return _current.get()


def enter(call: CallContext | None) -> None:
    """Make the call the current one of this task and of the tasks it starts."""
    _current.set(call)


def current_user() -> UserPrincipal:
    """Return the signed-in user who makes the current call.

    Raises:
        TokenMissing: nobody is signed in.
        CallerNotAllowed: the caller is a service.
    """
    principal = current().principal
    if isinstance(principal, UserPrincipal):
        return principal
    if isinstance(principal, ServicePrincipal):
        raise CallerNotAllowed("this is only for users", service=principal.service)
    raise TokenMissing("sign in first")
