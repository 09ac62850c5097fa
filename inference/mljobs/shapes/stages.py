"""The training loop that the autoencoder and the denoiser share; it resumes where it stopped."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch

from inference.mljobs.shapes.averaging import WeightAverage
from inference.mljobs.shapes.optimisers import Optimiser

if TYPE_CHECKING:
    from pathlib import Path

    from inference.mljobs.shapes.team import Team

WARM_UP_STEPS = 100
DECAY_SHARE = 0.3
GRADIENT_NORM_MAX = 1.0
LOG_EVERY_STEPS = 25


class Lesson(Protocol):
    """What one stage trains: a loss for each step, and the figures to log beside it."""

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """The loss of this worker's batch of a step; the step alone decides the batch."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast a stage trains."""

    steps: int
    learning_rate: float
    average_decay: float
    checkpoint_seconds: float = 120.0
    share_every_steps: int = 1
    """1 averages the gradients of each step; more averages the weights that often."""
    by_muon: bool = True
    """Whether matrices are moved by Muon; otherwise AdamW moves everything."""

    def rate(self, step: int) -> float:
        """The learning rate of a step: a warm-up, a plateau, then a straight line to zero."""
        warm = min(1.0, (step + 1) / WARM_UP_STEPS)
        left = (self.steps - step) / max(1.0, DECAY_SHARE * self.steps)
        return self.learning_rate * min(warm, 1.0, left)


@dataclass(slots=True)
class Journal:
    """JSON lines of the losses, to standard output and to a file."""

    file: Path
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, figures: dict[str, float]) -> None:
        """Count the figures of one step."""
        self.count += 1
        for name, value in figures.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def write(self, **facts: object) -> None:
        """Write one line: the facts and the means since the last line."""
        means = {name: round(total / self.count, 6) for name, total in self.sums.items()}
        line = json.dumps({**facts, **means})
        self.sums, self.count = {}, 0
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        with self.file.open("a") as out:
            out.write(line + "\n")


class Stage:
    """One network (or two) in training, with everything that a checkpoint must hold."""

    def __init__(
        self, name: str, networks: list[torch.nn.Module], plan: Plan, folder: Path
    ) -> None:
        self.name, self.plan, self.step = name, plan, 0
        self.weights = [it for network in networks for it in network.parameters()]
        self.average = WeightAverage(self.weights, plan.average_decay)
        self._optimiser = Optimiser(networks, plan.learning_rate, by_muon=plan.by_muon)
        self._file = folder / f"{name}.checkpoint"
        self._journal = Journal(folder / "log.jsonl")

    def save(self) -> None:
        """Write the checkpoint; a crash half way leaves the one before."""
        state = {
            "step": self.step,
            "weights": [it.detach() for it in self.weights],
            "average": self.average.state(),
            "optimiser": self._optimiser.state(),
        }
        partial = self._file.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, self._file)  # noqa: PTH105 - the atomic one

    @torch.no_grad()
    def restore(self) -> bool:
        """Go on from the checkpoint, if there is one."""
        if not self._file.exists():
            return False
        state = torch.load(self._file, map_location="cpu", weights_only=True)
        for weight, saved in zip(self.weights, state["weights"], strict=True):
            weight.copy_(saved)
        self.average.restore(state["average"])
        self._optimiser.restore(state["optimiser"])
        self.step = state["step"]
        return True

    def is_shared(self, step: int) -> bool:
        """Whether all workers hold the same weights after this many steps."""
        return step % self.plan.share_every_steps == 0 or step == self.plan.steps

    def _learn(self, lesson: Lesson, team: Team) -> dict[str, float]:
        loss, figures = lesson.loss(self.step)
        torch.autograd.backward(loss)
        if self.plan.share_every_steps == 1:
            team.average([it.grad for it in self.weights if it.grad is not None])
        norm = torch.nn.utils.clip_grad_norm_(self.weights, GRADIENT_NORM_MAX)
        self._optimiser.step(self.plan.rate(self.step))
        if self.plan.share_every_steps > 1 and self.is_shared(self.step + 1):
            team.average(self.weights)
        self.average.update(self.weights, self.step)
        self.step += 1
        return {"loss": float(loss.detach()), "gradient_norm": float(norm), **figures}

    def run(self, lesson: Lesson, team: Team, deadline: float | None = None) -> bool:
        """Train until the plan's last step; False if the deadline (monotonic) came first."""
        started = saved = time.monotonic()
        first = self.step
        while self.step < self.plan.steps:
            self._journal.add(self._learn(lesson, team))
            now = time.monotonic()
            if team.leads and self.step % LOG_EVERY_STEPS == 0:
                pace = (now - started) / (self.step - first)
                self._journal.write(
                    stage=self.name, step=self.step, steps=self.plan.steps,
                    rate=self.plan.rate(self.step), seconds_per_step=round(pace, 4),
                )  # fmt: skip
            if not self.is_shared(self.step):
                continue
            if team.leads and now - saved > self.plan.checkpoint_seconds:
                self.save()
                saved = now
            if deadline is not None and team.agree(wish=now > deadline):
                break
        if team.leads:
            self.save()
        team.wait()
        return self.step >= self.plan.steps
