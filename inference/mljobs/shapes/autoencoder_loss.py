"""What the autoencoder is trained to lower."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

KL_WEIGHT = 1e-4
EDGE_WEIGHT = 4.0
LATENT_NOISE = 0.08
SHARPENING_NOISE_MAX = 0.2
"""Noise on the code while the decoder alone is trained, in units of the spread of the codes."""


def _steps(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return pictures.diff(dim=-1), pictures.diff(dim=-2)


def _edge_map(pictures: torch.Tensor) -> torch.Tensor:
    across, down = (step.abs().amax(1, keepdim=True) for step in _steps(pictures))
    pad = torch.nn.functional.pad
    edges = pad(across, (0, 1)) + pad(across, (1, 0))
    edges = edges + pad(down, (0, 0, 0, 1)) + pad(down, (0, 0, 1, 0))
    return edges.clamp(max=1)


def reconstruction_loss(decoded: torch.Tensor, pictures: torch.Tensor) -> torch.Tensor:
    """Absolute error, heavier on edges, plus the error of the differences of neighbours."""
    error = (decoded - pictures).abs()
    weight = 1 + EDGE_WEIGHT * _edge_map(pictures)
    loss = (error * weight).mean()
    for ours, true in zip(_steps(decoded), _steps(pictures), strict=True):
        loss = loss + (ours - true).abs().mean()
    return loss


def autoencoder_loss(
    autoencoder: AutoencoderKL, pictures: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, float]:
    """The loss of one batch and the plain mean squared error (of values from -1 to 1).

    Noise on the code makes the decoder draw the nearest clean picture, which is what it needs
    to do with the code that a denoiser gives it.
    """
    posterior = autoencoder.encode(pictures).latent_dist
    mean, deviation = posterior.mean.float(), posterior.std.float()
    spread = (deviation**2 + LATENT_NOISE**2).sqrt()
    noise = torch.randn(mean.shape, generator=generator).to(mean.device)
    decoded = autoencoder.decode(mean + spread * noise).sample.float()
    divergence = 0.5 * (mean**2 + deviation**2 - 1 - 2 * deviation.log()).mean()
    loss = reconstruction_loss(decoded, pictures) + KL_WEIGHT * divergence
    return loss, float((decoded.detach() - pictures).pow(2).mean())


def decoder_loss(
    autoencoder: AutoencoderKL, pictures: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, float]:
    """The loss of the decoder alone, from codes with more or less noise, and the squared error.

    The codes stay what they are, so a denoiser of them stays right.
    """
    with torch.no_grad():
        codes = autoencoder.encode(pictures).latent_dist.mean.float()
    noise = torch.randn(codes.shape, generator=generator)
    amounts = torch.rand((len(codes), 1, 1, 1), generator=generator) * SHARPENING_NOISE_MAX
    amounts = amounts / autoencoder.config.scaling_factor
    decoded = autoencoder.decode(codes + (amounts * noise).to(codes.device)).sample.float()
    loss = reconstruction_loss(decoded, pictures)
    return loss, float((decoded.detach() - pictures).pow(2).mean())
