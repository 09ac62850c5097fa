"""The Ray Serve application of a region: one deployment per model, with autoscaling on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

from inference.models.catalog import ModelEntry
from inference.regions.deployment import PictureReplica
from inference.regions.settings import RegionSettings

# A pipeline object serves one lease at a time; the next one waits at the handle.
LEASES_PER_REPLICA: Final = 1
POLICY: Final = "inference.regions.scaling:PlannedReplicas"
# A replica that is taken away may finish its picture.
SHUTDOWN_SECONDS: Final = 120.0


def options(settings: RegionSettings) -> dict[str, Any]:
    """Give the options of a model's deployment."""
    threads = str(settings.threads)
    on_gpu = settings.replica.device == "cuda"
    return {
        "max_ongoing_requests": LEASES_PER_REPLICA,
        "autoscaling_config": AutoscalingConfig(
            min_replicas=settings.replicas_min,
            max_replicas=settings.replicas_max,
            # The scheduler has weighed already how long a surplus is kept.
            upscale_delay_s=0.0,
            downscale_delay_s=0.0,
            policy=AutoscalingPolicy.model_validate({"policy_function": POLICY}),
        ),
        "graceful_shutdown_timeout_s": SHUTDOWN_SECONDS,
        "graceful_shutdown_wait_loop_s": 0.2,
        "health_check_period_s": 5.0,
        "health_check_timeout_s": 30.0,
        "ray_actor_options": {
            "num_cpus": 1,
            "num_gpus": 1 if on_gpu else 0,
            "runtime_env": {
                "env_vars": {
                    "OMP_NUM_THREADS": threads,
                    "MKL_NUM_THREADS": threads,
                    # Arenas per thread cost a replica some hundred megabytes.
                    "MALLOC_ARENA_MAX": "2",
                    "TOKENIZERS_PARALLELISM": "false",
                    # The pipeline has a thread of its own, so the replica's loop stays free; a
                    # second loop would only cost each lease some milliseconds.
                    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
                }
            },
        },
    }


def application(
    settings: RegionSettings, variables: Mapping[str, str], entry: ModelEntry
) -> serve.Application:
    """Give the application that serves a model."""
    deployment = serve.deployment(name="replica", **options(settings))(PictureReplica)
    return deployment.bind(dict(variables), entry)


def application_name(
    settings: RegionSettings, variables: Mapping[str, str], entry: ModelEntry
) -> str:
    """Name an application by all that makes it what it is.

    An agent that starts again finds the application of its predecessor under the same name and
    leaves it as it is, so that the pictures under way go on.
    """
    facts = {
        "options": json.loads(json.dumps(options(settings), default=_facts)),
        "variables": dict(variables),
        "model": [entry.name, entry.version, entry.family],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return f"{entry.name}-{entry.version}-{digest[:8]}"


def _facts(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else asdict(value)
