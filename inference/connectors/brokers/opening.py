"""Gives the broker behind a URL; a client library is imported only when its broker is asked for."""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import Final, cast
from urllib.parse import urlsplit

from inference.connectors.brokers.protocol import REDELIVERY_SECONDS, Broker

# Scheme to module, class and the extra that installs the client library.
BROKERS: Final = MappingProxyType(
    {
        "postgresql": ("postgres_table", "PostgresBroker", ""),
        "postgresql+asyncpg": ("postgres_table", "PostgresBroker", ""),
        "nats": ("jetstream", "JetStreamBroker", ""),
        "tls": ("jetstream", "JetStreamBroker", ""),
        "redis": ("redis_streams", "RedisBroker", "redis"),
        "rediss": ("redis_streams", "RedisBroker", "redis"),
        "sqs+http": ("sqs", "SqsBroker", "sqs"),
        "sqs+https": ("sqs", "SqsBroker", "sqs"),
    }
)


class UnusableBroker(ValueError):
    """No broker can be opened from this URL; the message never shows the URL, which has secrets."""


def check_broker_url(url: str) -> None:
    """Say whether a URL names a broker, without opening it.

    Raises:
        UnusableBroker: the scheme is unknown or the library is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme not in BROKERS:
        raise UnusableBroker(f"has the scheme {scheme!r}; there are {', '.join(sorted(BROKERS))}")
    if not urlsplit(url).netloc and not scheme.startswith("postgresql"):
        raise UnusableBroker("names no host")
    _class_of(scheme)


def open_broker(url: str, *, redelivery_seconds: float = REDELIVERY_SECONDS) -> Broker:
    """Give the broker behind the URL, to be entered by the caller.

    Raises:
        UnusableBroker: the scheme is unknown or the library is not installed.
    """
    check_broker_url(url)
    broker = _class_of(urlsplit(url).scheme)
    return cast("Broker", broker(url, redelivery_seconds=redelivery_seconds))


def _class_of(scheme: str) -> type:
    module, name, extra = BROKERS[scheme]
    try:
        found = importlib.import_module(f"inference.connectors.brokers.{module}")
    except ModuleNotFoundError as error:
        if not extra:
            raise
        raise UnusableBroker(
            f"needs the library {error.name}; install reelmesh[{extra}]"
        ) from error
    return cast("type", getattr(found, name))
