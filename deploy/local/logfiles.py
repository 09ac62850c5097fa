"""Logs of the processes: bounded in size, and their ends for error messages."""

from __future__ import annotations

import shutil
from collections import deque
from pathlib import Path
from typing import Final

LOG_BYTES_MAX: Final = 8 * 1024 * 1024
LAST_LINES: Final = 15
TAIL_BYTES_MAX: Final = 64 * 1024
LINE_CHARACTERS_MAX: Final = 400


def bound_logs(folder: Path) -> None:
    """Move the content of each log that grew too long to `<name>.log.1`.

    The file is copied and cut, not renamed: processes hold it open and append.
    """
    for path in folder.glob("*.log"):
        try:
            if path.stat().st_size > LOG_BYTES_MAX:
                shutil.copyfile(path, path.with_name(f"{path.name}.1"))
                with path.open("r+b") as file:
                    file.truncate(0)
        except OSError:
            # A full disk must not stop the supervisor; the next round tries again.
            continue


def last_lines(
    path: Path, count: int = LAST_LINES, *, line_characters_max: int = LINE_CHARACTERS_MAX
) -> str:
    """Give the last lines of a log, each of bounded length."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES_MAX))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = deque(text.splitlines(), maxlen=count)
    return "\n".join(line[:line_characters_max] for line in lines)
