"""What may be done to webhook endpoints: each method is one transaction.

A target is judged before the transaction, since it asks the name service.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from google.protobuf.message import Message as ProtoMessage
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.audit import Change, record
from meshkit.clock import Ambient
from meshkit.idempotency import Call
from meshkit.ids import format_id
from meshkit.sealing import Sealer
from platform_svc.notifications.delivery_store import DeliveryStore
from platform_svc.notifications.endpoint_store import EndpointStore
from platform_svc.notifications.errors import (
    EndpointNotFound,
    TargetNotAllowed,
    TooManyEndpoints,
)
from platform_svc.notifications.signing import SECRET_BYTES, secret_text
from platform_svc.notifications.targets import Forbidden, TargetGuard
from platform_svc.notifications.webhooks import ENDPOINTS_MAX, Disabled, Endpoint

R = TypeVar("R", bound=ProtoMessage)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to change about an endpoint; None leaves it as it is."""

    url: str | None = None
    description: str | None = None
    event_types: tuple[str, ...] | None = None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True)
class EndpointCommands:
    """What an organization may do about its endpoints."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    guard: TargetGuard
    sealer: Sealer

    async def create(self, wanted: Endpoint, call: Call[R], respond: Callable[[Endpoint], R]) -> R:
        """Make an endpoint with a secret; a repeated key gives the first answer.

        Raises:
            TargetNotAllowed: nothing may be sent to its address.
            TooManyEndpoints: the organization has as many as it may have.
        """
        await self._check(wanted.url)
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            store = EndpointStore(session)
            await store.lock_creation(wanted.org_id)
            if await store.count(wanted.org_id) >= ENDPOINTS_MAX:
                raise TooManyEndpoints(ENDPOINTS_MAX)
            await store.add(wanted)
            await self._add_secret(store, wanted.id)
            await self._record(session, "created", wanted)
            return await call.answer(session, respond(wanted))

    async def change(self, org_id: uuid.UUID, endpoint_id: uuid.UUID, changes: Changes) -> Endpoint:
        """Change what is given; disabling cancels what waits to be delivered.

        Raises:
            EndpointNotFound: the organization has no such endpoint.
            TargetNotAllowed: nothing may be sent to its new address.
        """
        if changes.url is not None:
            await self._check(changes.url)
        async with self.sessions.begin() as session:
            store = EndpointStore(session)
            before = await self._locked(store, org_id, endpoint_id)
            after = _changed(before, changes)
            if after == before:
                return before
            await store.save(after)
            if after.disabled is not None:
                await DeliveryStore(session).cancel_all(endpoint_id, now=self.ambient.now())
            enabled = "no" if after.disabled else "yes"
            await self._record(session, "updated", after, enabled=enabled)
        return after

    async def remove(self, org_id: uuid.UUID, endpoint_id: uuid.UUID) -> None:
        """Remove an endpoint with its deliveries; harmless if there is none."""
        async with self.sessions.begin() as session:
            store = EndpointStore(session)
            found = await store.find(org_id, endpoint_id, now=self.ambient.now())
            if found is not None and await store.remove(org_id, endpoint_id):
                await self._record(session, "deleted", found)

    async def rotate(
        self,
        ids: tuple[uuid.UUID, uuid.UUID],
        overlap: timedelta,
        call: Call[R],
        respond: Callable[[Endpoint], R],
    ) -> R:
        """Give an endpoint (organization, endpoint) a new secret; the old one signs a while too.

        Raises:
            EndpointNotFound: the organization has no such endpoint.
        """
        org_id, endpoint_id = ids
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            store = EndpointStore(session)
            endpoint = await self._locked(store, org_id, endpoint_id)
            until = self.ambient.now() + overlap
            await store.end_secrets(endpoint_id, at=until)
            await self._add_secret(store, endpoint_id)
            hours = str(overlap // timedelta(hours=1))
            await self._record(session, "secret_rotated", endpoint, overlap_hours=hours)
            rotated = replace(endpoint, former_secret_until=until if overlap else None)
            return await call.answer(session, respond(rotated))

    async def secret(self, endpoint_id: uuid.UUID) -> str:
        """Give the newest secret of an endpoint, to whoever has just made it.

        Raises:
            EndpointNotFound: it was removed meanwhile.
        """
        async with self.sessions() as session:
            sealed = await EndpointStore(session).secrets(endpoint_id, now=self.ambient.now())
        if not sealed:
            raise EndpointNotFound
        return secret_text(self.sealer.open(sealed[0], context=seal_context(endpoint_id)))

    async def _add_secret(self, store: EndpointStore, endpoint_id: uuid.UUID) -> None:
        secret = secrets.token_bytes(SECRET_BYTES)
        sealed = self.sealer.seal(secret, context=seal_context(endpoint_id))
        await store.add_secret(endpoint_id, self.ambient.new_id(), sealed, now=self.ambient.now())

    async def _check(self, url: str) -> None:
        try:
            await self.guard.admit(url)
        except Forbidden as error:
            raise TargetNotAllowed(str(error)) from None
        except (OSError, UnicodeError):
            raise TargetNotAllowed("its host is unknown") from None

    async def _locked(
        self, store: EndpointStore, org_id: uuid.UUID, endpoint_id: uuid.UUID
    ) -> Endpoint:
        await store.lock(endpoint_id)
        endpoint = await store.find(org_id, endpoint_id, now=self.ambient.now())
        if endpoint is None:
            raise EndpointNotFound
        return endpoint

    async def _record(
        self, session: AsyncSession, what: str, endpoint: Endpoint, **details: str
    ) -> None:
        # Paths and queries of such addresses are often secrets themselves.
        host = urlsplit(endpoint.url).hostname or ""
        change = Change(
            f"webhook_endpoint.{what}",
            endpoint.org_id,
            (format_id("whe", endpoint.id),),
            {"host": host, **details},
        )
        await record(session, change, self.ambient)


def seal_context(endpoint_id: uuid.UUID) -> str:
    """Return what the secrets of an endpoint are sealed for."""
    return f"webhook:{endpoint_id}"


def _changed(before: Endpoint, changes: Changes) -> Endpoint:
    after = replace(
        before,
        url=before.url if changes.url is None else changes.url,
        description=before.description if changes.description is None else changes.description,
        event_types=before.event_types if changes.event_types is None else changes.event_types,
    )
    if changes.enabled is True and before.disabled is not None:
        return replace(after, disabled=None, failing_since=None)
    if changes.enabled is False and before.disabled is None:
        return replace(after, disabled=Disabled.BY_USER)
    return after
