"""When a run that is not settled is looked at again, in case nobody else moved it on."""

from __future__ import annotations

from datetime import datetime, timedelta

from business_svc.tools.runs import Phase, Run

# Longer than a call to another part may take, so that a call in progress is left alone.
STUCK = timedelta(seconds=5)
# An active run is moved on by an event; looking is only for events that were lost.
ACTIVE = timedelta(seconds=15)
BACKOFF_MAX = timedelta(seconds=60)
DOUBLINGS_MAX = 8


def first_look(run: Run, now: datetime) -> datetime | None:
    """Return when to look at a run that has just moved; None once it is settled."""
    if run.settled:
        return None
    if run.phase is Phase.SETTLING:
        return now
    if run.phase is Phase.ACTIVE and not run.cancel_requested:
        return now + ACTIVE
    return now + STUCK


def next_look(tries: int, now: datetime) -> datetime:
    """Return when to look again if this look, the `tries`-th in a row, moves nothing."""
    assert tries >= 1, tries
    return now + min(BACKOFF_MAX, STUCK * (1 << min(tries - 1, DOUBLINGS_MAX)))
