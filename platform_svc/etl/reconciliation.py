"""Whether the credits of the marts are those of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

NOT_IN_MART: Final = "every capture of a run in the ledger is a charge in the mart"
NOT_IN_LEDGER: Final = "every charge in the mart is in the ledger, with its amount"
TOTALS_DIFFER: Final = "the mart's credits are those of the ledger"
RUN_PREFIX: Final = "run_"
# A capture comes before the event of its run, by as long as the service between was away.
BEFORE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Capture:
    """Credits that the ledger says were charged for a hold."""

    hold_id: str
    amount_credits: int
    captured_at: datetime


@dataclass(frozen=True, slots=True)
class Books:
    """Both sides: `charges` and `mart_credits` of the lake, `captures` of the ledger.

    Captures are those since `covered_from` less a day. Before `covered_from` the lake has no
    events; after `settled_until` they may still be on their way.
    """

    charges: Mapping[str, int]
    mart_credits: int
    captures: Sequence[Capture]
    covered_from: datetime
    settled_until: datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """What comparing gave; `pending_credits` are captured and not yet due in the mart."""

    mart_credits: int
    ledger_credits: int
    pending_credits: int
    offenders: Mapping[str, Sequence[str]]


def compare(books: Books) -> Comparison:
    """Compare run by run, and the sums; each check that fails names its offenders."""
    captured = {one.hold_id: one for one in books.captures if one.hold_id.startswith(RUN_PREFIX)}
    missing = [one for run_id, one in captured.items() if run_id not in books.charges]
    late = [one for one in missing if one.captured_at > books.settled_until]
    offenders: dict[str, Sequence[str]] = {
        NOT_IN_MART: sorted(
            one.hold_id
            for one in missing
            if books.covered_from <= one.captured_at <= books.settled_until
        ),
        NOT_IN_LEDGER: sorted(
            run_id
            for run_id, amount in books.charges.items()
            if run_id not in captured or captured[run_id].amount_credits != amount
        ),
    }
    covered = [
        one
        for run_id, one in captured.items()
        if run_id in books.charges or one.captured_at >= books.covered_from
    ]
    ledger_credits = sum(one.amount_credits for one in covered)
    pending = sum(one.amount_credits for one in late)
    if books.mart_credits != ledger_credits - pending:
        text = f"mart {books.mart_credits}, ledger {ledger_credits}, of which pending {pending}"
        offenders[TOTALS_DIFFER] = [text]
    found = {name: ids for name, ids in offenders.items() if ids}
    return Comparison(books.mart_credits, ledger_credits, pending, found)
