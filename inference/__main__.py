"""Runs the inference part: jobs, the scheduler and the lease connector in one process."""

from __future__ import annotations

from inference.config import InferenceSettings
from inference.wiring import open_inference
from meshkit.part import run_part


def main() -> None:
    """Serve until SIGTERM."""
    run_part("inference", [open_inference], settings=[InferenceSettings.from_environment])


if __name__ == "__main__":
    main()
