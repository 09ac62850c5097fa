"""The lessons: pictures to code and back, code to crisp pictures, caption and noise to code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from inference.mljobs.shapes.autoencoder_loss import autoencoder_loss, decoder_loss
from inference.mljobs.shapes.batches import caption_batch, crop_batch, draw_batch
from inference.mljobs.shapes.networks import TRAINING_TIMESTEPS, build_scheduler
from inference.mljobs.shapes.reading import encode_captions

if TYPE_CHECKING:
    import numpy as np
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    from inference.mljobs.shapes.batches import Stream
    from inference.mljobs.shapes.latents import LatentBank
    from inference.mljobs.shapes.scenes import Scene

CROP_SIDE_PX = 32
CROP_SHARE_OF_STEPS = 0.45
CROPS_PER_PICTURE = 4
EMPTY_CAPTION_SHARE = 0.1
EARLY_STEPS = 2000
PAIRS_SHARE_EARLY = 0.3
PAIRS_SHARE_LATE = 0.65


def noise_source(rng: np.random.Generator) -> torch.Generator:
    """A CPU noise generator seeded by the batch's own random source."""
    return torch.Generator().manual_seed(int(rng.integers(2**62)))


@dataclass(slots=True)
class AutoencoderLesson:
    """Rebuild drawn pictures: first small squares around edges, then whole pictures.

    A square of half the side costs a quarter and most of what it shows is edge; the whole
    pictures at the end fit the normalisation to the whole.
    """

    autoencoder: AutoencoderKL
    stream: Stream
    batch: int
    steps: int
    device: str = "cpu"

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of one step and the squared error beside it."""
        rng = self.stream.generator(step)
        cropping = step < CROP_SHARE_OF_STEPS * self.steps
        count = self.batch * (CROPS_PER_PICTURE if cropping else 1)
        pictures = draw_batch(rng, count, self.device)[1]
        if cropping:
            pictures = crop_batch(pictures, rng, CROP_SIDE_PX)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device, torch.bfloat16):
            loss, error = autoencoder_loss(self.autoencoder, pictures, noise_source(rng))
        return loss, {"squared_error": error}


@dataclass(slots=True)
class DecoderLesson:
    """Draw crisp pictures from codes that are a little off, as a denoiser's are."""

    autoencoder: AutoencoderKL
    stream: Stream
    batch: int
    device: str = "cpu"

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of one step and the squared error beside it."""
        rng = self.stream.generator(step)
        pictures = draw_batch(rng, self.batch, self.device)[1]
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device, torch.bfloat16):
            loss, error = decoder_loss(self.autoencoder, pictures, noise_source(rng))
        return loss, {"squared_error": error}


@dataclass(slots=True)
class DenoiserLesson:
    """Predict the velocity of noised codes from caption and time.

    The first steps show mostly single things, from which colours and shapes are learned sooner;
    the others mostly pairs.
    """

    denoiser: UNet2DConditionModel
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    singles: LatentBank
    pairs: LatentBank
    stream: Stream
    batch: int
    device: str = "cpu"

    def _sample(self, step: int, rng: np.random.Generator) -> tuple[torch.Tensor, list[Scene]]:
        share = PAIRS_SHARE_EARLY if step < EARLY_STEPS else PAIRS_SHARE_LATE
        pairs = int(rng.binomial(self.batch, share))
        parts = []
        for bank, size in ((self.singles, self.batch - pairs), (self.pairs, pairs)):
            bank.grow(step)
            parts.append(bank.sample(rng, size))
        # Shuffled, because the times of a batch rise from its first row to its last.
        order = rng.permutation(self.batch)
        codes = torch.cat([part[0] for part in parts])[torch.from_numpy(order)]
        scenes = [scene for part in parts for scene in part[1]]
        return codes, [scenes[row] for row in order]

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of one step."""
        rng = self.stream.generator(step)
        codes, scenes = self._sample(step, rng)
        captions = caption_batch(scenes, rng, EMPTY_CAPTION_SHARE)
        noise_from = noise_source(rng)
        clean = codes.to(self.device, torch.float32)
        noise = torch.randn(clean.shape, generator=noise_from).to(self.device)
        # Evenly spread times (one random offset) make the loss of a batch less noisy.
        spread = (torch.arange(self.batch) + torch.rand(1, generator=noise_from)) / self.batch
        times = (spread * TRAINING_TIMESTEPS).long().clamp(max=TRAINING_TIMESTEPS - 1)
        times = times.to(self.device)
        signal = _signal_levels(self.device)[times][:, None, None, None]
        noisy = signal.sqrt() * clean + (1 - signal).sqrt() * noise
        velocity = signal.sqrt() * noise - (1 - signal).sqrt() * clean
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device, torch.bfloat16):
            ids = encode_captions(self.tokenizer, captions, self.device)
            hidden = self.text_encoder(ids)[0]
            guess = self.denoiser(noisy, times, hidden).sample
        return torch.nn.functional.mse_loss(guess.float(), velocity), {}


def _signal_levels(device: str) -> torch.Tensor:
    levels: torch.Tensor = build_scheduler().alphas_cumprod
    return levels.to(device)
