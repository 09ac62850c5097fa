"""The networks of a Stable-Diffusion pipeline in sizes that fit 64 by 64 pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from inference.mljobs.shapes.scenes import PICTURE_SIZE_PX

TRAINING_TIMESTEPS = 1000
NOISE_SHIFT = 4.0
BETA_MAX = 0.999


@dataclass(frozen=True, slots=True)
class NetworkSizes:
    """Widths and depths; the defaults are those of the published weights."""

    autoencoder_channels: tuple[int, ...] = (32, 64, 64)
    latent_channels: int = 8
    denoiser_channels: tuple[int, ...] = (64, 128)
    text_width: int = 128
    text_layers: int = 2
    heads: int = 4
    caption_tokens: int = 40
    groups: int = 8

    @property
    def latent_side(self) -> int:
        """Width and height of the latent picture."""
        return int(PICTURE_SIZE_PX // 2 ** (len(self.autoencoder_channels) - 1))


TINY = NetworkSizes((8, 8, 8), 4, (8, 16), 16, 1, 2, 40, 4)
"""A pipeline of the same form that trains in seconds, for tests."""


def build_autoencoder(sizes: NetworkSizes) -> AutoencoderKL:
    """An untrained convolutional autoencoder (no attention: what it codes is local)."""
    levels = len(sizes.autoencoder_channels)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=sizes.autoencoder_channels,
        layers_per_block=1,
        latent_channels=sizes.latent_channels,
        norm_num_groups=sizes.groups,
        sample_size=PICTURE_SIZE_PX,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def build_denoiser(sizes: NetworkSizes) -> UNet2DConditionModel:
    """An untrained denoiser that reads the caption on every level but the finest."""
    deeper = len(sizes.denoiser_channels) - 1
    return UNet2DConditionModel(
        sample_size=sizes.latent_side,
        in_channels=sizes.latent_channels,
        out_channels=sizes.latent_channels,
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * deeper,
        up_block_types=("CrossAttnUpBlock2D",) * deeper + ("UpBlock2D",),
        block_out_channels=sizes.denoiser_channels,
        layers_per_block=1,
        cross_attention_dim=sizes.text_width,
        # Diffusers counts heads by this argument, whatever its name says.
        attention_head_dim=sizes.heads,
        norm_num_groups=sizes.groups,
    )


def build_text_encoder(sizes: NetworkSizes, vocabulary_size: int, end_id: int) -> CLIPTextModel:
    """An untrained CLIP text encoder over the small vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary_size,
            hidden_size=sizes.text_width,
            intermediate_size=4 * sizes.text_width,
            projection_dim=sizes.text_width,
            num_hidden_layers=sizes.text_layers,
            num_attention_heads=sizes.heads,
            max_position_embeddings=sizes.caption_tokens,
            bos_token_id=end_id - 1,
            eos_token_id=end_id,
            pad_token_id=end_id,
        )
    )


def _betas() -> list[float]:
    """The noise added at each step: a cosine schedule with the noise raised `NOISE_SHIFT` times.

    A thing covers many values of the code that say the same, so under the plain schedule its
    colour and shape show through the noise nearly always and the caption teaches nothing
    (Hoogeboom et al. 2023, "simple diffusion", shift the schedule for the same reason).
    """
    steps = TRAINING_TIMESTEPS
    tangents = [NOISE_SHIFT * math.tan(math.pi / 2 * it / steps) for it in range(steps)]
    levels = [1 / (1 + tangent**2) for tangent in tangents] + [0.0]
    ratios = [after / before for before, after in pairwise(levels)]
    return [round(min(1 - ratio, BETA_MAX), 8) for ratio in ratios]


def build_scheduler() -> DPMSolverMultistepScheduler:
    """The noise schedule and the solver, predicting velocity, with no signal at the last step.

    Without the zero at the end the background of a picture drifts to mid grey (Lin et al. 2023,
    "Common Diffusion Noise Schedules and Sample Steps are Flawed").
    """
    return DPMSolverMultistepScheduler(
        num_train_timesteps=TRAINING_TIMESTEPS,
        trained_betas=_betas(),
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        steps_offset=1,
    )
