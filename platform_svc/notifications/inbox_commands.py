"""What users may do about their notifications, and following them as they come."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.errors import InvalidPageToken, Unavailable
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.notifications.errors import NotificationNotFound
from platform_svc.notifications.inbox import Notification
from platform_svc.notifications.inbox_store import InboxStore

PAGE_SIZE_DEFAULT = 50
WATCH_BATCH = 100
# How long a notification that another process has added may go unseen.
POLL_SECONDS = 2.0


class Watchers:
    """Wakes those in this process who watch a user's notifications."""

    def __init__(self) -> None:
        self._waiting: dict[uuid.UUID, set[asyncio.Event]] = {}
        self.is_draining = False

    def wake(self, user_id: uuid.UUID) -> None:
        """Let a user's watchers look."""
        for event in self._waiting.get(user_id, ()):
            event.set()

    def drain(self) -> None:
        """Let every watcher learn that this process ends."""
        self.is_draining = True
        for user_id in self._waiting:
            self.wake(user_id)

    @contextmanager
    def waiting(self, user_id: uuid.UUID) -> Iterator[asyncio.Event]:
        """Give what is set at each change, until the block ends."""
        event = asyncio.Event()
        events = self._waiting.setdefault(user_id, set())
        events.add(event)
        try:
            yield event
        finally:
            events.discard(event)
            if not events and self._waiting.get(user_id) is events:
                del self._waiting[user_id]


@dataclass(frozen=True, slots=True)
class Page:
    """Some notifications, newest first; `next_page_token` is empty on the last page."""

    notifications: list[Notification]
    next_page_token: str
    unread: int


@dataclass(frozen=True, slots=True)
class InboxCommands:
    """What users may do about their notifications."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient
    watchers: Watchers

    async def page(
        self, user_id: uuid.UUID, *, page_size: int, page_token: str, unread_only: bool
    ) -> Page:
        """Give one page of a user's notifications; a page size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            store = InboxStore(session)
            found = await store.page(
                user_id, before=_place(page_token), unread_only=unread_only, count=count + 1
            )
            unread = await store.unread(user_id)
        token = ""
        if len(found) > count:
            token = encode_page_token(["notifications", found[count - 1].position])
        return Page(found[:count], token, unread)

    async def read(self, user_id: uuid.UUID, notification_id: uuid.UUID) -> Notification:
        """Mark one as read; one that was read is given as it is.

        Raises:
            NotificationNotFound: the user has no such notification.
        """
        now = self.ambient.now()
        async with self.sessions.begin() as session:
            store = InboxStore(session)
            found = await _found(store, user_id, notification_id)
            if found.read_at is not None:
                return found
            await store.mark_read(user_id, first=found.position, last=found.position, now=now)
        return replace(found, read_at=now)

    async def read_all(self, user_id: uuid.UUID, through: uuid.UUID) -> int:
        """Mark all up to one as read and say how many are unread then.

        Raises:
            NotificationNotFound: the user has no such notification.
        """
        async with self.sessions.begin() as session:
            store = InboxStore(session)
            last = await _found(store, user_id, through)
            now = self.ambient.now()
            await store.mark_read(user_id, first=0, last=last.position, now=now)
            return await store.unread(user_id)

    async def watch(
        self, user_id: uuid.UUID, after: uuid.UUID | None
    ) -> AsyncIterator[tuple[Notification | None, int]]:
        """Yield how many are unread, then each notification with that number, for ever.

        Raises:
            NotificationNotFound: the user has none with the id `after`.
            Unavailable: this process ends; watch again.
        """
        with self.watchers.waiting(user_id) as changed:
            async with self.sessions() as session:
                store = InboxStore(session)
                if after is None:
                    position = await store.newest(user_id)
                else:
                    position = (await _found(store, user_id, after)).position
                unread = await store.unread(user_id)
            yield None, unread
            while not self.watchers.is_draining:
                changed.clear()
                found, unread = await self._news(user_id, position)
                for one in found:
                    yield one, unread
                    position = one.position
                if not found:
                    await _wait(changed)
        raise Unavailable("the server is about to stop; watch again")

    async def _news(self, user_id: uuid.UUID, position: int) -> tuple[list[Notification], int]:
        async with self.sessions() as session:
            store = InboxStore(session)
            found = await store.since(user_id, position=position, count=WATCH_BATCH)
            return found, await store.unread(user_id) if found else 0


async def _found(store: InboxStore, user_id: uuid.UUID, notification_id: uuid.UUID) -> Notification:
    found = await store.find(user_id, notification_id)
    if found is None:
        raise NotificationNotFound
    return found


async def _wait(changed: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(POLL_SECONDS):
            await changed.wait()
    except TimeoutError:
        return


def _place(page_token: str) -> int | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case ("notifications", int(position)):
            return position
        case _:
            raise InvalidPageToken("page_token is of another list")
