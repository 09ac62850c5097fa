"""Read use cases of the identity service."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from platform_svc.identity.accounts import User
from platform_svc.identity.errors import UserNotFound
from platform_svc.identity.store import IdentityStore


@dataclass(frozen=True, slots=True)
class IdentityQueries:
    """What may be asked about users and keys."""

    sessions: async_sessionmaker[AsyncSession]
    jwks_file: Path

    async def user(self, user_id: uuid.UUID) -> User:
        """Give a user.

        Raises:
            UserNotFound: there is none, or they are disabled.
        """
        async with self.sessions() as session:
            user = await IdentityStore(session).user(user_id)
        if user is None:
            raise UserNotFound
        return user

    async def public_keys(self) -> Sequence[Mapping[str, str]]:
        """Give the key set that everybody verifies access tokens with, old and coming keys too."""
        text = await asyncio.to_thread(self.jwks_file.read_text, encoding="utf-8")
        keys: Sequence[Mapping[str, str]] = json.loads(text)["keys"]
        return keys
