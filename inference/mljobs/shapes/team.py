"""The processes that train together: each draws its own batches, what they learn is averaged.

Either the gradients are averaged at each step, or each process steps alone and the weights are
averaged every few steps (local SGD, Stich 2018), which waits less where processes are set aside.

One thread a process beats several threads in one process on a busy machine: a thread that the
system sets aside then delays the others once a step, not at every layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Team:
    """This process's number and how many there are."""

    worker: int = 0
    workers: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the logs, checkpoints and weights."""
        return self.worker == 0

    @torch.no_grad()
    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Replace each tensor by its mean over all processes."""
        if self.workers == 1:
            return
        flat = torch.cat([it.flatten() for it in tensors])
        dist.all_reduce(flat)
        flat /= self.workers
        parts = torch.split_with_sizes(flat, [it.numel() for it in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def agree(self, *, wish: bool) -> bool:
        """Whether the leader wishes it; every process gets the same answer."""
        if self.workers == 1:
            return wish
        flag = torch.tensor([int(wish)])
        dist.broadcast(flag, src=0)
        return bool(flag.item())

    def wait(self) -> None:
        """Return once every process has come here."""
        if self.workers > 1:
            dist.barrier()


def join_team(worker: int, workers: int, meeting_file: Path) -> Team:
    """Meet the other processes at a file that none has used before."""
    if workers > 1:
        dist.init_process_group(
            "gloo", init_method=f"file://{meeting_file}", rank=worker, world_size=workers
        )
    return Team(worker, workers)


def leave_team(team: Team) -> None:
    """Close the connections to the other processes."""
    if team.workers > 1:
        dist.destroy_process_group()
