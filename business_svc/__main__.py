"""Runs the business part: `python -m business_svc`."""

from __future__ import annotations

from business_svc.social.config import SocialSettings
from business_svc.social.wiring import open_service as open_social
from business_svc.tools.config import ToolsSettings
from business_svc.tools.wiring import open_service as open_tools
from meshkit.part import run_part


def main() -> None:
    """Serve until told to stop."""
    run_part(
        "business",
        [open_tools, open_social],
        settings=[ToolsSettings.from_environment, SocialSettings.from_environment],
        channels=("platform", "inference", "business"),
    )


if __name__ == "__main__":
    main()
