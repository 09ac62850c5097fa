"""The comparison as one HTML page without any outside resource."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any, Final

from inference.simulation.charts import Axes, line_chart

WAITS: Final = Axes(
    "Share of jobs that waited at most so long",
    "wait, seconds",
    "share of jobs",
    is_logarithmic=True,
)
BACKLOG: Final = Axes("Jobs that wait, over time", "time, seconds", "waiting jobs")
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; color: #222; }
table { border-collapse: collapse; } td, th { padding: .25rem .75rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } tr + tr { border-top: 1px solid #ddd; }
svg { width: 100%; } svg text { font: 11px system-ui, sans-serif; }
"""
NOTE: Final = (
    "p50, p95 and p99 are waits, missed are start deadlines, swaps are model loads a job. "
    "Fairness is Jain's index over the tenants' mean speed, which is the time that a job takes on "
    "a device of its own over the time that it took with its wait. Cost is device seconds times "
    "the price of their region. Policies that give every tenant its turn let a tenant that floods "
    "the queue wait longest, so the slowest jobs are its own."
)
Figure = Callable[[Mapping[str, Any]], str]
COLUMNS: Final[tuple[tuple[str, Figure], ...]] = (
    ("p50 s", lambda f: f"{f['wait_seconds']['p50']:.1f}"),
    ("p95 s", lambda f: f"{f['wait_seconds']['p95']:.1f}"),
    ("p99 s", lambda f: f"{f['wait_seconds']['p99']:.1f}"),
    ("missed", lambda f: f"{f['deadline_misses']}/{f['deadlines']}"),
    ("Jain", lambda f: f"{f['fairness_jain']:.3f}"),
    ("busy", lambda f: f"{f['utilisation']:.1%}"),
    ("swaps", lambda f: f"{f['swaps_per_job']:.2f}"),
    ("cost", lambda f: f"{f['cost']:.0f}"),
)


def rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Give the table of figures, its heading first."""
    heading = ["policy", *(name for name, _ in COLUMNS)]
    return [heading] + [
        [name, *(figure(figures) for _, figure in COLUMNS)]
        for name, figures in document["policies"].items()
    ]


def page(document: Mapping[str, Any]) -> str:
    """Give the report; the same document gives the same bytes."""
    shapes = document["curves"]
    return "".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8">',
            f"<title>Reelmesh simulation</title><style>{STYLE}</style>",
            "<h1>Scheduling policies side by side</h1>",
            f"<p>{_summary(document)}</p>",
            _table(rows(document)),
            "<h2>Waits by band</h2>",
            _table(_band_rows(document)),
            f"<h2>{WAITS.title}</h2>",
            line_chart(WAITS, {name: one["wait"] for name, one in shapes.items()}),
            f"<h2>{BACKLOG.title}</h2>",
            line_chart(BACKLOG, {name: one["backlog"] for name, one in shapes.items()}),
            f"<p>{NOTE}</p></html>\n",
        ]
    )


def _summary(document: Mapping[str, Any]) -> str:
    fleet = ", ".join(
        f"{one['devices']} in {one['region']} at price {one['price']:g}"
        for one in document["fleet"]
    )
    return html.escape(
        f"{document['requests']} jobs of {document['tenants']} tenants for {document['models']} "
        f"models, from {document['source']}. Devices: {fleet}; each keeps "
        f"{document['resident_models']} models loaded."
    )


def _band_rows(document: Mapping[str, Any]) -> list[list[str]]:
    table = [["policy", "band", "p50", "p95", "p99"]]
    for name, figures in document["policies"].items():
        for band, quantiles in figures["wait_seconds_by_band"].items():
            table.append([name, band, *(f"{quantiles[key]:.1f} s" for key in table[0][2:])])
    return table


def _table(table: list[list[str]]) -> str:
    heading, *body = [[html.escape(cell) for cell in row] for row in table]
    lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in heading) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body]
    return f"<table>{''.join(lines)}</table>"
