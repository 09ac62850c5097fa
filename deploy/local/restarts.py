"""When to start a process again: exponential backoff, and what counts as a crash loop."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

FIRST_DELAY_SECONDS: Final = 0.2
DELAY_SECONDS_MAX: Final = 15.0
# A process that ran this long is well again: its next restart is quick.
STABLE_SECONDS: Final = 60.0
LOOP_EXITS: Final = 5
LOOP_SECONDS: Final = 60.0


@dataclass
class Restarts:
    """The exits of one component; times are seconds of a monotonic clock."""

    count: int = 0
    _failures: int = 0
    _exits: deque[float] = field(default_factory=lambda: deque(maxlen=LOOP_EXITS))

    def exited(self, *, started: float, now: float) -> float:
        """Note an exit and give the seconds to wait before the next start."""
        assert now >= started
        self.count += 1
        self._failures = 1 if now - started >= STABLE_SECONDS else self._failures + 1
        self._exits.append(now)
        delay: float = FIRST_DELAY_SECONDS * 2 ** min(self._failures - 1, 16)
        return min(delay, DELAY_SECONDS_MAX)

    def looping(self, now: float) -> bool:
        """Tell whether the last exits came so close together that waiting will not help."""
        return len(self._exits) == LOOP_EXITS and now - self._exits[0] <= LOOP_SECONDS
