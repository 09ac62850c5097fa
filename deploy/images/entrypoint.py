"""Starts the part that the image was built for: `REELMESH_PART`."""

import os
import runpy
import sys

MODULES = {"platform": "platform_svc", "business": "business_svc", "inference": "inference"}


def main() -> None:
    """Run the part's module as `python -m` would, with the container's arguments."""
    part = os.environ.get("REELMESH_PART", "")
    if part not in MODULES:
        sys.exit(f"REELMESH_PART is {part!r}; it must be one of {', '.join(MODULES)}")
    runpy.run_module(MODULES[part], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
