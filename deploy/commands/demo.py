"""`reelmesh demo`: boots everything, makes one picture and shows what happened."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from deploy.account import new_credentials
from deploy.client import Document, ReelmeshClient
from deploy.commands.booting import booted
from deploy.commands.making import make_pictures
from deploy.commands.terminal import (
    DataOption,
    JsonOption,
    explained,
    progress,
    results,
)
from deploy.local.failures import LocalFailure
from deploy.local.interruption import run_until_signal
from deploy.local.layout import Layout
from deploy.preview import NotAPicture, decode_png, render

TOOL: Final = "text-to-image"
PROMPT: Final = "a small red circle above a large blue square on a white background"
SIZE: Final = (64, 64)
MILLISECONDS: Final = 1000


@dataclass(frozen=True)
class Report:
    """What the demo saw; credits are whole numbers, times are milliseconds."""

    email: str
    sign_up_ms: int
    estimate: int
    before: Document
    after: Document
    held: int
    run: Document
    picture: bytes
    path: Path
    startup_seconds: float

    def document(self) -> dict[str, Any]:
        """Give the report as JSON-ready values."""
        timings = self.run["timings"]
        return {
            "ok": True,
            "prompt": PROMPT,
            "picture": {"path": str(self.path), "width": SIZE[0], "height": SIZE[1]},
            "run_id": self.run["run_id"],
            "region": self.run["region"],
            "user": self.email,
            "credits": {
                "before": self.before["available"],
                "estimate": self.estimate,
                "held": self.held,
                "captured": self.run["credits_charged"],
                "after": self.after["available"],
                "still_held": self.after["held"],
            },
            "timings_ms": {
                "sign_up": self.sign_up_ms,
                "queue": timings["queue_ms"],
                "run": timings["run_ms"],
                "per_step": round(timings["run_ms"] / max(1, self.run["steps"]), 1),
                "upload": timings["upload_ms"],
                "total": timings["total_ms"],
            },
            "steps": self.run["steps"],
            "startup_seconds": round(self.startup_seconds, 1),
        }


class DemoFailed(LocalFailure):
    """The picture is there, but something that must hold with it does not."""


def demo(data: DataOption = None, *, as_json: JsonOption = False) -> None:
    """Boot everything, sign up, make a picture, show it, stop everything."""
    layout = Layout.at(data)
    with explained():
        layout.prepare()
        show = _show_json if as_json else _show
        run_until_signal(
            _demo(layout, show), on_signal=lambda: progress.print("Stopping everything ...")
        )


async def _demo(layout: Layout, show: Callable[[Report], None]) -> None:
    began = time.monotonic()
    async with booted(layout) as gateway_url:
        startup_seconds = time.monotonic() - began
        async with ReelmeshClient(gateway_url) as client:
            show(await _main_job(client, layout, startup_seconds))


async def _main_job(client: ReelmeshClient, layout: Layout, startup_seconds: float) -> Report:
    email, password = new_credentials("demo")
    began = time.monotonic()
    await client.sign_up(email, password, "Demo")
    sign_up_ms = round((time.monotonic() - began) * MILLISECONDS)
    progress.print(f"Signed up as {email}", highlight=False)
    before = await client.balance()
    inputs = {"prompt": PROMPT}
    estimate = await client.estimate(TOOL, inputs)
    begun, finished, pictures = await make_pictures(client, TOOL, inputs)
    path = _keep(layout, finished["run_id"], pictures)
    after = await client.balance()
    report = Report(
        *(email, sign_up_ms, estimate, before, after, begun["credits_held"]),
        *(finished, pictures[0], path, startup_seconds),
    )
    _verify(report, await client.ledger())
    return report


def _keep(layout: Layout, run_id: str, pictures: list[bytes]) -> Path:
    """Write the picture to the data folder, once it is known to be one."""
    if len(pictures) != 1:
        raise DemoFailed(f"The run gave {len(pictures)} pictures where one was asked for.")
    try:
        picture = decode_png(pictures[0])
    except NotAPicture as error:
        raise DemoFailed(f"The run succeeded, but {error}.") from error
    if picture.size != SIZE:
        raise DemoFailed(f"The picture has {picture.size} pixels where {SIZE} were asked for.")
    folder = layout.data / "pictures"
    folder.mkdir(exist_ok=True)
    path = folder / f"{run_id}.png"
    path.write_bytes(pictures[0])
    return path


def _verify(report: Report, ledger: list[Document]) -> None:
    """Demand that the credits add up."""
    charged = report.run["credits_charged"]
    facts = {
        "the estimate was held": report.held == report.estimate,
        "no more than the hold was charged": 0 < charged <= report.held,
        "the balance fell by the charge": (
            report.after["available"] == report.before["available"] - charged
        ),
        "nothing is held any more": report.after["held"] == 0,
        "the ledger sums to the balance": (
            sum(entry["amount_credits"] for entry in ledger) == report.after["total"]
        ),
        "the ledger has one capture": (
            [e["amount_credits"] for e in ledger if e["kind"] == "capture"] == [-charged]
        ),
    }
    broken = [fact for fact, holds in facts.items() if not holds]
    if broken:
        raise DemoFailed(
            "The picture is there, but the credits do not add up; these do not hold: "
            f"{'; '.join(broken)}. Balance {report.after}, ledger {ledger}."
        )


def _show_json(report: Report) -> None:
    results.print_json(json.dumps(report.document()))


def _show(report: Report) -> None:
    document = report.document()
    credit, times = document["credits"], document["timings_ms"]
    table = Table(title="What happened", box=None, show_header=False, title_justify="left")
    rows = (
        ("signed up", report.email, f"{times['sign_up']} ms"),
        ("credits before", str(credit["before"]), ""),
        ("credits held", str(credit["held"]), "(the estimate)"),
        ("credits captured", str(credit["captured"]), "(what was used)"),
        ("credits after", str(credit["after"]), ""),
        ("queue time", f"{times['queue']} ms", f"(region {document['region']})"),
        ("run time", f"{times['run']} ms", f"({document['steps']} steps)"),
        ("run time per step", f"{times['per_step']} ms", ""),
        ("upload", f"{times['upload']} ms", ""),
        ("total", f"{times['total']} ms", "(submission to picture)"),
        ("platform start", f"{document['startup_seconds']} s", ""),
    )
    for row in rows:
        table.add_row(*row)
    results.print(render(decode_png(report.picture), results))
    results.print(f'"{PROMPT}"', highlight=False)
    results.print()
    results.print(table)
    results.print()
    results.print(f"The picture: {report.path}", markup=False, highlight=False)
