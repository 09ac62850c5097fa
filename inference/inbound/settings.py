"""Settings of an inbound connector: one foreign queue, whose jobs belong to one tenant."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from inference.connectors.brokers.protocol import QUEUE_NAME, REDELIVERY_SECONDS
from inference.connectors.brokers.settings import required_broker_url
from meshkit.config import Environment

DEAD_LETTERS: Final = "-dead"
SOURCE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
TENANT_CHARACTERS_MAX: Final = 128
BAND_BATCH: Final = 2


@dataclass(frozen=True, slots=True)
class InboundSource:
    """Where messages come from and what they may ask for.

    `name` is part of each job's idempotency key: two sources may use the same message ids, and a
    source that is renamed starts anew. The tenant and the band are the operator's choice, since
    whoever may write to a foreign queue must not choose whose job it is.
    """

    name: str
    queue: str
    tenant_id: str
    band: int

    @property
    def dead_letters(self) -> str:
        """The queue, on the same broker, of messages that can never become a job."""
        return f"{self.queue}{DEAD_LETTERS}"


@dataclass(frozen=True, slots=True)
class InboundSettings:
    """What the process needs besides; the URL of the broker comes in a file."""

    source: InboundSource
    broker_url: str
    redelivery_seconds: float
    scheduler_address: str
    metrics_listen: str | None
    log_level: str

    @classmethod
    def from_environment(cls, environment: Environment) -> InboundSettings:
        """Read the settings; problems are reported by the environment."""
        return cls(
            source=_source(environment),
            broker_url=required_broker_url(environment, "REELMESH_INBOUND_URL_FILE"),
            # How long a message that a killed process had taken waits for the next one. A batch
            # of the slowest messages must fit in.
            redelivery_seconds=environment.number(
                "REELMESH_INBOUND_REDELIVERY_SECONDS",
                minimum=1,
                maximum=3600,
                default=REDELIVERY_SECONDS,
            ),
            scheduler_address=environment.text("REELMESH_INFERENCE_ADDRESS"),
            metrics_listen=environment.text("REELMESH_METRICS_LISTEN", default="") or None,
            log_level=environment.choice(
                "REELMESH_LOG_LEVEL",
                choices=("DEBUG", "INFO", "WARNING", "ERROR"),
                default="INFO",
            ),
        )


def _source(environment: Environment) -> InboundSource:
    source = InboundSource(
        name=environment.text("REELMESH_INBOUND_SOURCE"),
        queue=environment.text("REELMESH_INBOUND_QUEUE"),
        tenant_id=environment.text("REELMESH_INBOUND_TENANT"),
        band=environment.integer("REELMESH_INBOUND_BAND", minimum=0, maximum=9, default=BAND_BATCH),
    )
    if source.name and not SOURCE_NAME.fullmatch(source.name):
        environment.refuse(
            "REELMESH_INBOUND_SOURCE", "must be 1 to 32 lower-case letters, digits and dashes"
        )
    if source.queue and not QUEUE_NAME.fullmatch(source.dead_letters):
        environment.refuse(
            "REELMESH_INBOUND_QUEUE", "must be 1 to 75 letters, digits, dashes and underscores"
        )
    if len(source.tenant_id) > TENANT_CHARACTERS_MAX:
        environment.refuse("REELMESH_INBOUND_TENANT", "must have at most 128 characters")
    return source
