"""The optimiser: Muon for the matrices inside the networks, AdamW for everything else.

Muon (Jordan et al. 2024) takes the momentum of a matrix to the nearest one whose directions all
weigh the same, so that directions which few pictures show are learned as fast as the others; a
kernel counts as the matrix of its output channels by all its inputs. Rates are scaled to the
step size of AdamW (Liu et al. 2025, "Muon is Scalable for LLM Training").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

MATRIX_SIDE_MIN = 32
MATRIX_RATE_SHARE = 4.0
"""How much faster matrices learn: momentum is smoothed, so they bear more than AdamW does."""


def _as_matrix(tensor: torch.Tensor) -> torch.Tensor:
    """A kernel as output channels by the rest, as a view where its memory allows."""
    return tensor.permute(0, 2, 3, 1).flatten(1) if tensor.dim() > 2 else tensor  # noqa: PLR2004


def _is_matrix(name: str, weight: torch.Tensor) -> bool:
    """Whether a weight maps features to features (words, pictures and biases go to AdamW)."""
    if weight.dim() not in {2, 4} or "embedding.weight" in name:
        return False
    return min(weight.shape[:2]) >= MATRIX_SIDE_MIN


class Optimiser:
    """Steps all weights from their gradients; its state is what a checkpoint must hold."""

    def __init__(
        self, networks: Sequence[torch.nn.Module], rate: float, *, by_muon: bool = True
    ) -> None:
        named = [it for network in networks for it in network.named_parameters()]
        is_kernel = [by_muon and _is_matrix(name, weight) for name, weight in named]
        rest = [it for (_, it), kernel in zip(named, is_kernel, strict=True) if not kernel]
        self._kernels = [it for (_, it), kernel in zip(named, is_kernel, strict=True) if kernel]
        self._views = [torch.nn.Parameter(_as_matrix(it.detach())) for it in self._kernels]
        for view, kernel in zip(self._views, self._kernels, strict=True):
            assert view.untyped_storage().data_ptr() == kernel.untyped_storage().data_ptr()
        self._parts: list[tuple[torch.optim.Optimizer, float]] = []
        if rest:
            adam = torch.optim.AdamW(
                rest, lr=rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True
            )
            self._parts.append((adam, 1.0))
        if self._views:
            muon = torch.optim.Muon(
                self._views, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"
            )
            self._parts.append((muon, MATRIX_RATE_SHARE))

    def step(self, rate: float) -> None:
        """Move the weights against their gradients, which are then forgotten."""
        for view, kernel in zip(self._views, self._kernels, strict=True):
            if kernel.grad is not None:
                view.grad = _as_matrix(kernel.grad)
                kernel.grad = None
        for part, share in self._parts:
            for group in part.param_groups:
                group["lr"] = rate * share
            part.step()
            part.zero_grad()

    def state(self) -> list[dict[str, Any]]:
        """The moments of all weights."""
        return [part.state_dict() for part, _ in self._parts]

    def restore(self, state: list[dict[str, Any]]) -> None:
        """Go on from the moments of a checkpoint."""
        for (part, _), saved in zip(self._parts, state, strict=True):
            part.load_state_dict(saved)
