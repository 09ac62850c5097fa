"""Calendar months: the same day of each, or the last one where a month is too short."""

from __future__ import annotations

import calendar
from datetime import datetime

MONTHS_PER_YEAR = 12


def add_months(moment: datetime, months: int) -> datetime:
    """Return the moment some months later; 31 January and one month give the end of February.

    Terms are counted from their first day, never from the last term's end, so that a short month
    moves no later ones.
    """
    index = moment.year * MONTHS_PER_YEAR + moment.month - 1 + months
    year, month = divmod(index, MONTHS_PER_YEAR)
    last_day = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last_day))
