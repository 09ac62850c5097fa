"""The models that jobs may ask for, as data; another model is another entry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EMBEDDED_WEIGHTS: Final = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One immutable version of a model: a diffusers folder under `prefix` in the object store.

    `family` names the pipeline that reads the folder. `embedded` is the folder that comes with
    this release and is published when a region starts, or None.
    """

    name: str
    version: str
    family: str
    tasks: frozenset[str]
    embedded: Path | None = None

    @property
    def prefix(self) -> str:
        """Where the files lie in the object store."""
        return f"models/{self.name}/{self.version}/"


SHAPES: Final = ModelEntry(
    name="shapes",
    version="1",
    family="stable_diffusion",
    tasks=frozenset({"text-to-image", "image-to-image"}),
    embedded=EMBEDDED_WEIGHTS / "shapes" / "1",
)


class Catalog:
    """The registered models by name; one version of each serves."""

    def __init__(self, entries: Iterable[ModelEntry] = (SHAPES,)) -> None:
        self._entries = {entry.name: entry for entry in entries}

    def serves(self, model: str, task: str) -> bool:
        """Say whether a model of this name does this task."""
        entry = self._entries.get(model)
        return entry is not None and task in entry.tasks

    def entry(self, model: str) -> ModelEntry:
        """Give the model of this name, which must be registered."""
        return self._entries[model]

    def names(self) -> tuple[str, ...]:
        """Give the names of all models."""
        return tuple(self._entries)

    def entries(self) -> tuple[ModelEntry, ...]:
        """Give every model."""
        return tuple(self._entries.values())
