"""How far the users who signed up on a day have come since."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from typing import ClassVar, Final

from platform_svc.etl.marts.fold import (
    RUN_FINISHED,
    SIGNED_UP,
    TOOL_OPENED,
    Row,
    keep_first,
    properties_of,
)
from platform_svc.etl.records import Event

# Who reached a stage has reached those before it, also if a frontend told nothing of them.
STAGES: Final = ("signed_up", "opened_tool", "ran", "got_result", "came_back")
OPENED, RAN, GOT_RESULT, CAME_BACK = range(1, 5)


class Funnel:
    """Users by the UTC day of their sign-up and the furthest stage that they reached.

    `came_back` is a run on a later day than the sign-up. Rows: day, position, stage, users,
    cohort (who signed up that day), share (of the cohort, 0 to 1).
    """

    name: ClassVar[str] = "funnel"
    events: ClassVar[frozenset[str]] = frozenset({SIGNED_UP, TOOL_OPENED, RUN_FINISHED})

    def __init__(self) -> None:
        self._signed_up: dict[str, Event] = {}
        self._reached: dict[str, int] = defaultdict(int)
        self._last_run: dict[str, date] = {}

    def add(self, event: Event) -> None:
        """Take one event into account."""
        user = event.user_id
        if event.name == SIGNED_UP:
            keep_first(self._signed_up, user, event)
        elif event.name == TOOL_OPENED:
            self._reached[user] = max(self._reached[user], OPENED)
        else:
            succeeded = properties_of(event)["state"] == "succeeded"
            self._reached[user] = max(self._reached[user], GOT_RESULT if succeeded else RAN)
            day = event.occurred_at.date()
            self._last_run[user] = max(self._last_run.get(user, day), day)

    def rows(self) -> Sequence[Row]:
        """Give every day and stage, the newest days first."""
        furthest: dict[date, Counter[int]] = defaultdict(Counter)
        for user, event in self._signed_up.items():
            day = event.occurred_at.date()
            came_back = self._last_run.get(user, day) > day
            furthest[day][CAME_BACK if came_back else self._reached.get(user, 0)] += 1
        return [
            _row(day, position, counts)
            for day, counts in sorted(furthest.items(), reverse=True)
            for position in range(len(STAGES))
        ]


def _row(day: date, position: int, furthest: Counter[int]) -> Row:
    users = sum(count for reached, count in furthest.items() if reached >= position)
    cohort = furthest.total()
    return {
        "day": day,
        "position": position,
        "stage": STAGES[position],
        "users": users,
        "cohort": cohort,
        "share": users / cohort,
    }
