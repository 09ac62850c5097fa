"""An ordinary user to run commands as, when the tests themselves run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Without the rights to its folder, another Python's library may be taken for our own.
PROBE = (
    "import sys, asyncpg, boto3, deploy.local.mesh, pytest; sys.exit(sys.version != sys.argv[1])"
)


@dataclass(frozen=True)
class OrdinaryUser:
    """A user without rights; `prefix` starts a command as this user."""

    user_id: int
    home: Path
    prefix: tuple[str, ...]

    def python(
        self, *arguments: str, seconds: float = 300, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.prefix, sys.executable, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=ROOT,
            env={**os.environ, "HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}
            | environment,
        )


@contextmanager
def ordinary_user() -> Iterator[OrdinaryUser]:
    """Give such a user with a home of their own, or skip the test where there can be none."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("only root on Linux can be another user; others run everything as themselves")
    entry = pwd.getpwnam("nobody")
    plain = (
        *(setpriv, "--reuid", str(entry.pw_uid), "--regid", str(entry.pw_gid)),
        "--clear-groups",
    )
    # An interpreter below /root can be read with this capability; it gives no right to write.
    reading = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    # Outside of pytest's own folders, which are closed to other users.
    with tempfile.TemporaryDirectory(prefix="reelmesh-user-", dir="/tmp") as folder:
        home = Path(folder)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        home.chmod(0o755)
        for prefix in (plain, (*plain, *reading)):
            user = OrdinaryUser(entry.pw_uid, home, prefix)
            if user.python("-c", PROBE, sys.version).returncode == 0:
                yield user
                return
    pytest.skip("no other user than root can run this Python")
