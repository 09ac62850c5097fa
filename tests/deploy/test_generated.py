from __future__ import annotations

import json
import shutil
from pathlib import Path

from deploy import generated
from deploy.checks import checks


def test_the_committed_files_are_what_the_protos_give(monkeypatch) -> None:
    monkeypatch.setenv("REELMESH_HOST", "0.0.0.0")

    assert generated.drift(generated.FOLDER) == []


def test_a_difference_is_shown(tmp_path: Path) -> None:
    for path in generated.FOLDER.iterdir():
        shutil.copy(path, tmp_path)
    config = tmp_path / "envoy.yaml"
    config.write_text(config.read_text() + "extra: 1\n")
    document = json.loads((tmp_path / "openapi.json").read_text())
    del document["paths"]["/v1/me"]
    (tmp_path / "openapi.json").write_text(json.dumps(document))

    lines = generated.drift(tmp_path)

    assert "-extra: 1" in lines
    assert "+++ openapi.json as generated" in lines


def test_files_that_are_not_there_differ(tmp_path: Path) -> None:
    assert "+++ envoy.yaml as generated" in generated.drift(tmp_path)


def test_the_check_is_run() -> None:
    assert any(check.command[1:] == ("-m", "deploy.generated") for check in checks())
