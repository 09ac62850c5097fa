"""The edge: Envoy with the configuration that `gateway` makes from the protos."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx

from deploy.local.component import Component, NotReady, version_of
from deploy.local.failures import ProgramMissing
from deploy.local.layout import Layout
from deploy.local.secret_files import SecretFiles

NAME: Final = "edge"
HEALTH_SECONDS: Final = 3
GRACE_SECONDS: Final = 5.0


def envoy_program() -> str:
    """Give the path of Envoy.

    Raises:
        ProgramMissing: it is not installed.
    """
    # The wheel's own command is a Python process that starts the program; this is the program.
    spec = find_spec("envoy")
    if spec is not None and spec.origin is not None:
        inside = Path(spec.origin).parent / "_bin" / "envoy"
        if inside.exists():
            return str(inside)
    found = shutil.which("envoy")
    if found is None:
        raise ProgramMissing("envoy")
    return found
