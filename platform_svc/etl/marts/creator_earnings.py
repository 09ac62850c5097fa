"""What creators earn when others remix what they published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import ClassVar, Final

from platform_svc.etl.config import MartSettings
from platform_svc.etl.marts.fold import (
    POST_PUBLISHED,
    RUN_FINISHED,
    Row,
    keep_first,
    properties_of,
)
from platform_svc.etl.records import Event

MILLICREDITS_PER_CREDIT: Final = 1000


@dataclass(slots=True)
class _Sums:
    remixes: int = 0
    credits_of_remixes: int = 0
    earned_millicredits: int = 0


@dataclass
class CreatorEarnings:
    """Earnings by the UTC month of the remix's end, and creator.

    A share of a remix's credits goes in equal parts to the other authors of what it is made of;
    fractions of a thousandth of a credit are dropped. A run counts once, by the first post that
    shows it. Rows: month (its first day), creator_user_id, remixes, credits_of_remixes,
    earned_millicredits, earned_micros.
    """

    settings: MartSettings
    name: ClassVar[str] = "creator_earnings"
    events: ClassVar[frozenset[str]] = frozenset({POST_PUBLISHED, RUN_FINISHED})
    _posts: dict[str, Event] = field(default_factory=dict)
    _runs: dict[str, Event] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Take one event into account."""
        properties = properties_of(event)
        if event.name == POST_PUBLISHED:
            keep_first(self._posts, properties["post_id"], event)
        else:
            keep_first(self._runs, properties["run_id"], event)

    def rows(self) -> Sequence[Row]:
        """Give the table, the newest months first."""
        sums: dict[tuple[date, str], _Sums] = defaultdict(_Sums)
        for run, post in self._remixes():
            creators = self._creators(post)
            credits_charged = properties_of(run)["credits_charged"]
            pool = credits_charged * MILLICREDITS_PER_CREDIT * self.settings.royalty_percent // 100
            for creator in creators:
                one = sums[run.occurred_at.date().replace(day=1), creator]
                one.remixes += 1
                one.credits_of_remixes += credits_charged
                one.earned_millicredits += pool // len(creators)
        ordered = sorted(sums.items(), key=lambda item: (-item[0][0].toordinal(), item[0][1]))
        return [self._row(month, creator, one) for (month, creator), one in ordered]

    def _remixes(self) -> Iterator[tuple[Event, Event]]:
        """Give each run that was charged with the first post that shows it."""
        shown: dict[str, Event] = {}
        for post in self._posts.values():
            if run_id := properties_of(post)["run_id"]:
                keep_first(shown, run_id, post)
        for run_id, post in shown.items():
            run = self._runs.get(run_id)
            if run is not None and properties_of(run)["credits_charged"]:
                yield run, post

    def _creators(self, post: Event) -> set[str]:
        parents = (self._posts.get(one) for one in properties_of(post)["parent_post_ids"])
        authors = {parent.user_id for parent in parents if parent is not None}
        return authors - {post.user_id, ""}

    def _row(self, month: date, creator: str, sums: _Sums) -> Row:
        micros = sums.earned_millicredits * self.settings.credit_micros // MILLICREDITS_PER_CREDIT
        return {
            "month": month,
            "creator_user_id": creator,
            "remixes": sums.remixes,
            "credits_of_remixes": sums.credits_of_remixes,
            "earned_millicredits": sums.earned_millicredits,
            "earned_micros": micros,
        }
