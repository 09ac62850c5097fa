"""Which posts stand first in explore: pure functions."""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

RANKED_MAX: Final = 1_000
PER_AUTHOR_MAX: Final = 10
# Ten times as many points weigh as much as half a day.
SECONDS_PER_DECADE: Final = 12 * 3600
POINTS_MIN: Final = 2
REMIX_POINTS: Final = 2


@dataclass(frozen=True, slots=True)
class Candidate:
    """A public post that may be ranked."""

    post_id: uuid.UUID
    author_id: uuid.UUID


def hot_score(*, likes: int, commenters: int, remixes: int, created_at: datetime) -> float:
    """Return a score whose order between two posts never changes by the passing of time.

    So it is stored and changes only when the numbers do. Points count distinct users other than
    the author: a like and a comment one each, a remix two. Times are the server's own.
    """
    assert min(likes, commenters, remixes) >= 0
    points = max(POINTS_MIN, POINTS_MIN + likes + commenters + REMIX_POINTS * remixes)
    return math.log10(points) + created_at.timestamp() / SECONDS_PER_DECADE


def ranked(candidates: Iterable[Candidate]) -> list[uuid.UUID]:
    """Return up to 1,000 posts in the given order, at most 10 of one author."""
    of_author: Counter[uuid.UUID] = Counter()
    chosen: list[uuid.UUID] = []
    for candidate in candidates:
        if of_author[candidate.author_id] == PER_AUTHOR_MAX:
            continue
        of_author[candidate.author_id] += 1
        chosen.append(candidate.post_id)
        if len(chosen) == RANKED_MAX:
            break
    return chosen
