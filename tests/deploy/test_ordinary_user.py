"""The commands as an ordinary user in a folder of root's."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.deploy.ordinary import OrdinaryUser, ordinary_user

# Runs each command and tells how it ended.
COMMANDS = """
import json, sys
from typer.testing import CliRunner
from deploy.cli import app
said = {}
for command in ("demo", "up", "up --detach", "down", "generate x"):
    answer = CliRunner().invoke(app, [*command.split(), "--data", sys.argv[1]])
    said[command] = (answer.exit_code, answer.output, repr(answer.exception))
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def user() -> Iterator[OrdinaryUser]:
    with ordinary_user() as user:
        yield user


def test_a_data_folder_of_root_is_refused_in_one_paragraph(
    user: OrdinaryUser,
) -> None:
    data = user.home / "of root"
    for folder in (data, data / "logs", data / "run", data / "secrets"):
        folder.mkdir(mode=0o755)
    for file in ("supervisor.lock", "failure.txt"):
        (data / file).touch(mode=0o600)

    answer = user.python("-c", COMMANDS, str(data))

    assert answer.returncode == 0, answer.stderr
    said = json.loads(answer.stdout)
    assert said.keys() == {"demo", "up", "up --detach", "down", "generate x"}
    for code, output, error in said.values():
        words = " ".join(output.split())
        assert (code, error) == (1, "SystemExit(1)"), words
        assert str(data) in words
        assert "--data" in words or "as the user who started" in words
