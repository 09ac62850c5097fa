"""Pipelines by family name; torch is imported only when a real one is asked for."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import MappingProxyType
from typing import cast

from inference.pipelines.fake import FakePipeline
from inference.pipelines.protocol import Pipeline

_MODULES = MappingProxyType({"stable_diffusion": "inference.pipelines.stable_diffusion"})
FAMILIES = ("fake", *_MODULES)


class UnknownPipelineFamily(LookupError):
    """No pipeline of that family is known."""


def load_pipeline(family: str, folder: Path, device: str) -> Pipeline:
    """The pipeline of a family with the weights in `folder`, ready on `device` (cpu or cuda).

    Takes seconds: torch and diffusers are imported here, so only replicas should call this.

    Raises:
        UnknownPipelineFamily: The family, with - read as _, is not in `FAMILIES`.
        FileNotFoundError: The folder holds no pipeline.
    """
    name = family.replace("-", "_")
    if name == "fake":
        return FakePipeline()
    if name not in _MODULES:
        raise UnknownPipelineFamily(f"no pipeline family {family!r}; there are {FAMILIES}")
    module = importlib.import_module(_MODULES[name])
    return cast("Pipeline", module.load(folder, device))
