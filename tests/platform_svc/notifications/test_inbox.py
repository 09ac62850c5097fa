"""What users are shown: their own, once each, marked as read when they say so, and as it comes."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta

import grpc
from reelmesh.platform.identity.v1.identity_events_pb2 import UserDeleted
from reelmesh.platform.notifications.v1 import inbox_service_pb2 as pb
from reelmesh.platform.notifications.v1.inbox_service_pb2_grpc import InboxServiceStub

from meshkit.ids import format_id
from meshkit.inbox import Event
from meshkit.testing.identity import USER
from platform_svc.notifications.jobs import Forgetting
from platform_svc.notifications.notice_jobs import USER_DELETED, FormerUsers
from tests.platform_svc.refusals import refusal_of

OTHER = replace(USER, user_id=uuid.UUID(int=8))


async def listed(inbox, **fields) -> pb.ListNotificationsResponse:
    return await inbox.ListNotifications(pb.ListNotificationsRequest(**fields))


async def titles(inbox, **fields) -> list[str]:
    return [one.title for one in (await listed(inbox, **fields)).notifications]


async def test_a_notice_is_shown_to_its_users_and_to_nobody_else(world, inbox) -> None:
    await world.tell(title="First")
    await world.tell(title="Second", user_ids=[format_id("usr", OTHER.user_id)])
    answer = await listed(inbox)
    (shown,) = answer.notifications
    assert (shown.title, shown.type, shown.subject_id) == ("First", "run.succeeded", "run_1")
    assert shown.org_id == format_id("org", USER.organization_id)
    assert not shown.HasField("read_at")
    assert answer.unread == 1
    async with world.mesh.as_user(InboxServiceStub, OTHER) as other:
        assert await titles(other) == ["Second"]
        read = pb.MarkNotificationReadRequest(notification_id=shown.notification_id)
        refusal = await refusal_of(other.MarkNotificationRead(read))
        assert refusal.reason == "NOTIFICATION_NOT_FOUND"


async def test_an_event_that_comes_again_is_shown_once(world, inbox) -> None:
    ids = [uuid.UUID(int=3)] * 2
    world.clock = replace_ids(world.clock, ids)
    await asyncio.gather(world.tell(), world.tell())
    assert len(await titles(inbox)) == 1


def replace_ids(clock, ids):
    """Give a clock whose first ids are these; those after them are new ones."""

    class Known:
        now = staticmethod(clock.now)

        @property
        def ambient(self):
            new = clock.ambient.new_id
            return replace(clock.ambient, new_id=lambda: ids.pop() if ids else new())

    return Known()


async def test_reading_one_and_reading_all_up_to_one(world, inbox) -> None:
    for title in ("a", "b", "c", "d"):
        await world.tell(title=title)
    newest, *_, oldest = (await listed(inbox)).notifications
    request = pb.MarkNotificationReadRequest(notification_id=oldest.notification_id)
    read = await inbox.MarkNotificationRead(request)
    assert read.HasField("read_at")
    world.clock.advance(seconds=60)
    assert await inbox.MarkNotificationRead(request) == read
    assert await titles(inbox, unread_only=True) == ["d", "c", "b"]
    await world.tell(title="e")
    through = pb.MarkAllNotificationsReadRequest(through=newest.notification_id)
    assert (await inbox.MarkAllNotificationsRead(through)).unread == 1
    assert await titles(inbox, unread_only=True) == ["e"]
    assert (await listed(inbox)).unread == 1


async def test_pages_give_each_once(world, inbox) -> None:
    for title in "abcde":
        await world.tell(title=title)
    seen, token = [], ""
    while True:
        page = await listed(inbox, page_size=2, page_token=token)
        seen += [one.title for one in page.notifications]
        token = page.next_page_token
        if not token:
            break
        await world.tell(title="later")
    assert seen == list("edcba")


async def test_a_watcher_gets_what_comes_and_misses_nothing(world, inbox) -> None:
    await world.tell(title="before")
    stream = inbox.WatchNotifications(pb.WatchNotificationsRequest())
    hello = await stream.read()
    assert (hello.HasField("notification"), hello.unread) == (False, 1)
    await world.tell(title="one", user_ids=[format_id("usr", OTHER.user_id)])
    await world.tell(title="two")
    event = await stream.read()
    assert (event.notification.title, event.unread) == ("two", 2)
    stream.cancel()
    await world.tell(title="three")
    await world.tell(title="four")
    again = inbox.WatchNotifications(
        pb.WatchNotificationsRequest(after=event.notification.notification_id)
    )
    assert (await again.read()).unread == 4
    assert [(await again.read()).notification.title for _ in range(2)] == ["three", "four"]
    again.cancel()


async def test_watching_from_something_unknown_is_refused(inbox) -> None:
    request = pb.WatchNotificationsRequest(after=format_id("ntf", uuid.UUID(int=4)))
    refusal = await refusal_of(inbox.WatchNotifications(request).read())
    assert refusal.reason == "NOTIFICATION_NOT_FOUND"


async def test_watchers_are_told_when_the_server_stops(world, inbox) -> None:
    stream = inbox.WatchNotifications(pb.WatchNotificationsRequest())
    await stream.read()
    world.made.inbox.watchers.drain()
    assert (await refusal_of(stream.read())).code is grpc.StatusCode.UNAVAILABLE


async def test_a_deleted_user_leaves_nothing(world, inbox) -> None:
    await world.tell(title="mine")
    await world.tell(title="theirs", user_ids=[format_id("usr", OTHER.user_id)])
    deleted = UserDeleted(user_id=format_id("usr", USER.user_id))
    event = Event(uuid.UUID(int=5), USER_DELETED, deleted.SerializeToString(), 1)
    for _ in range(2):
        await FormerUsers(world.database.sessions).handle(event)
    assert await titles(inbox) == []
    async with world.mesh.as_user(InboxServiceStub, OTHER) as other:
        assert await titles(other) == ["theirs"]


async def test_what_is_old_is_forgotten(world, inbox) -> None:
    await world.tell(title="old")
    world.clock.advance(seconds=timedelta(days=89).total_seconds())
    await world.tell(title="young")
    forgetting = Forgetting(world.database.sessions, world.clock.ambient)
    await forgetting.forget()
    assert len(await titles(inbox)) == 2
    world.clock.advance(seconds=timedelta(days=2).total_seconds())
    await forgetting.forget()
    assert await titles(inbox) == ["young"]
