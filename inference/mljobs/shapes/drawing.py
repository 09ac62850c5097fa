"""Anti-aliased drawing of scenes by signed distance, whole batches at a time on any device.

The distance of a point to a polygon is the smallest distance to its edges, signed by the
even-odd rule; coverage of a pixel is taken as half a pixel minus the distance at its centre.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from inference.mljobs.shapes.outlines import POLYGONS, RING_HALF_WIDTH, RING_RADIUS
from inference.mljobs.shapes.scenes import PICTURE_SIZE_PX
from inference.mljobs.shapes.vocabulary import COLOURS, SHAPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inference.mljobs.shapes.outlines import Point
    from inference.mljobs.shapes.scenes import Placement, Scene


def _polygon_distance(x: torch.Tensor, y: torch.Tensor, corners: list[Point]) -> torch.Tensor:
    nearest = torch.full_like(x, float("inf"))
    inside = torch.zeros_like(x, dtype=torch.bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        along = ((px * ex + py * ey) / (ex * ex + ey * ey)).clamp(0, 1)
        nearest = torch.minimum(nearest, (px - along * ex) ** 2 + (py - along * ey) ** 2)
        if ey != 0:
            crosses = ((y >= ay) != (y >= by)) & (px < py * (ex / ey))
            inside ^= crosses
    return nearest.sqrt() * (1 - 2 * inside.to(x.dtype))


def shape_distance(shape: str, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Signed distance to the outline of a shape of half extent 1, negative inside."""
    if shape == "circle":
        return torch.hypot(x, y) - 1
    if shape == "ring":
        return (torch.hypot(x, y) - RING_RADIUS).abs() - RING_HALF_WIDTH
    return _polygon_distance(x, y, POLYGONS[shape])


def _coverage(shape: str, places: Sequence[Placement], device: torch.device) -> torch.Tensor:
    centres = torch.arange(PICTURE_SIZE_PX, device=device, dtype=torch.float32) + 0.5
    numbers = torch.tensor([(it.x, it.y, it.radius) for it in places], device=device)
    radius = numbers[:, 2, None, None]
    x = (centres[None, None, :] - numbers[:, 0, None, None]) / radius
    y = (centres[None, :, None] - numbers[:, 1, None, None]) / radius
    x, y = x + torch.zeros_like(y), y + torch.zeros_like(x)
    return (0.5 - shape_distance(shape, x, y) * radius).clamp(0, 1)


def draw(
    scenes: Sequence[Scene], placements: Sequence[Sequence[Placement]], device: str = "cpu"
) -> torch.Tensor:
    """Pictures of the scenes as floats from -1 to 1, shaped (scene, 3, height, width)."""
    target = torch.device(device)
    palette = {name: torch.tensor(rgb, device=target) / 127.5 - 1 for name, rgb in COLOURS.items()}
    grounds = torch.stack([palette[scene.background] for scene in scenes])
    size = PICTURE_SIZE_PX
    pictures = grounds[:, :, None, None].expand(-1, -1, size, size).contiguous()
    for layer in range(2):
        for shape in SHAPES:
            rows = [
                row
                for row, scene in enumerate(scenes)
                if len(scene.things) > layer and scene.things[layer].shape == shape
            ]
            if not rows:
                continue
            cover = _coverage(shape, [placements[row][layer] for row in rows], target)[:, None]
            inks = torch.stack([palette[scenes[row].things[layer].colour] for row in rows])
            index = torch.tensor(rows, device=target)
            below = pictures[index]
            pictures[index] = below + (inks[:, :, None, None] - below) * cover
    return pictures
