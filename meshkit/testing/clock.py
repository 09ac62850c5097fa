"""A clock that moves only when a test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from meshkit.clock import Ambient

START = datetime(2026, 1, 10, 9, 0, tzinfo=UTC)


class ManualClock:
    """Gives the same time until it is advanced."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def now(self) -> datetime:
        """Give the time that the clock stands at."""
        return self._now

    def advance(self, *, seconds: float) -> None:
        """Move the clock forward."""
        assert seconds >= 0, "time does not run backwards"
        self._now += timedelta(seconds=seconds)

    @property
    def ambient(self) -> Ambient:
        """An Ambient with this time and real ids."""
        return Ambient(now=self.now)
