"""The commands, as a person at a terminal uses them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from tests.journeys.mesh import REGIONS, Mesh


def test_the_demo_shows_its_table_and_the_picture_to_people(mesh: Mesh) -> None:
    answer = mesh.reelmesh("demo")

    for fact in ("credits before", "credits held", "credits captured", "queue time", "upload"):
        assert fact in answer.stdout
    path = re.search(r"The picture: (.+\.png)", answer.stdout)
    assert path is not None
    assert Path(path.group(1)).read_bytes().startswith(b"\x89PNG")
    assert re.search("[░▒▓█]", answer.stdout)


def test_generate_makes_the_same_picture_from_the_same_seed(mesh: Mesh, tmp_path: Path) -> None:
    first, second, third = (tmp_path / f"picture {n}.png" for n in range(3))

    options = ("a green star on a black background", "--steps", "8")
    mesh.reelmesh("generate", *options, "--seed", "7", "-o", str(first))
    mesh.reelmesh("generate", *options, "--seed", "7", "-o", str(second))
    mesh.reelmesh("generate", *options, "--seed", "8", "-o", str(third))

    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != third.read_bytes()


def test_generate_makes_several_pictures(mesh: Mesh, tmp_path: Path) -> None:
    output = tmp_path / "many.png"

    options = ("--count", "2", "--steps", "4", "--seed", "1")
    answer = mesh.reelmesh("generate", "a red circle", *options, "-o", str(output))

    paths = [Path(line) for line in answer.stdout.splitlines()]
    assert paths == [output, tmp_path / "many-2.png"]
    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_generate_explains_a_refusal(mesh: Mesh) -> None:
    answer = mesh.reelmesh("generate", "a red circle", "--steps", "5000", check=False)

    assert answer.returncode == 1
    assert "INVALID_INPUTS" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_status_gives_every_process_with_port_version_and_health(mesh: Mesh) -> None:
    answer = mesh.reelmesh("status", "--json")

    status = json.loads(answer.stdout)
    assert status["gateway_url"] == mesh.gateway_url
    processes = {one["name"]: one for one in status["processes"]}
    assert set(processes) == {
        "webhooks",
        *("postgres", "seaweedfs", "nats", "platform", "business", "scheduler", "edge"),
        "connector-nats",
        *(f"region-{name}-{kind}" for name in REGIONS for kind in ("head", "agent")),
    }
    for one in processes.values():
        assert one["state"] == "ready"
        assert one["pid"] > 1
        assert one["port"] > 1023
        assert re.match(r"\d+\.\d+", one["version"])
        assert one["restarts"] >= 0
    assert processes["edge"]["port"] == mesh.port
    states = {one["name"]: one["state"] for one in status["regions"]}
    assert states == dict.fromkeys(REGIONS, "running")


def test_status_is_a_table_for_people(mesh: Mesh) -> None:
    answer = mesh.reelmesh("status")

    assert "13 of 13 processes ready" in answer.stdout
    assert mesh.gateway_url in answer.stdout


def test_a_second_up_of_the_same_folder_says_so(mesh: Mesh) -> None:
    for options in (("up",), ("up", "--detach")):
        answer = mesh.reelmesh(*options, check=False)

        assert answer.returncode == 1
        assert "already up" in " ".join(answer.stderr.split())


def test_another_up_on_the_same_port_names_the_variable(mesh: Mesh, tmp_path: Path) -> None:
    other = Mesh(tmp_path / "other", mesh.port)
    answer = other.reelmesh("up", "--detach", check=False)
    other.reelmesh("down")

    assert answer.returncode == 1
    assert f"Port {mesh.port} is taken" in " ".join(answer.stderr.split())
    assert "REELMESH_PORT" in answer.stderr


def test_logs_of_a_process_can_be_read(mesh: Mesh) -> None:
    answer = mesh.reelmesh("logs", "platform", "-n", "5")

    lines = answer.stdout.splitlines()
    assert 0 < len(lines) <= 5
    assert all(json.loads(line) for line in lines)


def test_logs_of_an_unknown_process_name_the_known_ones(mesh: Mesh) -> None:
    answer = mesh.reelmesh("logs", "nobody", check=False)

    assert answer.returncode == 1
    assert "region-us-east-agent" in " ".join(answer.stderr.split())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_secrets_are_in_no_command_line_and_no_log(mesh: Mesh) -> None:
    secrets = [
        (mesh.layout.secrets / name).read_text()
        for name in ("s3_secret_key", "postgres_password", "nats_password", "ray_token")
    ]
    commands = [
        Path(f"/proc/{one['pid']}/cmdline").read_text() for one in mesh.status()["processes"]
    ]
    logs = [path.read_text(errors="replace") for path in mesh.layout.logs.glob("*.log")]

    assert len(logs) >= 9
    assert not [text for text in (*commands, *logs) for secret in secrets if secret in text]
