"""Where the local platform keeps its files."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local.failures import FolderUnusable

DATA_VARIABLE: Final = "REELMESH_DATA"
DEFAULT_DATA: Final = ".reelmesh"
# What Ray adds to it may take the other 77 of 107 bytes.
TEMPORARY_CHARACTERS_MAX: Final = 12
FREE_BYTES_MIN: Final = 500 * 1024 * 1024


@dataclass(frozen=True)
class Layout:
    """The folders and files of one data folder (an absolute path, which may have spaces)."""

    data: Path

    @classmethod
    def at(cls, data: Path | None) -> Layout:
        """Give the layout of this folder, or of REELMESH_DATA, or of `.reelmesh` here."""
        chosen = data or Path(os.environ.get(DATA_VARIABLE) or DEFAULT_DATA)
        return cls(chosen.expanduser().absolute())

    @property
    def key(self) -> str:
        """Name this data folder in few characters; the same folder has the same key."""
        return hashlib.sha256(str(self.data.resolve()).encode()).hexdigest()[:10]

    @property
    def secrets(self) -> Path:
        """Hold keys and passwords, readable by their owner only."""
        return self.data / "secrets"

    @property
    def logs(self) -> Path:
        """Hold one log for each process."""
        return self.data / "logs"

    @property
    def mail(self) -> Path:
        """Hold one file for each mail that the platform sent."""
        return self.data / "mail"

    @property
    def pids(self) -> Path:
        """Hold one file for each running process, with its identity."""
        return self.data / "run"

    @property
    def state_file(self) -> Path:
        """Tell `reelmesh status` what runs."""
        return self.data / "state.json"

    @property
    def lock_file(self) -> Path:
        """Be locked by the supervisor for as long as it lives."""
        return self.data / "supervisor.lock"

    @property
    def runtime(self) -> Path:
        """Hold sockets: a short path, because those of sockets end at 107 bytes."""
        temporary = Path(tempfile.gettempdir()).resolve()
        if len(str(temporary)) > TEMPORARY_CHARACTERS_MAX:
            temporary = Path("/tmp").resolve()  # noqa: S108 - what is made in it is private
        return temporary / f"reelmesh-{os.geteuid()}-{self.key}"

    def log(self, name: str) -> Path:
        """Give the log file of a process."""
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            FolderUnusable: they cannot be made or written, or the disk is full.
        """
        try:
            for folder in (self.data, self.logs, self.pids):
                folder.mkdir(parents=True, exist_ok=True)
            self.secrets.mkdir(mode=0o700, exist_ok=True)
            probe = self.data / ".writable"
            probe.write_text("")
            probe.unlink()
            _private_folder(self.runtime)
        except OSError as error:
            raise FolderUnusable(
                f"The data folder {self.data} cannot be used: {error.strerror or error}. Give "
                "yourself the right to write there, or name another one with --data or "
                f"{DATA_VARIABLE}."
            ) from error
        free = shutil.disk_usage(self.data).free
        if free < FREE_BYTES_MIN:
            raise FolderUnusable(
                f"Only {free // 1024**2} MB are free on the disk of {self.data}, and the platform "
                f"needs {FREE_BYTES_MIN // 1024**2} MB. Make room, or name a folder on another "
                f"disk with --data or {DATA_VARIABLE}."
            )


def _private_folder(folder: Path) -> None:
    """Make a folder in the shared temporary one, and refuse one that somebody else made first."""
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    # Others may pass through (Postgres runs as another user under root), but not look.
    folder.chmod(0o711)
