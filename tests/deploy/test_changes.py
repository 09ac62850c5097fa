from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy import changes
from deploy.changes import changelog_missing, main


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("README.md", False),
        ("docs/decisions/0001-one-edge.md", False),
        (".github/CODEOWNERS", False),
        ("bench/results/2026-11-22-edge.md", False),
        (".github/workflows/deploy.yml", True),
        (".github/actions/setup/action.yml", True),
        ("inference/models/weights/shapes/1/MODEL_CARD.md", True),
        ("protos/reelmesh/common/v1/authorization.proto", True),
        ("deploy/images/service.Dockerfile", True),
        ("pyproject.toml", True),
        ("tests/deploy/test_changes.py", True),
        ("a new folder/file", True),
    ],
)
def test_tests_run_unless_no_test_reads_what_changed(
    path: str,
    needed: object,
) -> None:
    assert changes.tests_needed([path]) is needed
    assert changes.tests_needed(["README.md", path]) is needed


def test_what_users_notice_needs_a_line_in_the_changelog() -> None:
    assert changelog_missing(["platform_svc/credits/ledger.py"], "Mend it")
    assert not changelog_missing(["platform_svc/credits/ledger.py", "CHANGELOG.md"], "Mend it")
    assert not changelog_missing(["tests/deploy/test_changes.py", "README.md"], "Mend it")
    assert not changelog_missing(["meshkit/ids.py"], "Rename\n\nWhy.\n\nChangelog: none\n")
    assert changelog_missing(["meshkit/ids.py"], "Say `Changelog: none` in passing")


def test_two_revisions_are_compared(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(changes, "ROOT", tmp_path)

    def commit(path: str) -> str:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("x")
        for command in (["add", "."], ["commit", "-qm", "Add it"]):
            subprocess.run(
                ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", *command],
                cwd=tmp_path,
                check=True,
            )
        head = ["git", "rev-parse", "HEAD"]
        return subprocess.run(
            head, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    first = commit("README.md")
    commit("docs/more.md")

    assert main([first]) == 0
    assert main(["--changelog", first]) == 0
    assert capsys.readouterr().out == "tests=false\n"

    commit("deploy/more.py")

    assert main([first]) == 0
    assert capsys.readouterr().out == "tests=true\n"
    assert main(["--changelog", first]) == 1
    assert "CHANGELOG.md has no new line" in capsys.readouterr().out
    # A first push names no revision before it.
    assert main(["0" * 40]) == 0
    assert capsys.readouterr().out == "tests=true\n"
