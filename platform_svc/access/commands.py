"""Write use cases of the access service: each method is one transaction."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.audit import Change, record
from meshkit.authorization import Authorizer, Decision
from meshkit.clock import Ambient
from meshkit.context import UserPrincipal
from meshkit.idempotency import Call
from meshkit.ids import format_id
from meshkit.peppers import Peppers
from platform_svc.access.errors import (
    ApiKeyNotFound,
    InvalidScope,
    NotOwnApiKey,
    ScopeNotOwn,
    TooManyApiKeys,
)
from platform_svc.access.key import (
    HASH_PURPOSE,
    PERSONAL_SCOPES,
    SHOWN_CHARACTERS,
    WORKING_MAX,
    ApiKey,
    Wanted,
    texts_of,
)
from platform_svc.access.store import AccessStore

SEED_BYTES: Final = 32
MANAGE: Final = "api_keys.manage"
CREATED: Final = "api_key.created"
REVOKED: Final = "api_key.revoked"

R = TypeVar("R", bound=Message)


@dataclass(frozen=True, slots=True)
class AccessCommands:
    """What may be done to API keys."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    peppers: Peppers
    authorizer: Authorizer

    async def create(
        self,
        wanted: Wanted,
        creator: UserPrincipal,
        call: Call[R],
        respond: Callable[[ApiKey, str], R],
    ) -> R:
        """Make a key; a repeated idempotency key gives the first answer.

        `respond` gets the key and its seed. What is remembered of the answer holds the seed
        only; `text_of` turns it into the text.

        Raises:
            InvalidScope: no key may have one of the scopes.
            ScopeNotOwn: the creator's role lacks one of the scopes.
            TooManyApiKeys: the organization has as many as it may have.
        """
        await self._check_scopes(wanted, creator)
        seed = secrets.token_hex(SEED_BYTES)
        text = texts_of(self.peppers, seed)[0]
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            store = AccessStore(session)
            await store.lock_keys(wanted.org_id)
            now = self.ambient.now()
            if await store.working_count(wanted.org_id, now) >= WORKING_MAX:
                raise TooManyApiKeys(WORKING_MAX)
            key = ApiKey(
                id=self.ambient.new_id(),
                org_id=wanted.org_id,
                name=wanted.name,
                prefix=text[:SHOWN_CHARACTERS],
                scopes=wanted.scopes,
                created_by=creator.user_id,
                created_at=now,
                expires_at=now + wanted.good_for,
            )
            await store.add(key, self.peppers.mac(HASH_PURPOSE, text.encode()))
            await record(session, _change(CREATED, key), self.ambient)
            return await call.answer(session, respond(key, seed))

    def text_of(self, seed: str, prefix: str) -> str:
        """Return the text of a key from its seed; its prefix tells under which pepper."""
        return next(text for text in texts_of(self.peppers, seed) if text.startswith(prefix))

    async def revoke(self, org_id: uuid.UUID, key_id: uuid.UUID, actor: UserPrincipal) -> ApiKey:
        """End a key; one that was revoked is given as it is.

        Raises:
            ApiKeyNotFound: the organization has no such key.
            NotOwnApiKey: somebody else made it, and the actor is no admin.
        """
        decision = await self.authorizer.decide(actor, MANAGE, org_id)
        async with self.sessions.begin() as session:
            store = AccessStore(session)
            key = await store.find(org_id, key_id)
            if key is None:
                raise ApiKeyNotFound
            if key.created_by != actor.user_id and decision is not Decision.ALLOWED:
                raise NotOwnApiKey
            if key.revoked_at is not None:
                return key
            now = self.ambient.now()
            await store.revoke(key_id, now)
            await record(session, _change(REVOKED, key), self.ambient)
        return replace(key, revoked_at=now)

    async def _check_scopes(self, wanted: Wanted, creator: UserPrincipal) -> None:
        for scope in wanted.scopes:
            if scope in PERSONAL_SCOPES or not scope:
                raise InvalidScope(scope)
            decision = await self.authorizer.decide(creator, scope, wanted.org_id)
            if decision is not Decision.ALLOWED:
                raise ScopeNotOwn(scope)


def _change(action: str, key: ApiKey) -> Change:
    details = {"prefix": key.prefix, "scopes": " ".join(key.scopes)}
    return Change(action, key.org_id, (format_id("key", key.id),), details)
