"""Slows guessing down: each attempt is counted before it is made, and a success is forgiven.

An attempt is counted for several subjects at once. Beyond a subject's free attempts each further
one doubles the pause before the next, up to a bound; nobody is ever locked out for good. The
pause for an account from everywhere is short, so that a stranger can be a nuisance to its owner
for seconds only; the pair of account and network, and the network, pause for longer.

| subject              | free attempts | longest pause | forgotten after |
|----------------------|---------------|---------------|-----------------|
| account from network | 10            | 15 minutes    | 1 day           |
| account              | 50            | 30 seconds    | 1 hour          |
| network              | 100           | 15 minutes    | 1 hour          |
| sign-ups of network  | a setting     | 15 minutes    | 1 hour          |
| mails to an address  | 3             | 15 minutes    | 1 hour          |
| mails for a network  | 30            | 15 minutes    | 1 hour          |
| codes from a network | 30            | 15 minutes    | 1 hour          |
| second step of user  | 5             | 15 minutes    | 1 day           |
| password of user     | 10            | 15 minutes    | 1 day           |

A network is an IPv4 address or the first 64 bits of an IPv6 address (RFC 6177: what one customer
gets at the least).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FIRST_PAUSE = timedelta(seconds=1)
# Beyond this many doublings every bound is long reached.
DOUBLINGS_MAX = 16


@dataclass(frozen=True, slots=True)
class Limit:
    """How many attempts a subject has free, and what follows."""

    free_attempts: int
    pause_max: timedelta
    forget_after: timedelta

    def pause(self, attempts: int) -> timedelta:
        """Return how long to wait after so many attempts."""
        over = attempts - self.free_attempts
        if over < 0:
            return timedelta(0)
        return min(self.pause_max, FIRST_PAUSE * (1 << min(over, DOUBLINGS_MAX)))


@dataclass(frozen=True, slots=True)
class Subject:
    """Who or what is limited; `key` holds no address or name in clear.

    A success wipes the record of an account, but of a network only its own attempt: or else a
    guesser would sign in to an account of their own from time to time.
    """

    key: str
    limit: Limit
    is_wiped_by_success: bool = True


@dataclass(frozen=True, slots=True)
class Tally:
    """What is remembered of a subject."""

    attempts: int = 0
    last_at: datetime | None = None
    blocked_until: datetime | None = None


ACCOUNT_FROM_NETWORK = Limit(10, timedelta(minutes=15), timedelta(days=1))
ACCOUNT = Limit(50, timedelta(seconds=30), timedelta(hours=1))
NETWORK = Limit(100, timedelta(minutes=15), timedelta(hours=1))
MAILS_TO_ADDRESS = Limit(3, timedelta(minutes=15), timedelta(hours=1))
MAILS_FOR_NETWORK = Limit(30, timedelta(minutes=15), timedelta(hours=1))
CODES_FROM_NETWORK = Limit(30, timedelta(minutes=15), timedelta(hours=1))
SECOND_STEP = Limit(5, timedelta(minutes=15), timedelta(days=1))
PASSWORD_OF_USER = Limit(10, timedelta(minutes=15), timedelta(days=1))
FORGET_AFTER_MAX = timedelta(days=1)


def sign_in_subjects(email_key: str, network: str) -> tuple[Subject, ...]:
    """Return what an attempt to sign in counts for."""
    return (
        Subject(_key("account-network", email_key, network), ACCOUNT_FROM_NETWORK),
        Subject(_key("account", email_key), ACCOUNT),
        Subject(_key("network", network), NETWORK, is_wiped_by_success=False),
    )


def sign_up_subjects(network: str, *, free_attempts: int) -> tuple[Subject, ...]:
    """Return what an attempt to sign up counts for; successes are not forgiven here."""
    limit = Limit(free_attempts, timedelta(minutes=15), timedelta(hours=1))
    return (Subject(_key("sign-up", network), limit),)


def mail_subjects(email_key: str, network: str) -> tuple[Subject, ...]:
    """Return what asking for a mail counts for, whether anybody has the address or not."""
    return (
        Subject(_key("mail", email_key), MAILS_TO_ADDRESS),
        Subject(_key("mail-network", network), MAILS_FOR_NETWORK),
    )


def code_subjects(network: str) -> tuple[Subject, ...]:
    """Return what trying a mailed code counts for."""
    return (Subject(_key("code-network", network), CODES_FROM_NETWORK, is_wiped_by_success=False),)


def second_step_subjects(user_id: uuid.UUID) -> tuple[Subject, ...]:
    """Return what trying an authenticator's or a recovery code counts for."""
    return (Subject(_key("second-step", str(user_id)), SECOND_STEP),)


def password_subjects(user_id: uuid.UUID) -> tuple[Subject, ...]:
    """Return what a signed-in user's try of their password counts for."""
    return (Subject(_key("password", str(user_id)), PASSWORD_OF_USER),)


def count_attempt(
    subjects: Sequence[Subject], tallies: Mapping[str, Tally], now: datetime
) -> dict[str, Tally] | timedelta:
    """Count an attempt for all subjects, or say how long to wait if one of them is blocked."""
    waits = [
        tally.blocked_until - now
        for subject in subjects
        if (tally := tallies[subject.key]).blocked_until is not None and tally.blocked_until > now
    ]
    if waits:
        return max(waits)
    return {subject.key: _counted(tallies[subject.key], subject.limit, now) for subject in subjects}


def forgive(subject: Subject, tally: Tally) -> Tally:
    """Take back the newest attempt, which has turned out well or was not made at all."""
    if subject.is_wiped_by_success:
        return Tally()
    return replace(tally, attempts=max(0, tally.attempts - 1), blocked_until=None)


def _counted(tally: Tally, limit: Limit, now: datetime) -> Tally:
    forgotten = tally.last_at is None or tally.last_at + limit.forget_after <= now
    attempts = 1 if forgotten else tally.attempts + 1
    pause = limit.pause(attempts)
    return Tally(attempts, now, now + pause if pause else None)


def _key(kind: str, *parts: str) -> str:
    digest = hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:32]
    return f"{kind}:{digest}"
