"""Runs the platform part: `python -m platform_svc [--services identity,credits]`.

`--services webhooks` runs the worker that delivers webhooks.
"""

from __future__ import annotations

import argparse

from meshkit.part import run_part
from platform_svc.wiring import SERVICES, WORKERS

HOSTED = {**SERVICES, **WORKERS}


def main() -> None:
    """Host the services asked for, all by default, until told to stop."""
    parser = argparse.ArgumentParser(prog="platform_svc")
    parser.add_argument(
        "--services",
        type=_names,
        default=list(SERVICES),
        help="comma-separated; all but workers by default",
    )
    hosted = [HOSTED[name] for name in parser.parse_args().services]
    run_part(
        "platform",
        [one.open_service for one in hosted],
        settings=[one.read_settings for one in hosted if one.read_settings is not None],
        channels=sorted({channel for one in hosted for channel in one.channels}),
        objects=any(one.needs_objects for one in hosted),
    )


def _names(text: str) -> list[str]:
    names = list(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in HOSTED]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such service: {', '.join(unknown)}")
    return names


if __name__ == "__main__":
    main()
