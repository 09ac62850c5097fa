"""Coded pictures, made once and reused: coding afresh at each step would cost too much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from inference.mljobs.shapes.batches import draw_batch

if TYPE_CHECKING:
    import numpy as np
    from diffusers import AutoencoderKL

    from inference.mljobs.shapes.batches import Stream
    from inference.mljobs.shapes.scenes import Scene

ENCODE_BATCH = 128


@dataclass(frozen=True, slots=True)
class LatentBank:
    """Scenes and the means of their codes, scaled to a spread of one."""

    scenes: list[Scene]
    codes: torch.Tensor

    def sample(self, rng: np.random.Generator, size: int) -> tuple[torch.Tensor, list[Scene]]:
        """A random batch; each picture comes with its scene, for a fresh caption."""
        rows = rng.integers(len(self.scenes), size=size)
        return self.codes[torch.from_numpy(rows)], [self.scenes[row] for row in rows]


@torch.no_grad()
def encode_bank(
    autoencoder: AutoencoderKL, stream: Stream, pictures: int, device: str = "cpu"
) -> LatentBank:
    """Draw and encode pictures by seed, with the autoencoder's own scaling factor."""
    scenes: list[Scene] = []
    codes: list[torch.Tensor] = []
    while len(scenes) < pictures:
        drawn, batch = draw_batch(stream.generator(len(codes)), ENCODE_BATCH, device)
        with torch.autocast(device, torch.bfloat16):
            means = autoencoder.encode(batch).latent_dist.mean
        codes.append((means.float() * autoencoder.config.scaling_factor).half().cpu())
        scenes += drawn
    return LatentBank(scenes, torch.cat(codes))


@torch.no_grad()
def measure_scaling_factor(
    autoencoder: AutoencoderKL, stream: Stream, device: str = "cpu"
) -> float:
    """One over the spread of the codes of a few batches."""
    codes = [
        autoencoder.encode(
            draw_batch(stream.generator(step), ENCODE_BATCH, device)[1]
        ).latent_dist.mean
        for step in range(4)
    ]
    return float(1 / torch.cat(codes).float().std())
