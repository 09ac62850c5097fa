"""Writes the report of a run: one page of plots that needs nothing else."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any, Final

from platform_svc.etl.marts.fold import Row
from platform_svc.etl.plots import Bar, bars, columns
from platform_svc.etl.run import CHECKS, Outcome

DAYS_MAX: Final = 14
CREATORS_MAX: Final = 10
LINES_MAX: Final = 30
MICROS: Final = 1_000_000
MILLICREDITS: Final = 1_000
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 760px; color: #222 }
table { border-collapse: collapse; font-size: 13px } td, th { padding: 2px 10px; text-align: right }
td:first-child, th:first-child { text-align: left } tr:nth-child(even) { background: #f4f4f4 }
svg text { font: 12px system-ui, sans-serif } .bad { color: #b00020 } .good { color: #1b7d3c }
"""

Rows = Mapping[str, Sequence[Row]]


def render(rows: Rows, outcome: Outcome, *, made_at: datetime) -> str:
    """Give the page: the funnel, revenue and cost, creators, and the checks."""
    body = [
        "<h1>Reelmesh: what happened</h1>",
        f"<p>Made at {made_at:%Y-%m-%d %H:%M} UTC from every event that was published.</p>",
        _checks(outcome),
        "<h2>Funnel of the newest sign-ups</h2>",
        _funnel(rows["funnel"]),
        "<h2>Revenue and cost by day</h2>",
        _by_day(rows["unit_economics"]),
        "<h2>Per run, by tool and region</h2>",
        _by_tool(rows["unit_economics"]),
        "<h2>What creators earned from remixes</h2>",
        _creators(rows["creator_earnings"]),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>Reelmesh report</title><style>{STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>"
    )


def _checks(outcome: Outcome) -> str:
    lines = []
    for check in CHECKS:
        found = outcome.offenders.get(check, ())
        names = escape(", ".join(map(str, found[:10])))
        mark = f'<span class="bad">broken: {names}</span>' if found else "holds"
        kind = "bad" if found else "good"
        lines.append(f'<li class="{kind}">{escape(check)}: {mark}</li>')
    counts = outcome.counts
    credits_ = (
        f"<p>Credits: {counts.get('mart_credits', 0)} in the mart,"
        f" {counts.get('ledger_credits', 0)} in the ledger, of which"
        f" {counts.get('pending_credits', 0)} are on their way.</p>"
    )
    return f"<h2>Checks</h2><ul>{''.join(lines)}</ul>{credits_}"


def _funnel(rows: Sequence[Row]) -> str:
    days = sorted({row["day"] for row in rows}, reverse=True)[:DAYS_MAX]
    users: dict[tuple[int, str], int] = Counter()
    for row in rows:
        if row["day"] in days:
            users[row["position"], row["stage"]] += row["users"]
    if not users:
        return _nothing()
    cohort = max(users.values()) or 1
    drawn = [
        Bar(stage.replace("_", " "), count, f"{count} ({count / cohort:.0%})")
        for (_, stage), count in sorted(users.items())
    ]
    return bars(drawn)


def _by_day(rows: Sequence[Row]) -> str:
    revenue: Counter[Any] = Counter()
    cost: Counter[Any] = Counter()
    for row in rows:
        revenue[row["day"]] += row["revenue_micros"]
        cost[row["day"]] += row["cost_micros"]
    days = sorted(revenue)[-DAYS_MAX:]
    if not days:
        return _nothing()
    series = {
        "revenue": [revenue[day] / MICROS for day in days],
        "cost": [cost[day] / MICROS for day in days],
    }
    return columns([f"{day:%d %b}" for day in days], series)


def _by_tool(rows: Sequence[Row]) -> str:
    sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        wanted = ("runs", "succeeded", "credits_charged", "revenue_micros", "cost_micros")
        sums[row["tool"], row["region"]].update({name: row[name] for name in wanted})
    if not sums:
        return _nothing()
    lines = [
        [
            f"{tool}, {region}",
            one["runs"],
            f"{one['succeeded'] / one['runs']:.0%}",
            one["credits_charged"],
            f"{one['revenue_micros'] / one['runs'] / MICROS:.4f}",
            f"{one['cost_micros'] / one['runs'] / MICROS:.4f}",
        ]
        for (tool, region), one in sorted(sums.items())[:LINES_MAX]
    ]
    return _table(
        ["tool, region", "runs", "succeeded", "credits", "revenue a run", "cost a run"], lines
    )


def _creators(rows: Sequence[Row]) -> str:
    earned: Counter[str] = Counter()
    for row in rows:
        earned[row["creator_user_id"]] += row["earned_millicredits"]
    if not earned:
        return _nothing()
    return bars(
        [
            Bar(creator, amount, f"{amount / MILLICREDITS:.3f} credits")
            for creator, amount in earned.most_common(CREATORS_MAX)
        ]
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    def cells(tag: str, values: Sequence[object]) -> str:
        return "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values)

    body = "".join(f"<tr>{cells('td', line)}</tr>" for line in lines)
    return f"<table><tr>{cells('th', head)}</tr>{body}</table>"


def _nothing() -> str:
    return "<p>Nothing yet.</p>"
