"""The life of a job: one table from state and event to state.

    submit ──► QUEUED ──GRANT──► LEASED ──START──► RUNNING ──COMPLETE──► SUCCEEDED
                │ ▲                 │                 │ │
                │ └─RETRY,HAND_BACK─┴────────◄────────┤ ├──REJECT,EXHAUST──► FAILED
                │                                     │ │
                │                   CANCEL ◄──────────┘ └─► STOP ──► CANCELED
                │                     ▼                                ▲
                ├──CANCEL──►          CANCELING ──any end of the lease─┤
                │                                                      │
                └──MISS_DEADLINE──► EXPIRED        (QUEUED) ──CANCEL───┘

LEASED and CANCELING take what RUNNING takes. Once a cancel was acknowledged the job can only end
canceled: a completion that comes later is refused, so nothing is charged after a cancel.
"""

from __future__ import annotations

import enum
from typing import Final


class State(enum.StrEnum):
    """Where a job is; the value is what is stored in its outcome."""

    QUEUED = "queued"
    LEASED = "leased"
    RUNNING = "running"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


class Event(enum.StrEnum):
    """What may happen to a job."""

    GRANT = "grant"
    START = "start"
    COMPLETE = "complete"
    REJECT = "reject"
    RETRY = "retry"
    EXHAUST = "exhaust"
    HAND_BACK = "hand_back"
    CANCEL = "cancel"
    STOP = "stop"
    MISS_DEADLINE = "miss_deadline"


TERMINAL: Final = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED})
LIVE: Final = frozenset({State.LEASED, State.RUNNING, State.CANCELING})

_UNDER_LEASE: Final = {
    Event.START: State.RUNNING,
    Event.COMPLETE: State.SUCCEEDED,
    Event.REJECT: State.FAILED,
    Event.RETRY: State.QUEUED,
    Event.EXHAUST: State.FAILED,
    Event.HAND_BACK: State.QUEUED,
    Event.CANCEL: State.CANCELING,
    Event.STOP: State.CANCELED,
}
_WHILE_CANCELING: Final = dict.fromkeys(_UNDER_LEASE, State.CANCELED) | {
    Event.START: State.CANCELING,
    Event.CANCEL: State.CANCELING,
}
TRANSITIONS: Final[dict[tuple[State, Event], State]] = (
    {
        (State.QUEUED, Event.GRANT): State.LEASED,
        (State.QUEUED, Event.CANCEL): State.CANCELED,
        (State.QUEUED, Event.MISS_DEADLINE): State.EXPIRED,
    }
    | {(State.LEASED, event): after for event, after in _UNDER_LEASE.items()}
    | {(State.RUNNING, event): after for event, after in _UNDER_LEASE.items()}
    | {(State.CANCELING, event): after for event, after in _WHILE_CANCELING.items()}
)


def transition(state: State, event: Event) -> State:
    """Return the state after the event; an event that cannot happen there is a bug."""
    after = TRANSITIONS.get((state, event))
    assert after is not None, f"{event} cannot happen to a job that is {state}"
    return after


def public(state: State) -> str:
    """Name the state for callers, who do not see the steps of a lease."""
    return State.RUNNING.value if state in LIVE else state.value
