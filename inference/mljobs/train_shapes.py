"""Trains the `shapes` model from scratch and writes a diffusers folder of half-precision weights.

Runs alone (`python -m inference.mljobs.train_shapes --output DIR`) and under `ray job submit`;
with `--resume` it goes on from the checkpoints in the output folder.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor
from torch.multiprocessing.spawn import spawn

from inference.mljobs.shapes.batches import Stream
from inference.mljobs.shapes.latents import encode_bank, measure_scaling_factor
from inference.mljobs.shapes.lessons import AutoencoderLesson, DenoiserLesson
from inference.mljobs.shapes.networks import (
    TINY,
    NetworkSizes,
    build_autoencoder,
    build_denoiser,
    build_scheduler,
    build_text_encoder,
)
from inference.mljobs.shapes.stages import Plan, Stage
from inference.mljobs.shapes.team import join_team, leave_team
from inference.mljobs.shapes.tokens import build_tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.mljobs.shapes.team import Team

_AUTOENCODER_STREAM, _SCALING_STREAM, _BANK_STREAM, _DENOISER_STREAM = range(4)


@dataclass(frozen=True, slots=True)
class Options:
    """What one training run is asked for; batches are per worker."""

    output: Path
    device: str
    seed: int
    workers: int
    threads: int
    minutes: float | None
    autoencoder_steps: int
    autoencoder_batch: int
    denoiser_steps: int
    denoiser_batch: int
    pictures: int
    resume: bool
    tiny: bool

    @property
    def sizes(self) -> NetworkSizes:
        """The sizes of the networks."""
        return TINY if self.tiny else NetworkSizes()


def _parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="train_shapes", description=__doc__)
    add = parser.add_argument
    add("--output", type=Path, required=True, help="folder of checkpoints, log and weights")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--seed", type=int, default=1)
    add("--workers", type=int, default=1, help="processes that share the work (CPU only)")
    add("--threads", type=int, default=1, help="threads of each worker")
    add("--minutes", type=float, help="stop after this long; go on with --resume")
    add("--autoencoder-steps", type=int, default=2000)
    add("--autoencoder-batch", type=int, default=16)
    add("--denoiser-steps", type=int, default=6000)
    add("--denoiser-batch", type=int, default=48)
    add("--pictures", type=int, default=40_000, help="distinct coded pictures of each worker")
    add("--resume", action="store_true")
    add("--tiny", action="store_true", help="networks for tests, not for use")
    return Options(**vars(parser.parse_args(arguments)))


def _train_autoencoder(
    options: Options, team: Team, deadline: float | None
) -> AutoencoderKL | None:
    """The trained autoencoder, from its folder if it is there, or None when time ran out."""
    folder = options.output / "weights" / "vae"
    if not (options.resume and (folder / "config.json").exists()):
        autoencoder = build_autoencoder(options.sizes).to(options.device)
        autoencoder.to(memory_format=torch.channels_last)
        plan = Plan(options.autoencoder_steps, 2e-3, 0.995)
        stage = Stage("autoencoder", [autoencoder], plan, options.output)
        if options.resume:
            stage.restore()
        lesson = AutoencoderLesson(
            autoencoder,
            Stream(options.seed, _AUTOENCODER_STREAM, team.worker),
            options.autoencoder_batch,
            options.autoencoder_steps,
            options.device,
        )
        if not stage.run(lesson, team, deadline):
            return None
        stage.average.write_to(stage.weights)
        if team.leads:
            factor = measure_scaling_factor(
                autoencoder, Stream(options.seed, _SCALING_STREAM, 0), options.device
            )
            autoencoder.register_to_config(scaling_factor=factor)
            autoencoder.half().save_pretrained(folder)
        team.wait()
    trained = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32)
    return trained.to(options.device)


def _train_denoiser(
    options: Options, team: Team, autoencoder: AutoencoderKL, deadline: float | None
) -> bool:
    """Train text encoder and denoiser and write the pipeline; False when time ran out."""
    tokenizer = build_tokenizer(
        options.output / f"tokenizer-{team.worker}", options.sizes.caption_tokens
    )
    text_encoder = build_text_encoder(options.sizes, len(tokenizer), tokenizer.eos_token_id)
    denoiser = build_denoiser(options.sizes)
    if options.device == "cpu":
        # At these sizes the plain products are several times faster than the fused kernel.
        denoiser.set_attn_processor(AttnProcessor())
        text_encoder.set_attn_implementation("eager")
    networks = [network.to(options.device) for network in (text_encoder, denoiser)]
    denoiser.to(memory_format=torch.channels_last)
    stage = Stage("denoiser", networks, Plan(options.denoiser_steps, 1e-3, 0.999), options.output)
    if options.resume:
        stage.restore()
    bank = encode_bank(
        autoencoder,
        Stream(options.seed, _BANK_STREAM, team.worker),
        options.pictures,
        options.device,
    )
    lesson = DenoiserLesson(
        denoiser,
        text_encoder,
        tokenizer,
        bank,
        Stream(options.seed, _DENOISER_STREAM, team.worker),
        options.denoiser_batch,
        options.device,
    )
    finished = stage.run(lesson, team, deadline)
    stage.average.write_to(stage.weights)
    if team.leads:
        save_pipeline(
            StableDiffusionPipeline(
                vae=autoencoder,
                text_encoder=text_encoder,
                tokenizer=tokenizer,
                unet=denoiser,
                scheduler=build_scheduler(),
                safety_checker=None,
                feature_extractor=None,
                requires_safety_checker=False,
            ),
            options.output / "weights",
        )
    return finished


def save_pipeline(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Write the pipeline as half-precision safetensors."""
    pipeline.to(torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)


def _work(worker: int, options: Options, meeting_file: Path) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    started = time.monotonic()
    deadline = None if options.minutes is None else started + options.minutes * 60
    team = join_team(worker, options.workers, meeting_file)
    autoencoder = _train_autoencoder(options, team, deadline)
    if autoencoder is not None:
        _train_denoiser(options, team, autoencoder, deadline)
    leave_team(team)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train as the command line asks."""
    options = _parse(arguments)
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
