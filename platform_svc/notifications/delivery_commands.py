"""Messages on their way to webhook endpoints: told, tested, replayed, recovered, and shown."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from google.protobuf.message import Message as ProtoMessage
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.errors import InvalidPageToken
from meshkit.idempotency import Call
from meshkit.pages import decode_page_token, encode_page_token
from meshkit.postgres import after_commit
from platform_svc.notifications.delivery_store import DeliveryStore
from platform_svc.notifications.endpoint_store import EndpointStore
from platform_svc.notifications.errors import (
    DeliveryNotFound,
    EndpointDisabled,
    EndpointNotFound,
)
from platform_svc.notifications.webhooks import (
    RECOVERED_MAX,
    TEST_TYPE,
    Attempt,
    Delivery,
    Endpoint,
    Message,
    new_delivery,
    payload_of,
)

R = TypeVar("R", bound=ProtoMessage)

PAGE_SIZE_DEFAULT = 50


@dataclass(frozen=True, slots=True)
class Place:
    """A delivery of an endpoint of an organization."""

    org_id: uuid.UUID
    endpoint_id: uuid.UUID
    delivery_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class DeliveryCommands:
    """What an organization may do about deliveries; `wake` tells the workers of new ones."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    wake: Callable[[], None]

    async def endpoints(self, org_id: uuid.UUID) -> list[Endpoint]:
        """Give every endpoint of an organization, oldest first."""
        async with self.sessions() as session:
            return await EndpointStore(session).all_of(org_id, now=self.ambient.now())

    async def endpoint(self, org_id: uuid.UUID, endpoint_id: uuid.UUID) -> Endpoint:
        """Give one endpoint.

        Raises:
            EndpointNotFound: the organization has no such endpoint.
        """
        async with self.sessions() as session:
            return await self._found(session, org_id, endpoint_id)

    async def page(
        self, endpoint: Endpoint, *, state: str, page_size: int, page_token: str
    ) -> tuple[list[Delivery], str]:
        """Give one page of an endpoint's deliveries, newest first; a page size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            found = await DeliveryStore(session).page(
                endpoint.id, state=state, before=_place(page_token), count=count + 1
            )
        token = ""
        if len(found) > count:
            last = found[count - 1]
            token = encode_page_token(["deliveries", last.created_at.isoformat(), last.id.hex])
        return found[:count], token

    async def look_at(self, place: Place) -> tuple[Delivery, str, list[Attempt]]:
        """Give a delivery with its payload and the log of its attempts.

        Raises:
            EndpointNotFound: the organization has no such endpoint.
            DeliveryNotFound: the endpoint has no such delivery.
        """
        async with self.sessions() as session:
            await self._found(session, place.org_id, place.endpoint_id)
            store = DeliveryStore(session)
            found = await store.find(place.endpoint_id, place.delivery_id)
            if found is None:
                raise DeliveryNotFound
            return *found, await store.attempts(place.delivery_id)

    async def test(
        self,
        ids: tuple[uuid.UUID, uuid.UUID],
        call: Call[R],
        respond: Callable[[Delivery], R],
    ) -> R:
        """Send a message of no meaning to an endpoint (organization, endpoint).

        Raises:
            EndpointNotFound: the organization has no such endpoint.
            EndpointDisabled: it is disabled.
        """
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            endpoint = await self._enabled(session, *ids)
            now = self.ambient.now()
            payload = payload_of(TEST_TYPE, "", now)
            message = Message(self.ambient.new_id(), endpoint.org_id, TEST_TYPE, payload, now)
            store = DeliveryStore(session)
            await store.add_message(message)
            delivery = self._delivery(endpoint.id, message.id, TEST_TYPE, is_replay=False)
            await store.add(delivery)
            after_commit(session, self.wake)
            return await call.answer(session, respond(delivery))

    async def replay(self, place: Place, call: Call[R], respond: Callable[[Delivery], R]) -> R:
        """Send the message of a delivery again.

        Raises:
            EndpointNotFound: the organization has no such endpoint.
            DeliveryNotFound: the endpoint has no such delivery.
            EndpointDisabled: it is disabled.
        """
        async with self.sessions.begin() as session:
            earlier = await call.earlier(session)
            if earlier is not None:
                return earlier
            endpoint = await self._enabled(session, place.org_id, place.endpoint_id)
            store = DeliveryStore(session)
            found = await store.find(endpoint.id, place.delivery_id)
            if found is None:
                raise DeliveryNotFound
            former, _ = found
            again = self._delivery(endpoint.id, former.message_id, former.type, is_replay=True)
            await store.add(again)
            after_commit(session, self.wake)
            return await call.answer(session, respond(again))

    async def recover(self, org_id: uuid.UUID, endpoint_id: uuid.UUID, since: datetime) -> int:
        """Replay what did not reach an endpoint since then and say how many messages that is.

        Doing it twice is harmless: what is on its way again is left out.

        Raises:
            EndpointNotFound: the organization has no such endpoint.
            EndpointDisabled: it is disabled.
        """
        async with self.sessions.begin() as session:
            # The lock orders two recoveries: the second sees what the first has sent.
            await EndpointStore(session).lock(endpoint_id)
            endpoint = await self._enabled(session, org_id, endpoint_id)
            store = DeliveryStore(session)
            missed = await store.undelivered(endpoint.id, since=since, count=RECOVERED_MAX)
            for message_id in missed:
                await store.add(self._delivery(endpoint.id, message_id, "", is_replay=True))
            after_commit(session, self.wake)
        return len(missed)

    async def _found(
        self, session: AsyncSession, org_id: uuid.UUID, endpoint_id: uuid.UUID
    ) -> Endpoint:
        endpoint = await EndpointStore(session).find(org_id, endpoint_id, now=self.ambient.now())
        if endpoint is None:
            raise EndpointNotFound
        return endpoint

    async def _enabled(
        self, session: AsyncSession, org_id: uuid.UUID, endpoint_id: uuid.UUID
    ) -> Endpoint:
        """Give an endpoint that stays enabled until the transaction ends."""
        await EndpointStore(session).share(endpoint_id)
        endpoint = await self._found(session, org_id, endpoint_id)
        if endpoint.disabled is not None:
            raise EndpointDisabled
        return endpoint

    def _delivery(
        self, endpoint_id: uuid.UUID, message_id: uuid.UUID, type_: str, *, is_replay: bool
    ) -> Delivery:
        return new_delivery(
            self.ambient.new_id(),
            (endpoint_id, message_id, type_),
            now=self.ambient.now(),
            is_replay=is_replay,
        )


def _place(page_token: str) -> tuple[datetime, uuid.UUID] | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case ("deliveries", str(created_at), str(delivery_id)):
            return datetime.fromisoformat(created_at), uuid.UUID(hex=delivery_id)
        case _:
            raise InvalidPageToken("page_token is of another list")
