"""Trades the text of an API key for a token that every service verifies by itself."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit import context
from meshkit.clock import Ambient
from meshkit.peppers import Peppers
from meshkit.tokens import AccessTokenSigner
from platform_svc.access.key import HASH_PURPOSE, ApiKey, is_well_formed
from platform_svc.access.store import AccessStore
from platform_svc.access.usage import KeyUsage

# The token never leaves the mesh, and only has to outlive the way to the services.
TOKEN_LIFETIME: Final = timedelta(minutes=2)
RENEWED_AFTER: Final = timedelta(minutes=1)
TOKENS_MAX: Final = 10_000


@dataclass(slots=True)
class KeyExchange:
    """Looks the key up at each call, so that a revoked key is refused at once.

    The token of a key is made once a minute: then the edge and the services, which remember the
    tokens that they verified, need no signature check for most calls.
    """

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    peppers: Peppers
    signer: AccessTokenSigner
    usage: KeyUsage
    _tokens: OrderedDict[uuid.UUID, tuple[str, datetime]] = field(default_factory=OrderedDict)

    async def token_for(self, text: str) -> str | None:
        """Return an access token with the key's rights, or None if the key is no good.

        A text without the form or the checksum of a key costs no look at the database.
        """
        if not is_well_formed(text):
            return None
        hashes = self.peppers.macs(HASH_PURPOSE, text.encode())
        async with self.sessions() as session:
            key = await AccessStore(session).by_hash(hashes)
        now = self.ambient.now()
        if key is None or not key.works_at(now):
            return None
        self.usage.note(key.id, now)
        return self._token(key, now)

    def _token(self, key: ApiKey, now: datetime) -> str:
        token, renewed_at = self._tokens.get(key.id, ("", now))
        if now < renewed_at:
            return token
        principal = context.UserPrincipal(
            user_id=key.created_by,
            session_id=key.id,
            organization_id=key.org_id,
            api_key=context.ApiKey(key.id, frozenset(key.scopes)),
        )
        token, _ = self.signer.sign(principal, lifetime=TOKEN_LIFETIME)
        self._tokens[key.id] = token, now + RENEWED_AFTER
        self._tokens.move_to_end(key.id)
        if len(self._tokens) > TOKENS_MAX:
            self._tokens.popitem(last=False)
        return token
