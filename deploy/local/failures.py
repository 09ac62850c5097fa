"""What keeps the local platform from starting or stopping, said so that a person can act on it."""

from __future__ import annotations


class LocalFailure(Exception):
    """Base of all; the message is one paragraph that says what is wrong and what to do."""


class ProgramMissing(LocalFailure):
    """A component's program is not installed."""

    def __init__(self, program: str) -> None:
        super().__init__(
            f"The program '{program}' is not installed in this environment. "
            "Run `make setup` (or `pip install 'reelmesh[local]'`) and try again."
        )


class PortTaken(LocalFailure):
    """The port that was asked for belongs to another program."""

    def __init__(self, port: int, variable: str, owner: str) -> None:
        super().__init__(
            f"Port {port} is taken by {owner}. Stop that program, or choose another port with "
            f"{variable}, such as `{variable}={port + 1} reelmesh up`."
        )


class BadSetting(LocalFailure):
    """An environment variable or option holds something that cannot be used."""


class AlreadyRunning(LocalFailure):
    """Another supervisor holds this data folder."""

    def __init__(self, data: object) -> None:
        super().__init__(
            f"The platform with the data folder {data} is already up. Use it as it is, stop it "
            "with `reelmesh down`, or start a second one with another --data and REELMESH_PORT."
        )


class NotRunning(LocalFailure):
    """Nothing is up for this data folder."""

    def __init__(self, data: object) -> None:
        super().__init__(
            f"No platform is running with the data folder {data}. Start it with "
            "`reelmesh up --detach` (or name its folder with --data or REELMESH_DATA)."
        )


class FolderUnusable(LocalFailure):
    """The data folder cannot hold what must be written."""


class NotYours(LocalFailure):
    """A file or folder may not be used by this user."""

    def __init__(self, error: PermissionError) -> None:
        super().__init__(
            f"{error.filename or 'A file'} cannot be used: {error.strerror or error}. It was "
            "probably made by another user, such as root: run the command as that user, or name "
            "a data folder of your own with --data or REELMESH_DATA."
        )


class ComponentFailed(LocalFailure):
    """A component did not become ready; carries the end of its log."""

    def __init__(self, name: str, reason: str, log: object, last_lines: str) -> None:
        self.name = name
        super().__init__(
            f"{name} did not start: {reason}. Its log is {log}; look there, mend the cause and "
            f"run the command again. The last lines:\n{last_lines or '(the log is empty)'}"
        )


def describe(error: Exception) -> str:
    """Say in one line what went wrong, with the file if the system names one."""
    if isinstance(error, LocalFailure):
        return str(error).partition("\n")[0]
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror} ({error.filename})" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
