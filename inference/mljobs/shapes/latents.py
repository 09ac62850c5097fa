"""Coded pictures, made once and reused: coding every picture afresh would cost too much."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from inference.mljobs.shapes.batches import draw_batch

if TYPE_CHECKING:
    import numpy as np
    from diffusers import AutoencoderKL

    from inference.mljobs.shapes.batches import Stream
    from inference.mljobs.shapes.scenes import Scene

CHUNK_PICTURES = 64
START_PICTURES = {1: 3072, 2: 1024}
PICTURES_PER_STEP = {1: 2, 2: 4}


@torch.no_grad()
def code_means(autoencoder: AutoencoderKL, pictures: torch.Tensor, device: str) -> torch.Tensor:
    """The means of the codes of a batch, not scaled."""
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device, torch.bfloat16):
        means: torch.Tensor = autoencoder.encode(pictures).latent_dist.mean
    return means.float()


@dataclass(slots=True)
class LatentBank:
    """Scenes of one or two things and the means of their codes, scaled to a spread of one.

    It grows while training goes on, so that training starts soon; what it holds at a step
    depends on the seed and the step alone.
    """

    autoencoder: AutoencoderKL
    stream: Stream
    things: int
    pictures_max: int
    device: str = "cpu"
    scenes: list[Scene] = field(default_factory=list)
    chunks: list[torch.Tensor] = field(default_factory=list)

    def grow(self, step: int) -> None:
        """Hold as many pictures as belong to a step."""
        due = START_PICTURES[self.things] + PICTURES_PER_STEP[self.things] * step
        due = min(self.pictures_max, due)
        while len(self.scenes) < due:
            rng = self.stream.generator(len(self.chunks))
            scenes, pictures = draw_batch(rng, CHUNK_PICTURES, self.device, things=self.things)
            codes = code_means(self.autoencoder, pictures, self.device)
            self.chunks.append((codes * self.autoencoder.config.scaling_factor).half().cpu())
            self.scenes += scenes

    def sample(self, rng: np.random.Generator, size: int) -> tuple[torch.Tensor, list[Scene]]:
        """A random batch; each picture comes with its scene, for a fresh caption."""
        rows = [int(row) for row in rng.integers(len(self.scenes), size=size)]
        codes = [self.chunks[row // CHUNK_PICTURES][row % CHUNK_PICTURES] for row in rows]
        if not codes:
            return self.chunks[0][:0], []
        return torch.stack(codes), [self.scenes[row] for row in rows]


def measure_scaling_factor(
    autoencoder: AutoencoderKL, stream: Stream, device: str = "cpu"
) -> float:
    """One over the spread of the codes of a few hundred pictures."""
    codes = [
        code_means(autoencoder, draw_batch(stream.generator(step), 128, device)[1], device)
        for step in range(4)
    ]
    return float(1 / torch.cat(codes).std())
