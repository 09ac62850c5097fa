"""Runs the checks against one store and leaves nothing there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import httpx

from deploy.store_contract import in_parts, objects, presigned
from deploy.store_contract.bench import Bench, Broken
from meshkit.clock import uuid7
from meshkit.object_store import (
    MultipartMissing,
    ObjectMissing,
    ObjectTooLarge,
    S3ObjectStore,
    S3Settings,
    StoreUnavailable,
)

PREFIX: Final = "reelmesh-contract/"
TIMEOUT_SECONDS: Final = 60.0

Check = Callable[[Bench], Awaitable[None]]
CHECKS: Final[Sequence[Check]] = (*objects.CHECKS, *presigned.CHECKS, *in_parts.CHECKS)


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one check; `problem` is empty if the store does what is asked."""

    name: str
    asked: str
    seconds: float
    problem: str

    @property
    def holds(self) -> bool:
        """Whether the store does what is asked."""
        return not self.problem


def name_of(check: Check) -> str:
    """Give the name of a check as people read it."""
    return check.__name__.replace("_", " ")


async def examine(settings: S3Settings, checks: Sequence[Check] = CHECKS) -> AsyncIterator[Finding]:
    """Run the checks one after another; each cleans up under its own prefix.

    Only keys that begin with `reelmesh-contract/` are touched.
    """
    async with (
        S3ObjectStore(settings) as store,
        httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS) as http,
    ):
        for check in checks:
            bench = Bench(store, settings, http, f"{PREFIX}{uuid7().hex}/")
            yield await examined(check, bench)


async def examined(check: Check, bench: Bench) -> Finding:
    """Run one check, clean up and give what was found."""
    began = time.monotonic()
    problem = await _problem_of(check(bench))
    # A store that cannot be cleaned fails the checks of listing and removing by name.
    await _problem_of(_clean(bench))
    asked = (check.__doc__ or "").strip()
    return Finding(name_of(check), asked, time.monotonic() - began, problem)


async def _problem_of(work: Awaitable[None]) -> str:
    try:
        await work
    except Broken as broken:
        return str(broken)
    except StoreUnavailable as error:
        return f"{error} ({error.__cause__})"
    except (ObjectMissing, MultipartMissing, ObjectTooLarge, httpx.HTTPError) as error:
        return f"{error} ({type(error).__name__})"
    return ""


async def _clean(bench: Bench) -> None:
    async for unfinished in bench.multiparts.unfinished(bench.prefix):
        await bench.multiparts.abort(unfinished.key, unfinished.upload_id)
    for key in [info.key async for info in bench.store.list(bench.prefix)]:
        await bench.store.delete(key)
