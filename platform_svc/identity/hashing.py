"""Hashes passwords with argon2id in a small pool of threads, and never queues without end.

Parameters are OWASP's second choice (19 MiB, two passes, one lane): about 30 ms of one core.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type

from platform_svc.identity.errors import HashingQueueFull

T = TypeVar("T")

MEMORY_KIB = 19_456
PASSES = 2
LANES = 1
WORKERS = 2
# At 30 ms each, the last one in the queue waits for a second.
WAITING_MAX = 64


class PasswordPool:
    """Hashes and verifies passwords off the event loop; an async context manager."""

    def __init__(self, *, workers: int = WORKERS, waiting_max: int = WAITING_MAX) -> None:
        self._hasher = PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, type=Type.ID
        )
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._places = workers + waiting_max
        self._taken = 0
        # What is verified for users who do not exist, so that they take as long as others.
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Return the hash of a password with a new salt, in PHC string format.

        Raises:
            HashingQueueFull: too many others wait.
        """
        return await self._run(lambda: self._hasher.hash(password))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password has the hash; None stands for nobody and takes as long.

        Raises:
            HashingQueueFull: too many others wait.
        """
        matches = await self._run(lambda: self._matches(password_hash or self._nobody, password))
        return matches and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except VerifyMismatchError:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._taken >= self._places:
            raise HashingQueueFull
        self._taken += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._taken -= 1
