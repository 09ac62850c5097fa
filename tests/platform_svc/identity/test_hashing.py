"""The pool that hashes passwords."""

from __future__ import annotations

import asyncio
import statistics
import time

from argon2 import PasswordHasher

from platform_svc.identity.errors import HashingQueueFull
from platform_svc.identity.hashing import PasswordPool


async def test_a_hash_is_argon2id_with_the_documented_cost() -> None:
    async with PasswordPool() as pool:
        hashed = await pool.hash("correct horse")
        assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert await pool.verify(hashed, "correct horse")
        assert not await pool.verify(hashed, "correct horse ")
        assert not pool.is_outdated(hashed)


async def test_a_hash_of_other_parameters_is_outdated() -> None:
    async with PasswordPool() as pool:
        assert pool.is_outdated(PasswordHasher(time_cost=1, memory_cost=8192).hash("x"))


async def test_nobody_has_no_password() -> None:
    async with PasswordPool() as pool:
        assert not await pool.verify(None, "correct horse")


async def test_a_full_queue_refuses_instead_of_growing() -> None:
    async with PasswordPool(workers=1, waiting_max=2) as pool:
        results = await asyncio.gather(
            *(pool.hash("correct horse") for _ in range(10)), return_exceptions=True
        )
        assert sum(isinstance(result, HashingQueueFull) for result in results) == 7
        # The places are free again.
        assert await pool.hash("correct horse")


async def test_nobody_takes_as_long_as_somebody() -> None:
    async with PasswordPool(workers=1) as pool:
        hashed = await pool.hash("correct horse")
        times: dict[str | None, list[float]] = {None: [], hashed: []}
        for _ in range(20):
            for known, taken in times.items():
                started = time.process_time()
                await pool.verify(known, "wrong horse")
                taken.append(time.process_time() - started)
    nobody, somebody = (statistics.median(taken) for taken in times.values())
    # Processor time, not wall time: the machine may be busy with other things.
    assert 0.5 < nobody / somebody < 2
