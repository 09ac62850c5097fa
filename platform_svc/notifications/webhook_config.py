"""Settings of webhooks, for who manages them and for who delivers them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from meshkit.config import Environment
from meshkit.sealing import Sealer, read_sealer
from platform_svc.notifications.targets import Network, TargetGuard, read_networks

KEYS: Final = "REELMESH_WEBHOOK_KEYS_FILE"
ALLOWED: Final = "REELMESH_WEBHOOK_ALLOWED_NETWORKS"


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What encrypts signing secrets, and the private networks that webhooks may reach."""

    sealer: Sealer
    allowed: tuple[Network, ...]

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_WEBHOOK_KEYS_FILE and REELMESH_WEBHOOK_ALLOWED_NETWORKS.

        The networks are in CIDR form, separated by commas; none is allowed by default. They are
        for development and for installations whose webhooks stay at home.
        """
        return cls(read_sealer(environment, KEYS), _networks(environment))

    @property
    def guard(self) -> TargetGuard:
        """What decides where webhooks may go."""
        return TargetGuard(self.allowed)


def _networks(environment: Environment) -> tuple[Network, ...]:
    try:
        return read_networks(environment.text(ALLOWED, default=""))
    except ValueError as error:
        environment.refuse(ALLOWED, f"is wrong: {error}")
        return ()
