"""Reads the stream of events from a place in it, without marks of its own in the stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from meshkit.bus import EVENT_ID_HEADER, STREAM, SUBJECTS, EventBus
from platform_svc.etl.records import RawEvent

FETCH_MAX: Final = 500
FETCH_SECONDS: Final = 5.0
# How long the server remembers a reader that has died.
INACTIVE_SECONDS: Final = 30.0
FROM_THE_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a stream was read.

    `stream` is when it was made, which tells it from one that replaced it; `sequence` is that of
    the newest event that was read, and its offset is `base` more. `lost` counts the events that
    the stream dropped before they were read. Everything since `covered_from` was read.
    """

    stream: str
    base: int
    sequence: int
    lost: int
    covered_from: datetime

    @property
    def offset(self) -> int:
        """The offset of the newest event that was read."""
        return self.base + self.sequence

    def after(self, event: RawEvent) -> Place:
        """Give the place once this event was read too."""
        sequence = event.offset - self.base
        return replace(self, sequence=sequence, lost=self.lost + sequence - self.sequence - 1)


@dataclass(frozen=True, slots=True)
class EventStream:
    """The stream of the bus, read up to where it ends at the beginning."""

    bus: EventBus

    async def read(
        self, last: Place | None, *, batch: int
    ) -> AsyncIterator[tuple[Sequence[RawEvent], Place]]:
        """Give the events after a place, some at a time, each with the place that they reach."""
        await self.bus.connected()
        await self.bus.ensure_stream()
        info = await self.bus.jetstream.stream_info(STREAM)
        assert info.created is not None, info
        stream, state = info.created.isoformat(), info.state
        place = _beginning(last, stream, state.first_seq)
        if state.messages == 0 or place.sequence >= state.last_seq:
            return
        events: list[RawEvent] = []
        async for message in self._messages(place.sequence + 1, state.last_seq):
            event = _event(message, place.base)
            if last is None and not events and place.sequence + 1 > 1:
                place = replace(place, covered_from=event.published_at)
            events.append(event)
            place = place.after(event)
            if len(events) == batch:
                yield events, place
                events, last = [], place
        if events:
            yield events, place

    async def _messages(self, first: int, last: int) -> AsyncIterator[Msg]:
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=first,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=INACTIVE_SECONDS,
            mem_storage=True,
        )
        subscription = await self.bus.jetstream.pull_subscribe(
            SUBJECTS, stream=STREAM, config=config
        )
        try:
            while True:
                for message in await subscription.fetch(FETCH_MAX, timeout=FETCH_SECONDS):
                    yield message
                    if message.metadata.sequence.stream >= last:
                        return
        except nats.errors.TimeoutError:
            return  # The rest was dropped meanwhile; the next run counts it as lost.
        finally:
            with suppress(nats.errors.Error):  # The connection may be gone.
                await subscription.unsubscribe()


def _beginning(last: Place | None, stream: str, first: int) -> Place:
    """Give the place to read on from: after the last one, or where the stream begins."""
    if last is None:
        return Place(stream, 0, max(first, 1) - 1, 0, FROM_THE_BEGINNING)
    if last.stream != stream:
        # The server lost its stream, with all that was not read of it; nobody knows how much.
        return replace(last, stream=stream, base=last.offset, sequence=0)
    return last


def _event(message: Msg, base: int) -> RawEvent:
    metadata = message.metadata
    sequence = metadata.sequence.stream
    event_id = (message.headers or {}).get(EVENT_ID_HEADER, "")
    return RawEvent(
        offset=base + sequence,
        event_id=event_id or f"{metadata.stream}:{sequence}",
        subject=message.subject,
        published_at=metadata.timestamp.astimezone(UTC),
        data=message.data,
    )
