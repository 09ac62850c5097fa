from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from deploy.local.accounts import open_path, open_tree, own, unprivileged_account
from deploy.local.component import Account

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_ordinary_user_stays_who_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert unprivileged_account() == Account()
    assert Account().arguments() == {}


@root_only
def test_root_gets_another_user(tmp_path: Path) -> None:
    account = unprivileged_account()

    assert account.user_id not in {0, None}
    assert account.arguments()["extra_groups"] == []


@root_only
def test_a_folder_below_a_private_one_can_be_reached_by_its_new_owner(tmp_path: Path) -> None:
    private = tmp_path / "private"
    folder = private / "data"
    folder.mkdir(parents=True, mode=0o700)
    private.chmod(0o700)

    opened = own(folder, unprivileged_account())

    assert private in opened
    assert folder.stat().st_uid == unprivileged_account().user_id
    assert mode(private) == 0o701  # Others may pass, and still not look.
    assert mode(folder) == 0o700


def test_folders_that_are_open_are_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    opened = open_path(tmp_path / "file")

    assert tmp_path not in opened
    assert mode(tmp_path) == 0o755


def test_programs_installed_for_one_user_are_opened_to_all(tmp_path: Path) -> None:
    programs = tmp_path / "install"
    programs.mkdir(mode=0o700)
    (programs / "postgres").touch(mode=0o700)
    (programs / "data").touch(mode=0o600)

    open_tree(programs)

    assert mode(programs) == 0o755
    assert mode(programs / "postgres") == 0o755
    assert mode(programs / "data") == 0o644
