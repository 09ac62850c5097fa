"""Keeps the generated edge configuration and API description in the repository up to date.

They are committed so that a review shows what a change of the protos does to them; programs use
what is made from the descriptors at their start. `--write` makes the files anew, and without it
they are compared and Envoy itself validates the configuration.
"""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

import yaml

from deploy.local.edge import HOST, Edge, envoy_program
from deploy.local.layout import Layout
from deploy.local.parts import Part, Parts
from deploy.local.ports import GATEWAY_PORT
from gateway.descriptors import Descriptors
from gateway.envoy import CONFIG_FILE, OPENAPI_FILE, config_text, write_edge
from gateway.openapi import openapi_document
from gateway.routes import read_routes
from gateway.topology import Address, Topology

FOLDER: Final = Path(__file__).resolve().parent.parent / "gateway" / "golden"
DIFF_LINES_MAX: Final = 60
VALIDATE_SECONDS_MAX: Final = 60


def example_topology() -> Topology:
    """Give the edge of one machine, with example ports for the parts."""
    parts = Parts(
        Part("platform", "platform", "platform_svc", 50051, 9101),
        Part("business", "business", "business_svc", 50052, 9102),
        Part("scheduler", "inference", "inference", 50053, 9103),
        Part("webhooks", "platform", "platform_svc", 50054, 9104),
    )
    return Edge(Layout.at(None), GATEWAY_PORT, 9901, parts).topology


def documents() -> dict[str, str]:
    """Give the text of each generated file by its name, whatever the environment says."""
    topology = replace(example_topology(), listen=Address(HOST, GATEWAY_PORT))
    protos = Descriptors.load()
    document = openapi_document(protos, read_routes(protos))
    return {
        CONFIG_FILE: config_text(topology),
        OPENAPI_FILE: json.dumps(document, indent=2, ensure_ascii=False) + "\n",
    }


def drift(folder: Path) -> list[str]:
    """Give the lines in which the files in the folder differ from what is generated now."""
    lines: list[str] = []
    for name, fresh in documents().items():
        path = folder / name
        kept = path.read_text() if path.exists() else ""
        # YAML holds JSON too; its writers may break lines in different places.
        if yaml.safe_load(kept) != yaml.safe_load(fresh):
            difference = difflib.unified_diff(
                kept.splitlines(), fresh.splitlines(), name, f"{name} as generated", lineterm=""
            )
            lines += islice(difference, DIFF_LINES_MAX)
    return lines


def main(arguments: list[str]) -> int:
    """Write or check the files; gives the exit status."""
    if arguments == ["--write"]:
        FOLDER.mkdir(exist_ok=True)
        for name, text in documents().items():
            (FOLDER / name).write_text(text)
        return 0
    lines = drift(FOLDER)
    if lines:
        sys.stdout.write("\n".join([*lines, "`make format` writes these files anew.", ""]))
        return 1
    with tempfile.TemporaryDirectory() as folder:
        config = write_edge(Path(folder), example_topology())
        return subprocess.run(  # noqa: S603 - the installed Envoy with fixed arguments
            [envoy_program(), "--mode", "validate", "--config-path", str(config)],
            check=False,
            timeout=VALIDATE_SECONDS_MAX,
        ).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
