"""SQL of webhook messages, their deliveries and the log of attempts."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, exists, select, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from platform_svc.notifications.tables import AttemptRow, DeliveryRow, EndpointRow, MessageRow
from platform_svc.notifications.webhooks import (
    Answer,
    Attempt,
    Delivery,
    DeliveryState,
    Message,
)

PENDING = DeliveryRow.state == DeliveryState.PENDING


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that the caller has to make now; `attempts` counts this one."""

    id: uuid.UUID
    org_id: uuid.UUID
    endpoint_id: uuid.UUID
    message_id: uuid.UUID
    url: str
    payload: str
    attempts: int


@dataclass(frozen=True, slots=True)
class DeliveryStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def add_message(self, message: Message) -> None:
        """Keep what is told."""
        self.session.add(
            MessageRow(
                id=message.id,
                org_id=message.org_id,
                type=message.type,
                payload=message.payload,
                created_at=message.created_at,
            )
        )
        await self.session.flush()

    async def add(self, delivery: Delivery) -> None:
        """Send a message on its way to an endpoint."""
        self.session.add(
            DeliveryRow(
                id=delivery.id,
                endpoint_id=delivery.endpoint_id,
                message_id=delivery.message_id,
                state=delivery.state,
                attempts=delivery.attempts,
                next_attempt_at=delivery.next_attempt_at,
                created_at=delivery.created_at,
                finished_at=delivery.finished_at,
                is_replay=delivery.is_replay,
            )
        )
        await self.session.flush()

    async def claim(
        self,
        *,
        now: datetime,
        until: datetime,
        busy: Collection[uuid.UUID],
        counts: tuple[int, int],
    ) -> list[Claimed]:
        """Take deliveries that are due, from no endpoint that is busy.

        `counts` are the most in all and the most of one endpoint, so that one that is slow does
        not hold up others. Nobody else gets them until `until`.
        """
        in_all, of_one = counts
        waiting = aliased(DeliveryRow)
        due = (
            select(waiting.id)
            .where(
                waiting.endpoint_id == EndpointRow.id,
                waiting.state == DeliveryState.PENDING,
                waiting.next_attempt_at <= now,
            )
            .order_by(waiting.next_attempt_at)
            .limit(of_one)
            .with_for_update(skip_locked=True)
            .lateral()
        )
        chosen = (
            select(due.c.id)
            .select_from(EndpointRow)
            .join(due, true())
            .where(EndpointRow.disabled.is_(None), EndpointRow.id.not_in(busy))
            .limit(in_all)
        )
        claimed = (
            update(DeliveryRow)
            .where(
                DeliveryRow.id.in_(chosen.scalar_subquery()),
                EndpointRow.id == DeliveryRow.endpoint_id,
                MessageRow.id == DeliveryRow.message_id,
            )
            .values(attempts=DeliveryRow.attempts + 1, next_attempt_at=until)
            .returning(
                DeliveryRow.id,
                EndpointRow.org_id,
                EndpointRow.id,
                MessageRow.id,
                EndpointRow.url,
                MessageRow.payload,
                DeliveryRow.attempts,
            )
            .execution_options(synchronize_session=False)
        )
        return [Claimed(*row) for row in await self.session.execute(claimed)]

    async def log(self, delivery_id: uuid.UUID, attempt: Attempt) -> None:
        """Keep how an attempt went."""
        self.session.add(
            AttemptRow(
                delivery_id=delivery_id,
                number=attempt.number,
                started_at=attempt.started_at,
                duration_ms=attempt.duration_ms,
                status=attempt.answer.status,
                failure=attempt.answer.failure,
                response=attempt.answer.response,
            )
        )

    async def lock_pending(self, delivery_id: uuid.UUID) -> bool:
        """Whether the delivery is still to be made; nobody ends it until the transaction does."""
        query = select(DeliveryRow.id).where(DeliveryRow.id == delivery_id, PENDING)
        return await self.session.scalar(query.with_for_update()) is not None

    async def finish(self, delivery_id: uuid.UUID, state: DeliveryState, *, now: datetime) -> None:
        """End a delivery."""
        await self.session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.id == delivery_id, PENDING)
            .values(state=state, finished_at=now)
        )

    async def postpone(self, delivery_id: uuid.UUID, *, until: datetime) -> None:
        """Let a delivery wait for its next attempt."""
        await self.session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.id == delivery_id, PENDING)
            .values(next_attempt_at=until)
        )

    async def cancel_all(self, endpoint_id: uuid.UUID, *, now: datetime) -> None:
        """End every delivery of an endpoint that waits; the endpoint is locked."""
        await self.session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.endpoint_id == endpoint_id, PENDING)
            .values(state=DeliveryState.CANCELED, finished_at=now)
            .execution_options(synchronize_session=False)
        )

    async def page(
        self,
        endpoint_id: uuid.UUID,
        *,
        state: str,
        before: tuple[datetime, uuid.UUID] | None,
        count: int,
    ) -> list[Delivery]:
        """Return up to `count` deliveries of an endpoint, newest first."""
        place = (DeliveryRow.created_at, DeliveryRow.id)
        query = _deliveries().where(DeliveryRow.endpoint_id == endpoint_id)
        if state:
            query = query.where(DeliveryRow.state == state)
        if before is not None:
            query = query.where(tuple_(*place) < tuple_(*before))
        query = query.order_by(*(one.desc() for one in place)).limit(count)
        rows = await self.session.execute(query)
        return [_delivery(row, message.type) for row, message in rows]

    async def find(
        self, endpoint_id: uuid.UUID, delivery_id: uuid.UUID
    ) -> tuple[Delivery, str] | None:
        """Return a delivery of an endpoint, and its payload."""
        query = _deliveries().where(
            DeliveryRow.endpoint_id == endpoint_id, DeliveryRow.id == delivery_id
        )
        found = (await self.session.execute(query)).one_or_none()
        if found is None:
            return None
        row, message = found
        return _delivery(row, message.type), message.payload

    async def attempts(self, delivery_id: uuid.UUID) -> list[Attempt]:
        """Return the log of a delivery."""
        rows = await self.session.scalars(
            select(AttemptRow)
            .where(AttemptRow.delivery_id == delivery_id)
            .order_by(AttemptRow.number)
        )
        return [
            Attempt(
                row.number,
                row.started_at,
                row.duration_ms,
                Answer(row.status, row.failure, row.response),
            )
            for row in rows
        ]

    async def undelivered(
        self, endpoint_id: uuid.UUID, *, since: datetime, count: int
    ) -> Sequence[uuid.UUID]:
        """Return messages since then that an endpoint neither got nor is about to, oldest first."""
        other = aliased(DeliveryRow)
        good = (DeliveryState.SUCCEEDED, DeliveryState.PENDING)
        query = (
            select(MessageRow.id)
            .join(DeliveryRow, DeliveryRow.message_id == MessageRow.id)
            .where(
                DeliveryRow.endpoint_id == endpoint_id,
                ~DeliveryRow.is_replay,
                MessageRow.created_at >= since,
                ~exists().where(
                    other.endpoint_id == endpoint_id,
                    other.message_id == MessageRow.id,
                    other.state.in_(good),
                ),
            )
            .order_by(MessageRow.created_at, MessageRow.id)
            .limit(count)
        )
        return (await self.session.scalars(query)).all()

    async def delete_messages(self, *, before: datetime) -> None:
        """Forget messages from before then, with their deliveries, unless one still waits."""
        waits = exists().where(DeliveryRow.message_id == MessageRow.id, PENDING)
        await self.session.execute(
            delete(MessageRow)
            .where(MessageRow.created_at < before, ~waits)
            .execution_options(synchronize_session=False)
        )


def _deliveries() -> Select[DeliveryRow, MessageRow]:
    return select(DeliveryRow, MessageRow).join(MessageRow, MessageRow.id == DeliveryRow.message_id)


def _delivery(row: DeliveryRow, type_: str) -> Delivery:
    return Delivery(
        id=row.id,
        endpoint_id=row.endpoint_id,
        message_id=row.message_id,
        type=type_,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        created_at=row.created_at,
        next_attempt_at=row.next_attempt_at,
        finished_at=row.finished_at,
        is_replay=row.is_replay,
    )
