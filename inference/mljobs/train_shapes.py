"""Trains the `shapes` model from scratch and writes a diffusers folder of half-precision weights.

Runs alone (`python -m inference.mljobs.train_shapes --output DIR`) and under `ray job submit`;
with `--resume` it goes on from the checkpoints in the output folder.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import torch
from torch.multiprocessing.spawn import spawn

from inference.mljobs.shapes.curriculum import Curriculum
from inference.mljobs.shapes.options import Options, read_options
from inference.mljobs.shapes.team import join_team, leave_team

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def _work(worker: int, options: Options, meeting_file: Path) -> None:
    # The workers share one machine; without this gloo may look for a name of the machine.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(options.threads)
    deadline = None
    if options.minutes is not None:
        deadline = time.monotonic() + options.minutes * 60
    team = join_team(worker, options.workers, meeting_file)
    Curriculum(options, team, deadline).run()
    leave_team(team)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line asks."""
    options = read_options(arguments, __doc__)
    options.output.mkdir(parents=True, exist_ok=True)
    asked = {name: str(getattr(options, name)) for name in options.__slots__}
    (options.output / "options.json").write_text(json.dumps(asked, indent=2) + "\n")
    meeting_file = options.output / f"meeting-{os.getpid()}"
    if options.workers == 1:
        _work(0, options, meeting_file)
        return
    spawn(_work, (options, meeting_file), nprocs=options.workers)  # type: ignore[no-untyped-call] # torch leaves it so
    meeting_file.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
