from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from deploy.local import layout as layouts
from deploy.local.failures import FolderUnusable
from deploy.local.layout import Layout

SOCKET_PATH_BYTES_MAX = 107
# What Ray puts below the folder that it is given.
RAY_SOCKET = "r0/session_2026-11-22_14-16-59_516455_4194304/sockets/plasma_store"


def test_sockets_fit_however_long_the_data_path_is(tmp_path: Path) -> None:
    layout = Layout(tmp_path / ("long name " * 20) / "data")

    assert len(os.fsencode(layout.runtime / RAY_SOCKET)) <= SOCKET_PATH_BYTES_MAX


def test_two_data_folders_share_no_runtime_folder(tmp_path: Path) -> None:
    assert Layout(tmp_path / "a").runtime != Layout(tmp_path / "b").runtime
    assert Layout(tmp_path / "a").runtime == Layout(tmp_path / "a").runtime


def test_secrets_and_sockets_are_hidden_from_others(layout: Layout) -> None:
    assert stat.S_IMODE(layout.secrets.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.runtime.stat().st_mode) & 0o066 == 0


def test_the_folder_comes_from_the_option_then_the_variable_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REELMESH_DATA", str(tmp_path / "named"))
    assert Layout.at(Path("given")).data == tmp_path / "given"
    assert Layout.at(None).data == tmp_path / "named"
    monkeypatch.delenv("REELMESH_DATA")
    assert Layout.at(None).data == tmp_path / ".reelmesh"


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FolderUnusable, match=r"cannot be used: Not a directory.*--data"):
        Layout(tmp_path / "file" / "data").prepare()


def test_a_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "FREE_BYTES_MIN", 1 << 60)
    layout = Layout(tmp_path)

    with pytest.raises(FolderUnusable, match=r"Only \d+ MB are free.*Make room"):
        layout.prepare()
    layout.runtime.rmdir()
