"""How many replicas Ray Serve should run: the scheduler's answer, posted for Serve to follow.

The agent posts the target into the cluster's key-value store; Serve's controller, which is another
process, reads it in its autoscaling policy. While the agent or the scheduler is away the last
target stays.
"""

from __future__ import annotations

import time
from typing import Any, Final

from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put
from ray.serve.config import AutoscalingContext

NAMESPACE: Final = "reelmesh"
KEY: Final = "replicas of "
# Serve asks ten times a second; the answer changes every few seconds.
READ_SECONDS: Final = 1.0


def post_target(app: str, replicas: int) -> None:
    """Tell Serve's controller how many replicas an application should have; blocks."""
    key, value = (KEY + app).encode(), str(replicas).encode()
    _internal_kv_put(key, value, overwrite=True, namespace=NAMESPACE.encode())


def read_target(app: str) -> int | None:
    """Give the target, or None if nobody has posted one yet; blocks."""
    value = _internal_kv_get((KEY + app).encode(), namespace=NAMESPACE.encode())
    return int(value) if value else None


class PlannedReplicas:
    """A policy of Ray Serve (`AutoscalingPolicy.policy_function`); Serve applies the bounds."""

    def __init__(self) -> None:
        self._target: int | None = None
        self._read_at = -READ_SECONDS

    def __call__(self, context: AutoscalingContext) -> tuple[int | float, dict[str, Any]]:
        """Give the number of replicas and the state to keep."""
        now = time.monotonic()
        if now - self._read_at >= READ_SECONDS:
            assert context.app_name is not None
            self._target, self._read_at = read_target(context.app_name), now
        if self._target is None:
            return context.target_num_replicas, context.policy_state
        return self._target, context.policy_state
