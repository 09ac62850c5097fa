"""A part without services of its own, to be run as a process by test_part.py."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from meshkit.config import Environment
from meshkit.part import PartContext, run_part
from meshkit.server import Service

VERSIONS = Path(__file__).parent / "versions"


def read(environment: Environment) -> int:
    return environment.integer("SAMPLE_SIZE", minimum=1, maximum=10)


async def open_sample(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    database = await part.open_database(stack, "sample", VERSIONS)
    part.start_outbox(database)
    return []


if __name__ == "__main__":
    run_part("platform", [open_sample], settings=[read], objects=True)
