"""Reads recorded traces: requests as CSV, and the availability of spot devices as JSON.

Requests have the columns of Alibaba's GenTD26, availability the form of SkyPilot's spot traces.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from inference.simulation.workload import BASE_SECONDS, SECONDS_PER_PICTURE, STEPS_USUAL, Request

FILE_BYTES_MAX: Final = 256 * 1024 * 1024
REQUESTS_MAX: Final = 1_000_000
TICKS_MAX: Final = 1_000_000
SECONDS_MAX: Final = 86_400.0
PICTURES_MAX: Final = 64
STEPS_MAX: Final = 1000
TIME: Final = "gmt_create"
COLUMNS: Final = (
    *(TIME, "exec_time_seconds", "groupId", "num_images_per_prompt"),
    *("num_inference_steps", "checkpoint_model_version_id"),
)


class BadTrace(Exception):
    """A trace cannot be read; the message names the file, and the line where there is one."""


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether one zone's devices are there, one value each `tick_seconds`."""

    zone: str
    tick_seconds: float
    present: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """What the files hold; without requests or zones, that part is empty."""

    requests: tuple[Request, ...]
    zones: tuple[Availability, ...]


def read(path: Path) -> Trace:
    """Read a CSV file of requests, a JSON file of one zone, or all of them below a folder.

    Raises:
        BadTrace: something is no trace, or there is none.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    requests: list[Request] = []
    zones = []
    for file in files:
        if file.suffix == ".json":
            zones.append(_read_zone(file))
        # Other tables may lie beside the one with the requests.
        elif file.suffix == ".csv" and (file == path or TIME in _text(file)[:1000]):
            requests += _read_requests(file)
    if not requests and not zones:
        raise BadTrace(f"{path} holds no trace: a .csv of requests or a .json of a zone is needed")
    requests.sort(key=lambda one: (one.at, one.number))
    return Trace(_from_zero(requests), tuple(zones))


def _from_zero(requests: list[Request]) -> tuple[Request, ...]:
    if not requests:
        return ()
    begin = requests[0].at
    return tuple(
        replace(one, number=number, at=one.at - begin) for number, one in enumerate(requests)
    )


def _read_requests(file: Path) -> list[Request]:
    rows = csv.DictReader(_text(file).splitlines())
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise BadTrace(f"{file} has no column {', '.join(missing)}")
    requests = []
    try:
        for number, row in enumerate(rows):
            requests.append(_request(number, row))
    except (ValueError, TypeError, csv.Error) as error:
        raise BadTrace(f"{file}, line {len(requests) + 2}: {error}") from error
    return requests


def _request(number: int, row: Mapping[str, str]) -> Request:
    if number >= REQUESTS_MAX:
        raise ValueError(f"a trace has at most {REQUESTS_MAX} requests")
    try:
        at = datetime.fromisoformat(row[TIME] + "+00:00").timestamp()
    except ValueError as error:
        raise ValueError(f"'{row[TIME]}' is no time such as 2024-11-15 16:57:50") from error
    pictures = _number(row, "num_images_per_prompt", PICTURES_MAX)
    steps = _number(row, "num_inference_steps", STEPS_MAX)
    tenant, model = row["groupId"], row["checkpoint_model_version_id"]
    if not tenant or not model:
        raise ValueError("a tenant or a model is missing")
    return Request(
        number=number,
        at=at,
        tenant_id=tenant,
        model=model,
        band=1,
        weight=1.0,
        cost_seconds=BASE_SECONDS + pictures * SECONDS_PER_PICTURE * steps / STEPS_USUAL,
        run_seconds=max(_number(row, "exec_time_seconds", SECONDS_MAX, minimum=0.0), 0.1),
    )


def _number(row: Mapping[str, str], name: str, maximum: float, minimum: float = 1.0) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not minimum <= value <= maximum:
        raise ValueError(f"{name} is '{row[name]}', not a number from {minimum:g} to {maximum:g}")
    return value


def _read_zone(file: Path) -> Availability:
    try:
        tick, present = _zone(json.loads(_text(file)))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise BadTrace(f"{file} is no availability trace: {why}") from error
    return Availability(file.stem, tick, present)


def _zone(document: Any) -> tuple[float, tuple[bool, ...]]:
    tick, values = document["metadata"]["gap_seconds"], document["data"]
    is_number = isinstance(tick, int | float) and not isinstance(tick, bool)
    if not is_number or not 0 < tick <= SECONDS_MAX:
        raise ValueError(f"gap_seconds is no number from 0 to {SECONDS_MAX:g}")
    if not isinstance(values, list) or not 0 < len(values) <= TICKS_MAX or not _are_flags(values):
        raise ValueError(f"data must be 1 to {TICKS_MAX} values, each 0 or 1")
    return float(tick), tuple(bool(value) for value in values)


def _are_flags(values: Iterable[object]) -> bool:
    return all(isinstance(value, int) and value in {0, 1} for value in values)


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise BadTrace(f"{file} is larger than {FILE_BYTES_MAX // 1024**2} MB")
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadTrace(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadTrace(f"{file} is no text in UTF-8") from error
