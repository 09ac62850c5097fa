"""Runs the business part: `python -m business_svc`."""

from __future__ import annotations

from business_svc.tools.config import ToolsSettings
from business_svc.tools.wiring import open_service as open_tools
from meshkit.part import run_part


def main() -> None:
    """Serve until told to stop."""
    run_part(
        "business",
        [open_tools],
        settings=[ToolsSettings.from_environment],
        channels=("platform", "inference"),
    )


if __name__ == "__main__":
    main()
