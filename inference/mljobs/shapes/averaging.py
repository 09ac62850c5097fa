"""A running average of weights, which gives better pictures than the last weights alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence


class WeightAverage:
    """Exponential moving average of tensors; young averages forget faster."""

    def __init__(self, weights: Sequence[torch.Tensor], decay: float) -> None:
        self._decay = decay
        self._weights = [weight.detach().clone() for weight in weights]

    @torch.no_grad()
    def update(self, weights: Sequence[torch.Tensor], step: int) -> None:
        """Move towards the weights after `step` (from 0) updates."""
        decay = min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._weights, [it.detach() for it in weights], 1 - decay)

    @torch.no_grad()
    def write_to(self, weights: Sequence[torch.Tensor]) -> None:
        """Copy the average into the given tensors."""
        for target, average in zip(weights, self._weights, strict=True):
            target.copy_(average)

    def state(self) -> list[torch.Tensor]:
        """The averages, for a checkpoint."""
        return self._weights

    def restore(self, state: Sequence[torch.Tensor]) -> None:
        """Go on from the averages of a checkpoint."""
        for target, saved in zip(self._weights, state, strict=True):
            target.copy_(saved)
