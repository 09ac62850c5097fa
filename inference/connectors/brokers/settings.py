"""Reads the address of a broker, which has a password in it and so comes in a file."""

from __future__ import annotations

from inference.connectors.brokers.opening import UnusableBroker, check_broker_url
from meshkit.config import REQUIRED, Environment

_NONE = ""


def required_broker_url(environment: Environment, variable: str) -> str:
    """Give the URL in the file that the variable names; problems go to the environment."""
    return _checked(environment, variable, environment.secret_file(variable, default=REQUIRED))


def optional_broker_url(environment: Environment, variable: str) -> str | None:
    """Give the URL in the file that the variable names, or None when it names none."""
    url = environment.secret_file(variable, default=_NONE)
    return _checked(environment, variable, url) if url else None


def _checked(environment: Environment, variable: str, url: str) -> str:
    try:
        if url:
            check_broker_url(url)
    except UnusableBroker as error:
        environment.refuse(variable, f"names a URL that {error}")
    return url
