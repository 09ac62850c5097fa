"""Settings of a region: what its agent and its replicas are told."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inference.connectors.brokers.settings import optional_broker_url
from meshkit.config import Environment
from meshkit.object_store import S3Settings

SIGNS_PER_LEASE: Final = 4
LEASE_SECONDS_DEFAULT: Final = 15
FAMILIES: Final = ("stable_diffusion", "fake", "")
# The variables that `ReplicaSettings` reads.
REPLICA_VARIABLES: Final = (
    "REELMESH_REGION",
    "REELMESH_DEVICE",
    "REELMESH_PIPELINE_FAMILY",
    "REELMESH_MODELS_DIR",
    "REELMESH_INFERENCE_ADDRESS",
    "REELMESH_CONNECTOR_URL_FILE",
    "REELMESH_SERVICE_KEY_FILE",
    "REELMESH_LEASE_SECONDS",
    "REELMESH_STEP_SECONDS_MIN",
    "REELMESH_S3_",
)


@dataclass(frozen=True, slots=True)
class ReplicaSettings:
    """What a replica needs, apart from the model that it serves.

    A replica reads it from the variables of its region, which name secret files and hold no
    secrets, so none travels through the cluster. `family` replaces the pipeline family of every
    model, or is empty. `step_seconds` slows each step down for rehearsals of failures. With a
    `broker_url` the region reaches the scheduler through that message broker and not by gRPC.
    """

    region: str
    device: str
    family: str
    models_folder: Path
    scheduler_address: str
    broker_url: str | None
    service_key_file: Path
    s3: S3Settings
    beat_seconds: float
    step_seconds: float

    @classmethod
    def from_environment(cls, environment: Environment) -> ReplicaSettings:
        """Read the settings; problems are reported by the environment."""
        lease = environment.seconds(
            "REELMESH_LEASE_SECONDS", minimum=2, maximum=300, default=LEASE_SECONDS_DEFAULT
        )
        family = environment.choice("REELMESH_PIPELINE_FAMILY", choices=FAMILIES, default="")
        broker_url = optional_broker_url(environment, "REELMESH_CONNECTOR_URL_FILE")
        return cls(
            region=environment.text("REELMESH_REGION"),
            device=environment.choice("REELMESH_DEVICE", choices=("cpu", "cuda"), default="cpu"),
            family=family,
            models_folder=environment.path("REELMESH_MODELS_DIR", must_exist=False),
            # Only who dials the scheduler must know where it is.
            scheduler_address=environment.text("REELMESH_INFERENCE_ADDRESS", default="")
            if broker_url
            else environment.text("REELMESH_INFERENCE_ADDRESS"),
            broker_url=broker_url,
            service_key_file=environment.path("REELMESH_SERVICE_KEY_FILE"),
            s3=S3Settings.from_environment(environment),
            beat_seconds=lease.total_seconds() / SIGNS_PER_LEASE,
            step_seconds=environment.number(
                "REELMESH_STEP_SECONDS_MIN", minimum=0, maximum=60, default=0
            ),
        )


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """What the agent needs; `threads` bounds the computing threads of each replica.

    With a `replicas_min` of 0 no replica runs while nothing waits for the region's model. `model`
    is the one model of the catalogue that the region serves.
    """

    replica: ReplicaSettings
    model: str
    ray_address: str
    replicas_min: int
    replicas_max: int
    threads: int
    metrics_listen: str | None
    drain_seconds: float
    log_level: str

    @property
    def name(self) -> str:
        """The region's name, such as us-east."""
        return self.replica.region

    @classmethod
    def from_environment(cls, environment: Environment, *, models: Sequence[str]) -> RegionSettings:
        """Read the settings; problems are reported by the environment, as a model not among these.

        Without REELMESH_MODEL the region serves the first model.
        """
        replicas_max = environment.integer(
            "REELMESH_REPLICAS_MAX", minimum=1, maximum=1000, default=2
        )
        share = max(1, (os.cpu_count() or 1) // max(replicas_max, 1))
        return cls(
            replica=ReplicaSettings.from_environment(environment),
            model=environment.choice("REELMESH_MODEL", choices=models, default=models[0]),
            ray_address=environment.text("REELMESH_RAY_ADDRESS"),
            replicas_min=environment.integer(
                "REELMESH_REPLICAS_MIN", minimum=0, maximum=replicas_max, default=1
            ),
            replicas_max=replicas_max,
            threads=environment.integer(
                "REELMESH_REPLICA_THREADS", minimum=1, maximum=64, default=min(share, 64)
            ),
            metrics_listen=environment.text("REELMESH_METRICS_LISTEN", default="") or None,
            drain_seconds=environment.number(
                "REELMESH_DRAIN_SECONDS", minimum=0, maximum=300, default=8
            ),
            log_level=environment.choice(
                "REELMESH_LOG_LEVEL",
                choices=("DEBUG", "INFO", "WARNING", "ERROR"),
                default="INFO",
            ),
        )
