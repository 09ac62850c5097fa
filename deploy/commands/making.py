"""Follows a run on the terminal and fetches its pictures."""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from deploy.client import Document, ReelmeshClient
from deploy.commands.terminal import progress
from deploy.local.failures import LocalFailure


class RunFailed(LocalFailure):
    """A run ended without pictures."""

    def __init__(self, run: Document) -> None:
        error = run.get("error") or {}
        why = f": {error.get('message')} ({error.get('reason')})" if error else ""
        super().__init__(
            f"The run {run['run_id']} ended {run['state']}{why}. Nothing was charged; see "
            "`reelmesh logs scheduler` and `reelmesh logs business` for what happened."
        )


async def make_pictures(
    client: ReelmeshClient, tool: str, inputs: dict[str, Any], count: int = 1
) -> tuple[Document, Document, list[bytes]]:
    """Run a tool and give the run as it began, the run as it ended, and its pictures.

    Raises:
        RunFailed: it ended otherwise than succeeded.
    """
    begun = await client.run(tool, inputs, count)
    finished = await follow_on_terminal(client, begun)
    if finished["state"] != "succeeded":
        raise RunFailed(finished)
    pictures = [await client.download(one["asset_id"]) for one in finished["outputs"]]
    return begun, finished, pictures


async def follow_on_terminal(client: ReelmeshClient, run: Document) -> Document:
    """Show a bar with the denoising steps until the run is finished, and give it then."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeElapsedColumn(),
        console=progress,
    ) as bar:
        task = bar.add_task(run["state"], total=None)
        newest = run
        async for newest in client.follow(run["run_id"]):
            bar.update(
                task,
                description=newest["state"],
                completed=newest.get("step", 0),
                total=newest.get("steps") or None,
            )
    return newest
