"""The stages of training in order: autoencoder, its decoder, reading, text and denoiser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.models.attention_processor import AttnProcessor

from inference.mljobs.shapes.batches import Stream
from inference.mljobs.shapes.latents import LatentBank, measure_scaling_factor
from inference.mljobs.shapes.lessons import AutoencoderLesson, DecoderLesson, DenoiserLesson
from inference.mljobs.shapes.networks import (
    build_autoencoder,
    build_denoiser,
    build_scheduler,
    build_text_encoder,
)
from inference.mljobs.shapes.reading import ReadingHeads, ReadingLesson
from inference.mljobs.shapes.stages import Plan, Stage
from inference.mljobs.shapes.tokens import build_tokenizer

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

    from inference.mljobs.shapes.options import Options
    from inference.mljobs.shapes.team import Team

_AUTOENCODER_STREAM, _SCALING_STREAM, _SINGLES_STREAM, _DENOISER_STREAM = range(4)
_DECODER_STREAM, _PAIRS_STREAM, _READING_STREAM = 4, 5, 6


@dataclass(frozen=True, slots=True)
class Curriculum:
    """One worker's way through the stages; `deadline` is monotonic time or None."""

    options: Options
    team: Team
    deadline: float | None

    def run(self) -> bool:
        """Train all stages and write the pipeline; False when time ran out before the end."""
        autoencoder = self._train_autoencoder()
        if autoencoder is None or not self._sharpen_decoder(autoencoder):
            return False
        return self._train_denoiser(autoencoder)

    def _stream(self, stage: int) -> Stream:
        return Stream(self.options.seed, stage, self.team.worker)

    def _stage(self, name: str, networks: list[torch.nn.Module], plan: Plan) -> Stage:
        stage = Stage(name, networks, plan, self.options.output)
        if self.options.resume:
            stage.restore()
        return stage

    def _bank(self, autoencoder: AutoencoderKL, stream: int, things: int) -> LatentBank:
        options = self.options
        return LatentBank(
            autoencoder, self._stream(stream), things, options.pictures, options.device
        )

    def _train_autoencoder(self) -> AutoencoderKL | None:
        """The trained autoencoder, from its folder if it is there, or None if time ran out."""
        options = self.options
        folder = options.weights / "vae"
        if not (options.resume and (folder / "diffusion_pytorch_model.safetensors").exists()):
            torch.manual_seed(options.seed)
            autoencoder = build_autoencoder(options.sizes).to(options.device)
            autoencoder.to(memory_format=torch.channels_last)
            plan = Plan(options.autoencoder_steps, 2e-3, 0.995, by_muon=False)
            stage = self._stage("autoencoder", [autoencoder], plan)
            lesson = AutoencoderLesson(
                autoencoder,
                self._stream(_AUTOENCODER_STREAM),
                options.autoencoder_batch,
                options.autoencoder_steps,
                options.device,
            )
            if not stage.run(lesson, self.team, self.deadline):
                return None
            stage.average.write_to(stage.weights)
            if self.team.leads:
                stream = Stream(options.seed, _SCALING_STREAM, 0)
                factor = measure_scaling_factor(autoencoder, stream, options.device)
                autoencoder.register_to_config(scaling_factor=factor)
                autoencoder.half().save_pretrained(folder)
            self.team.wait()
        trained = AutoencoderKL.from_pretrained(folder, dtype=torch.float32)
        return trained.to(options.device, memory_format=torch.channels_last)

    def _sharpen_decoder(self, autoencoder: AutoencoderKL) -> bool:
        """Train the decoder alone on noisy codes; False if time ran out."""
        options = self.options
        plan = Plan(options.decoder_steps, 1e-3, 0.995, by_muon=False)
        parts = [autoencoder.decoder, autoencoder.post_quant_conv]
        stage = self._stage("decoder", parts, plan)
        lesson = DecoderLesson(
            autoencoder, self._stream(_DECODER_STREAM), options.autoencoder_batch, options.device
        )
        if not stage.run(lesson, self.team, self.deadline):
            return False
        stage.average.write_to(stage.weights)
        return True

    def _teach_reading(self, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> bool:
        """Train the text encoder to tell what captions say; False if time ran out."""
        options = self.options
        heads = ReadingHeads(options.sizes.text_width).to(options.device)
        plan = Plan(options.reading_steps, 1e-3, 0.99, share_every_steps=options.share_every)
        stage = self._stage("reading", [text_encoder, heads], plan)
        lesson = ReadingLesson(
            text_encoder,
            heads,
            tokenizer,
            self._stream(_READING_STREAM),
            options.reading_batch,
            options.device,
        )
        if not stage.run(lesson, self.team, self.deadline):
            return False
        stage.average.write_to(stage.weights)
        return True

    def _train_denoiser(self, autoencoder: AutoencoderKL) -> bool:
        """Train text encoder and denoiser together; False if time ran out."""
        options = self.options
        torch.manual_seed(options.seed)
        tokenizer_folder = options.output / f"tokenizer-{self.team.worker}"
        tokenizer = build_tokenizer(tokenizer_folder, options.sizes.caption_tokens)
        text_encoder = build_text_encoder(options.sizes, len(tokenizer), tokenizer.eos_token_id)
        denoiser = build_denoiser(options.sizes)
        if options.device == "cpu":
            # At these sizes the plain products are several times faster than the fused kernel.
            denoiser.set_attn_processor(AttnProcessor())
            text_encoder.set_attn_implementation("eager")
        networks = [network.to(options.device) for network in (text_encoder, denoiser)]
        denoiser.to(memory_format=torch.channels_last)
        if not self._teach_reading(text_encoder, tokenizer):
            return False
        plan = Plan(options.denoiser_steps, 1e-3, 0.999, share_every_steps=options.share_every)
        stage = self._stage("denoiser", networks, plan)
        lesson = DenoiserLesson(
            denoiser,
            text_encoder,
            tokenizer,
            self._bank(autoencoder, _SINGLES_STREAM, 1),
            self._bank(autoencoder, _PAIRS_STREAM, 2),
            self._stream(_DENOISER_STREAM),
            options.denoiser_batch,
            options.device,
        )
        finished = stage.run(lesson, self.team, self.deadline)
        stage.average.write_to(stage.weights)
        if self.team.leads:
            self._save_pipeline(autoencoder, text_encoder, tokenizer, denoiser)
        return finished

    def _save_pipeline(
        self,
        autoencoder: AutoencoderKL,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        denoiser: torch.nn.Module,
    ) -> None:
        """Write the diffusers folder in half precision."""
        # Without this the configuration would tell where the autoencoder lay.
        autoencoder.register_to_config(_name_or_path="shapes")
        pipeline = StableDiffusionPipeline(
            vae=autoencoder,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=denoiser,
            scheduler=build_scheduler(),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        pipeline.to(torch.float16)
        pipeline.save_pretrained(self.options.weights, safe_serialization=True)
