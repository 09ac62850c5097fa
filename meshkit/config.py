"""Reads settings from environment variables and reports every problem at once."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")


class _Required(enum.Enum):
    """Marks a setting that has no default."""

    REQUIRED = enum.auto()


REQUIRED: Final = _Required.REQUIRED


class InvalidConfiguration(Exception):
    """The environment lacks settings or holds bad ones; `problems` has one line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        super().__init__(f"the configuration has {len(self.problems)} problem(s):\n{lines}")


class Environment:
    """Gives typed settings out of environment variables.

    A missing or bad setting is remembered and a stand-in of the right type is given, so that one
    start names all problems; `finish` must be called before any value is used. An empty variable
    counts as missing.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)
        self._problems: dict[str, None] = {}

    def text(self, name: str, *, default: str | _Required = REQUIRED) -> str:
        """Give the variable's text."""
        return self._read(name, str, default, "")

    def integer(
        self, name: str, *, minimum: int, maximum: int, default: int | _Required = REQUIRED
    ) -> int:
        """Give a whole number between both bounds, inclusive."""

        def convert(text: str) -> int:
            value = int(text)
            _demand_between(value, minimum, maximum)
            return value

        return self._read(name, convert, default, minimum)

    def number(
        self, name: str, *, minimum: float, maximum: float, default: float | _Required = REQUIRED
    ) -> float:
        """Give a number between both bounds, inclusive."""

        def convert(text: str) -> float:
            value = float(text)
            _demand_between(value, minimum, maximum)
            return value

        return self._read(name, convert, default, minimum)

    def seconds(
        self, name: str, *, minimum: float, maximum: float, default: float | _Required = REQUIRED
    ) -> timedelta:
        """Give a duration that is written in seconds."""
        return timedelta(
            seconds=self.number(name, minimum=minimum, maximum=maximum, default=default)
        )

    def flag(self, name: str, *, default: bool | _Required = REQUIRED) -> bool:
        """Give a truth value, written "true" or "false"."""

        def convert(text: str) -> bool:
            if text not in {"true", "false"}:
                raise ValueError('must be "true" or "false"')
            return text == "true"

        return self._read(name, convert, default, False)  # noqa: FBT003 - the stand-in is a value.

    def choice(
        self, name: str, *, choices: Sequence[str], default: str | _Required = REQUIRED
    ) -> str:
        """Give one of the choices."""

        def convert(text: str) -> str:
            if text not in choices:
                raise ValueError(f"must be one of {', '.join(choices)}")
            return text

        return self._read(name, convert, default, choices[0])

    def path(
        self, name: str, *, default: Path | _Required = REQUIRED, must_exist: bool = True
    ) -> Path:
        """Give a path of the file system, which must exist unless said otherwise."""

        def convert(text: str) -> Path:
            path = Path(text)
            if must_exist and not path.exists():
                raise ValueError(f"names {text}, which does not exist")
            return path

        return self._read(name, convert, default, Path())

    def secret_file(self, name: str, *, default: str | _Required = REQUIRED) -> str:
        """Give the text of the file that the variable names, without surrounding white space.

        Secrets come in files so that they do not show in process lists and crash reports.
        """

        def convert(text: str) -> str:
            try:
                secret = Path(text).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"names {text}, which cannot be read ({error})") from error
            if not secret:
                raise ValueError(f"names {text}, which is empty")
            return secret

        return self._read(name, convert, default, "")

    def refuse(self, name: str, problem: str) -> None:
        """Add a problem that only the reader of several settings can see."""
        self._problems.setdefault(f"{name} {problem}")

    def finish(self) -> None:
        """Check that every setting read so far was good.

        Raises:
            InvalidConfiguration: listing all problems.
        """
        if self._problems:
            raise InvalidConfiguration(tuple(self._problems))

    def _read(
        self, name: str, convert: Callable[[str], T], default: T | _Required, stand_in: T
    ) -> T:
        text = self._variables.get(name, "").strip()
        if not text:
            if not isinstance(default, _Required):
                return default
            self.refuse(name, "is not set")
            return stand_in
        try:
            return convert(text)
        except ValueError as error:
            self.refuse(name, f"is wrong: {error}")
            return stand_in


def _demand_between(value: float, minimum: float, maximum: float) -> None:
    if not minimum <= value <= maximum:  # Also false for NaN.
        raise ValueError(f"must be between {minimum} and {maximum}, not {value}")
