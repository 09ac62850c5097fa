"""The lesson before the denoiser's: the text encoder reads captions for what the picture holds.

Reading costs a hundredth of drawing. A denoiser whose captions already tell things, places and
ground apart learns to draw them from the start; one that has to find the meaning of the words by
way of the noise needs many times the pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from inference.mljobs.shapes.batches import caption_batch
from inference.mljobs.shapes.splits import draw_training_scene
from inference.mljobs.shapes.vocabulary import COLOURS, SHAPES, SIZES

if TYPE_CHECKING:
    from transformers import CLIPTextModel, CLIPTokenizer

    from inference.mljobs.shapes.batches import Stream
    from inference.mljobs.shapes.scenes import Scene

NONE = "none"
LAYOUTS = ("alone", "upright", "across")
_THING_FIELDS = ((*COLOURS, NONE), (*SHAPES, NONE), (*SIZES, NONE))
FIELDS = (LAYOUTS, tuple(COLOURS), *_THING_FIELDS, *_THING_FIELDS)
"""What each head tells: the layout, the ground, then the thing that leads (the upper or left
one) and the one that follows: colour, shape and size of each."""
_IGNORED = -100


def scene_facts(scene: Scene) -> list[int]:
    """The right answer of every field."""
    leads = scene.relation in {None, "above", "left"}
    told = scene if leads else scene.mirrored()
    words = ["alone", scene.background]
    if scene.relation is not None:
        words[0] = "upright" if scene.relation in {"above", "below"} else "across"
    for thing in told.things:
        words += [thing.colour, thing.shape, thing.size]
    words += [NONE] * (len(FIELDS) - len(words))
    return [field.index(word) for field, word in zip(FIELDS, words, strict=True)]


class ReadingHeads(torch.nn.Module):
    """One linear head a field, over the text encoder's output at each position."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = torch.nn.ModuleList(torch.nn.Linear(width, len(it)) for it in FIELDS)

    def forward(self, hidden: torch.Tensor) -> list[torch.Tensor]:
        """Scores of each field, each shaped (caption, position, words of the field)."""
        return [head(hidden) for head in self.heads]


def encode_captions(
    tokenizer: CLIPTokenizer, captions: list[str], device: str | torch.device
) -> torch.Tensor:
    """Token numbers, shaped (caption, position), padded or cut to the tokenizer's length."""
    coded = tokenizer(
        captions,
        padding="max_length",
        truncation=True,
        max_length=tokenizer.model_max_length,
        return_tensors="pt",
    )
    ids: torch.Tensor = coded.input_ids
    return ids.to(device)


@dataclass(slots=True)
class ReadingLesson:
    """Tell every field from the end mark of a caption and from the padding behind it."""

    text_encoder: CLIPTextModel
    heads: ReadingHeads
    tokenizer: CLIPTokenizer
    stream: Stream
    batch: int
    device: str = "cpu"

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        """The mean loss of the fields and the share of them told right beside it."""
        rng = self.stream.generator(step)
        scenes = [draw_training_scene(rng) for _ in range(self.batch)]
        ids = encode_captions(self.tokenizer, caption_batch(scenes, rng, 0.0), self.device)
        facts = torch.tensor([scene_facts(scene) for scene in scenes], device=self.device)
        with torch.autocast(self.device, torch.bfloat16):
            scores = self.heads(self.text_encoder(ids)[0])
        behind = ids == self.tokenizer.eos_token_id
        losses, right = [], []
        for field, guess in enumerate(scores):
            answers = facts[:, field, None].expand_as(ids).masked_fill(~behind, _IGNORED)
            losses.append(
                torch.nn.functional.cross_entropy(
                    guess.float().flatten(0, 1), answers.flatten(), ignore_index=_IGNORED
                )
            )
            right.append((guess.argmax(-1) == answers)[behind].float().mean())
        share = float(torch.stack(right).mean())
        return torch.stack(losses).mean(), {"fields_right": share}
