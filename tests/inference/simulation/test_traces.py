"""Recorded traces are read as they are, and what is none is refused with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.simulation.traces import BadTrace, read

HEADING = (
    "gmt_create,predict_type,predict_status,exec_time_seconds,groupId,prompt_length,"
    "negative_prompt_length,num_images_per_prompt,num_inference_steps,"
    "checkpoint_model_version_id,num_lora"
)
FIRST = "2024-11-15 16:57:50,TXT_2_IMG,SUCCEED,32.0,G0000,63.0,26.0,1.0,30.0,M0000,0"
SECOND = "2024-11-15 16:57:40,TXT_2_IMG,SUCCEED,43.0,G0001,93.0,,2.0,60.0,M0001,0"
ZONE = {"metadata": {"gap_seconds": 195}, "data": [0, 1, 1]}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_requests_are_read_in_the_order_of_their_times(tmp_path: Path) -> None:
    path = write(tmp_path, "requests.csv", f"{HEADING}\n{FIRST}\n{SECOND}")
    earlier, later = read(path).requests
    assert (earlier.tenant_id, earlier.model, earlier.number) == ("G0001", "M0001", 0)
    assert (earlier.at, later.at) == (0.0, 10.0)
    assert (later.run_seconds, later.cost_seconds) == (32.0, 13.0)
    assert earlier.cost_seconds == 40.0


def test_a_folder_gives_all_that_is_in_it(tmp_path: Path) -> None:
    write(tmp_path, "requests.csv", f"{HEADING}\n{FIRST}")
    write(tmp_path, "quantiles.csv", "stage,p50\nload,22.72\n")
    write(tmp_path, "README.md", "about")
    write(tmp_path, "us-east-1a.json", json.dumps(ZONE))
    trace = read(tmp_path)
    assert len(trace.requests) == 1
    [zone] = trace.zones
    assert (zone.zone, zone.tick_seconds, zone.present) == (
        "us-east-1a",
        195.0,
        (False, True, True),
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no column gmt_create"),
        ("a,b\n1,2\n", "has no column gmt_create, exec_time_seconds"),
        (f"{HEADING}\nnever{FIRST[19:]}", "line 2: 'never' is no time"),
        (f"{HEADING}\n{FIRST}\n{FIRST.replace('32.0', 'nan')}", "line 3: exec_time_seconds is"),
        (f"{HEADING}\n{FIRST.replace('32.0', '-1')}", "line 2: exec_time_seconds is '-1'"),
        (f"{HEADING}\n{FIRST.replace('32.0', '1e999')}", "line 2: exec_time_seconds"),
        (f"{HEADING}\n{FIRST.replace('30.0', '')}", "line 2: num_inference_steps"),
        (f"{HEADING}\n{FIRST.replace('G0000', '')}", "line 2: a tenant or a model is missing"),
        (f"{HEADING}\n2024-11-15 16:57:50", "line 2: num_images_per_prompt"),
        (HEADING, "holds no trace"),
    ],
)
def test_bad_requests_are_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = write(tmp_path, "requests.csv", text)
    with pytest.raises(BadTrace, match=problem.replace("'", ".")) as refused:
        read(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("{", "is no availability trace"),
        ("[]", "is no availability trace"),
        (json.dumps({"data": [1]}), "'metadata' is missing"),
        (json.dumps(ZONE | {"data": []}), "data must be"),
        (json.dumps(ZONE | {"data": [0, 2]}), "data must be"),
        (json.dumps(ZONE | {"data": {"0": 1}}), "data must be"),
        (json.dumps(ZONE | {"metadata": {"gap_seconds": 0}}), "gap_seconds"),
        (json.dumps(ZONE | {"metadata": {"gap_seconds": "1"}}), "gap_seconds"),
        ("[" * 100_000, "is no availability trace"),
    ],
)
def test_bad_zones_are_refused(tmp_path: Path, document: str, problem: str) -> None:
    with pytest.raises(BadTrace, match=problem):
        read(write(tmp_path, "us-east-1a.json", document))


def test_what_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "requests.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadTrace, match="UTF-8"):
        read(binary)
    with pytest.raises(BadTrace, match="cannot be read"):
        read(tmp_path / "nothing.csv")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BadTrace, match="holds no trace"):
        read(empty)
