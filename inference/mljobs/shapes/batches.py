"""Training batches drawn by seed: the same seed, stream and step give the same pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from inference.mljobs.shapes.captions import training_caption
from inference.mljobs.shapes.drawing import draw
from inference.mljobs.shapes.scenes import PICTURE_SIZE_PX, place
from inference.mljobs.shapes.splits import draw_training_scene

if TYPE_CHECKING:
    from inference.mljobs.shapes.scenes import Scene


@dataclass(frozen=True, slots=True)
class Stream:
    """One sequence of random draws; each worker and each stage has its own."""

    seed: int
    stage: int
    worker: int

    def generator(self, step: int) -> np.random.Generator:
        """The random source of one step."""
        return np.random.default_rng([self.seed, self.stage, self.worker, step])


def draw_batch(
    rng: np.random.Generator, size: int, device: str = "cpu", *, things: int | None = None
) -> tuple[list[Scene], torch.Tensor]:
    """Scenes of the training split and their pictures, floats from -1 to 1."""
    scenes = [draw_training_scene(rng, count=things) for _ in range(size)]
    return scenes, draw(scenes, [place(scene, rng) for scene in scenes], device)


def caption_batch(scenes: list[Scene], rng: np.random.Generator, empty_share: float) -> list[str]:
    """A fresh caption for each scene; a share of them empty, for classifier-free guidance."""
    return ["" if rng.random() < empty_share else training_caption(scene, rng) for scene in scenes]


def crop_batch(pictures: torch.Tensor, rng: np.random.Generator, side_px: int) -> torch.Tensor:
    """One random square of each picture that holds an edge (or any square, if none does)."""
    crops = []
    for picture in pictures:
        for _ in range(8):
            top, left = (int(it) for it in rng.integers(PICTURE_SIZE_PX - side_px + 1, size=2))
            crop = picture[:, top : top + side_px, left : left + side_px]
            if bool((crop != crop[:, :1, :1]).any()):
                break
        crops.append(crop)
    return torch.stack(crops)
