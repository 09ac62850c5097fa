"""`reelmesh simulate` needs nothing that runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def reelmesh(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "simulate", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_it_writes_a_report_that_is_the_same_each_time(tmp_path: Path) -> None:
    first = reelmesh(tmp_path, "--jobs", "60", "--seed", "4", "-o", "one")
    again = reelmesh(tmp_path, "--jobs", "60", "--seed", "4", "-o", "two", "--json")
    assert first.returncode == 0, first.stderr
    assert again.returncode == 0, again.stderr
    assert "strict_priority" in first.stdout
    for name in ("report.html", "report.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    document = json.loads(again.stdout)
    assert document["requests"] == 60
    assert again.stdout == (tmp_path / "two" / "report.json").read_text()


def test_a_bad_trace_is_an_error_that_says_where(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("gmt_create\nyesterday\n")
    done = reelmesh(tmp_path, "--trace", "bad.csv")
    assert done.returncode == 1
    assert "bad.csv has no column" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "simulation").exists()
