"""Opens sessions and signs their access tokens."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime, timedelta

from meshkit.clock import Ambient
from meshkit.context import UserPrincipal
from meshkit.tokens import AccessTokenSigner
from platform_svc.identity.accounts import User
from platform_svc.identity.refresh import Device, Trade, open_session
from platform_svc.identity.store import IdentityStore

ACCESS_TOKEN_LIFETIME = timedelta(minutes=15)
SESSION_RANDOM_BYTES = 64


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user and the tokens of one session."""

    user: User
    session_id: uuid.UUID
    access_token: str
    access_token_expires_at: datetime
    refresh_token: str


@dataclass(frozen=True, slots=True)
class SessionIssuer:
    """Makes sessions and their tokens."""

    ambient: Ambient
    signer: AccessTokenSigner
    operators: Container[uuid.UUID] = ()

    def open(self, store: IdentityStore, user: User, device: Device) -> Trade:
        """Begin a session in the caller's transaction."""
        opened = open_session(
            user.id,
            user.personal_org_id,
            session_id=self.ambient.new_id(),
            random=secrets.token_bytes(SESSION_RANDOM_BYTES),
            now=self.ambient.now(),
            device=device,
        )
        store.add_session(opened.session)
        return opened

    def signed_in(self, user: User, traded: Trade) -> SignedIn:
        """Give what a client keeps of a session."""
        session = traded.session
        principal = UserPrincipal(
            user.id, session.id, session.org_id, is_operator=user.id in self.operators
        )
        access_token, expires_at = self.signer.sign(principal, lifetime=ACCESS_TOKEN_LIFETIME)
        return SignedIn(user, session.id, access_token, expires_at, traded.token.text())
