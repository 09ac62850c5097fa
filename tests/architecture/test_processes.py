"""How the parts start other programs."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("meshkit", "platform_svc", "business_svc", "inference")
FORKING = re.compile(r"\b(create_subprocess_(exec|shell)|subprocess_(exec|shell)|os\.fork)\b")


def test_no_part_starts_a_program_by_its_event_loop() -> None:
    # Parts run on uvloop, which forks: gRPC's threads in the child may crash it before the program
    # begins. `subprocess.Popen` uses vfork and so has no such child.
    found = [
        str(path.relative_to(ROOT))
        for part in PARTS
        for path in (ROOT / part).rglob("*.py")
        if FORKING.search(path.read_text())
    ]
    assert found == []
