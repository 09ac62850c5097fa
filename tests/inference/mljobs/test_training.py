"""Training of the smallest networks: it learns, it stops and goes on, it saves a pipeline."""

import json

import pytest
import torch

from inference.mljobs.train_shapes import main

COMMON = (
    "--tiny", "--device", "cpu", "--seed", "3", "--autoencoder-batch", "2",
    "--denoiser-batch", "4", "--pictures", "128", "--decoder-steps", "2",
    "--reading-steps", "4", "--reading-batch", "4",
)  # fmt: skip


def train(folder, autoencoder_steps, denoiser_steps, *more):
    main([
        "--output", str(folder), *COMMON,
        "--autoencoder-steps", str(autoencoder_steps),
        "--denoiser-steps", str(denoiser_steps), *more,
    ])  # fmt: skip


def checkpoint(folder, stage):
    return torch.load(folder / f"{stage}.checkpoint", weights_only=True)


@pytest.mark.slow
def test_a_run_cut_short_and_resumed_ends_as_one_that_was_not(tmp_path):
    train(tmp_path / "whole", 6, 4)
    train(tmp_path / "cut", 6, 4, "--minutes", "0")
    assert checkpoint(tmp_path / "cut", "autoencoder")["step"] == 1
    train(tmp_path / "cut", 6, 4, "--resume")
    for stage in ("autoencoder", "reading", "denoiser"):
        whole, resumed = (checkpoint(tmp_path / name, stage) for name in ("whole", "cut"))
        assert whole["step"] == resumed["step"]
        for part in ("weights", "average"):
            for one, other in zip(whole[part], resumed[part], strict=True):
                assert torch.equal(one, other)


@pytest.mark.slow
def test_the_losses_fall_and_the_pipeline_is_saved_in_half_precision(tmp_path):
    train(tmp_path, 50, 50)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["stage"] == "autoencoder"]
    assert losses[-1] < losses[0]
    losses = [line["loss"] for line in lines if line["stage"] == "denoiser"]
    assert losses[-1] < losses[0]
    weights = tmp_path / "weights"
    files = sorted(str(it.relative_to(weights)) for it in weights.rglob("*.safetensors"))
    assert files == [
        "text_encoder/model.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ]
    header = (weights / files[1]).read_bytes()[:4000]
    assert b'"F16"' in header
    assert b'"F32"' not in header


@pytest.mark.slow
def test_two_workers_share_the_work(tmp_path):
    train(tmp_path, 2, 2, "--workers", "2")
    assert (tmp_path / "weights" / "model_index.json").exists()
    assert checkpoint(tmp_path, "denoiser")["step"] == 2
