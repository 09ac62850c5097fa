"""What a training run is asked for."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from inference.mljobs.shapes.networks import TINY, NetworkSizes

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Options:
    """One training run; batches are per worker."""

    output: Path
    device: str
    seed: int
    workers: int
    threads: int
    minutes: float | None
    autoencoder_steps: int
    autoencoder_batch: int
    decoder_steps: int
    reading_steps: int
    reading_batch: int
    denoiser_steps: int
    denoiser_batch: int
    pictures: int
    share_every: int
    resume: bool
    tiny: bool

    @property
    def sizes(self) -> NetworkSizes:
        """The sizes of the networks."""
        return TINY if self.tiny else NetworkSizes()

    @property
    def weights(self) -> Path:
        """The diffusers folder that the run writes."""
        return self.output / "weights"


def read_options(arguments: Sequence[str] | None, description: str | None) -> Options:
    """The options of a command line; argparse ends the program if they are wrong."""
    parser = argparse.ArgumentParser(prog="train_shapes", description=description)
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder of checkpoints, log and weights")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--seed", type=int, default=1)
    add("--workers", type=int, default=1, help="processes that share the work (CPU only)")
    add("--threads", type=int, default=1, help="threads of each worker")
    add("--minutes", type=float, help="stop after this long; go on with --resume")
    add("--autoencoder-steps", type=int, default=2000)
    add("--autoencoder-batch", type=int, default=16)
    add("--decoder-steps", type=int, default=800)
    add("--reading-steps", type=int, default=1200)
    add("--reading-batch", type=int, default=128)
    add("--denoiser-steps", type=int, default=4800)
    add("--denoiser-batch", type=int, default=48)
    add("--pictures", type=int, default=40_000, help="coded pictures of each kind and worker")
    add("--share-every", type=int, default=1, help="denoiser steps between workers' meetings")
    add("--resume", action="store_true", help="go on from the checkpoints in the output folder")
    add("--tiny", action="store_true", help="networks for tests, not for use")
    return Options(**vars(parser.parse_args(arguments)))
