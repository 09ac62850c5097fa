"""SQL of webhook endpoints and their secrets."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from platform_svc.notifications.tables import EndpointRow, SecretRow
from platform_svc.notifications.webhooks import Disabled, Endpoint


@dataclass(frozen=True, slots=True)
class EndpointStore:
    """Reads and writes inside the caller's transaction; never commits."""

    session: AsyncSession

    async def lock_creation(self, org_id: uuid.UUID) -> None:
        """Let an organization get one endpoint at a time, so that the count of them is right."""
        await self.session.execute(
            select(func.pg_advisory_xact_lock(func.hashtext(f"webhook-endpoints:{org_id}")))
        )

    async def count(self, org_id: uuid.UUID) -> int:
        """Return how many endpoints an organization has."""
        query = select(func.count()).where(EndpointRow.org_id == org_id)
        return await self.session.scalar(query) or 0

    async def add(self, endpoint: Endpoint) -> None:
        """Keep a new endpoint, without a secret yet."""
        self.session.add(
            EndpointRow(
                id=endpoint.id,
                org_id=endpoint.org_id,
                url=endpoint.url,
                description=endpoint.description,
                event_types=list(endpoint.event_types),
                created_by=endpoint.created_by,
                created_at=endpoint.created_at,
                disabled=None,
                failing_since=None,
            )
        )
        await self.session.flush()  # The secret that follows refers to it.

    async def find(
        self, org_id: uuid.UUID, endpoint_id: uuid.UUID, *, now: datetime
    ) -> Endpoint | None:
        """Return an endpoint of the organization."""
        query = _endpoints(now).where(EndpointRow.org_id == org_id, EndpointRow.id == endpoint_id)
        found = (await self.session.execute(query)).one_or_none()
        return None if found is None else _endpoint(found[0], found[1])

    async def lock(self, endpoint_id: uuid.UUID) -> None:
        """Let changes of the endpoint and of its deliveries wait until the transaction ends."""
        await self.session.execute(
            select(EndpointRow.id).where(EndpointRow.id == endpoint_id).with_for_update()
        )

    async def share(self, endpoint_id: uuid.UUID) -> None:
        """Let nobody change the endpoint until the transaction ends."""
        await self.session.execute(
            select(EndpointRow.id).where(EndpointRow.id == endpoint_id).with_for_update(read=True)
        )

    async def all_of(self, org_id: uuid.UUID, *, now: datetime) -> list[Endpoint]:
        """Return the endpoints of an organization, oldest first."""
        query = _endpoints(now).where(EndpointRow.org_id == org_id)
        rows = await self.session.execute(query.order_by(EndpointRow.created_at, EndpointRow.id))
        return [_endpoint(row, until) for row, until in rows]

    async def share_enabled(self, org_id: uuid.UUID) -> list[tuple[uuid.UUID, tuple[str, ...]]]:
        """Return which endpoints are enabled and what they want; none is disabled meanwhile."""
        rows = await self.session.execute(
            select(EndpointRow.id, EndpointRow.event_types)
            .where(EndpointRow.org_id == org_id, EndpointRow.disabled.is_(None))
            .order_by(EndpointRow.id)
            .with_for_update(read=True)
        )
        return [(endpoint_id, tuple(types)) for endpoint_id, types in rows]

    async def save(self, endpoint: Endpoint) -> None:
        """Keep what may be changed about an endpoint."""
        await self.session.execute(
            update(EndpointRow)
            .where(EndpointRow.id == endpoint.id)
            .values(
                url=endpoint.url,
                description=endpoint.description,
                event_types=list(endpoint.event_types),
                disabled=endpoint.disabled,
                failing_since=endpoint.failing_since,
            )
        )

    async def note_failing(self, endpoint_id: uuid.UUID, *, since: datetime | None) -> None:
        """Note since when deliveries to an endpoint fail; None that they do not."""
        await self.session.execute(
            update(EndpointRow).where(EndpointRow.id == endpoint_id).values(failing_since=since)
        )

    async def disable(self, endpoint_id: uuid.UUID, because: Disabled) -> None:
        """Let an endpoint get nothing."""
        await self.session.execute(
            update(EndpointRow).where(EndpointRow.id == endpoint_id).values(disabled=because)
        )

    async def remove(self, org_id: uuid.UUID, endpoint_id: uuid.UUID) -> bool:
        """Remove an endpoint with its secrets and deliveries; False if there is none."""
        removed = await self.session.scalar(
            delete(EndpointRow)
            .where(EndpointRow.org_id == org_id, EndpointRow.id == endpoint_id)
            .returning(EndpointRow.id)
        )
        return removed is not None

    async def add_secret(
        self, endpoint_id: uuid.UUID, secret_id: uuid.UUID, sealed: bytes, *, now: datetime
    ) -> None:
        """Keep a new secret, which becomes the newest."""
        self.session.add(
            SecretRow(
                id=secret_id,
                endpoint_id=endpoint_id,
                sealed=sealed,
                created_at=now,
                expires_at=None,
            )
        )
        await self.session.flush()

    async def end_secrets(self, endpoint_id: uuid.UUID, *, at: datetime) -> None:
        """Let no secret of an endpoint sign after then; those that end earlier still do."""
        await self.session.execute(
            update(SecretRow)
            .where(
                SecretRow.endpoint_id == endpoint_id,
                or_(SecretRow.expires_at.is_(None), SecretRow.expires_at > at),
            )
            .values(expires_at=at)
        )

    async def secrets(self, endpoint_id: uuid.UUID, *, now: datetime) -> Sequence[bytes]:
        """Return the sealed secrets that sign now, newest first."""
        query = (
            select(SecretRow.sealed)
            .where(
                SecretRow.endpoint_id == endpoint_id,
                or_(SecretRow.expires_at.is_(None), SecretRow.expires_at > now),
            )
            .order_by(SecretRow.expires_at.desc().nulls_first(), SecretRow.created_at.desc())
        )
        return (await self.session.scalars(query)).all()

    async def delete_secrets(self, *, before: datetime) -> None:
        """Forget secrets that ended before then."""
        await self.session.execute(delete(SecretRow).where(SecretRow.expires_at < before))


def _endpoints(now: datetime) -> Select[EndpointRow, datetime | None]:
    former_until = (
        select(func.max(SecretRow.expires_at))
        .where(SecretRow.endpoint_id == EndpointRow.id, SecretRow.expires_at > now)
        .scalar_subquery()
    )
    return select(EndpointRow, former_until).execution_options(populate_existing=True)


def _endpoint(row: EndpointRow, former_secret_until: datetime | None) -> Endpoint:
    return Endpoint(
        id=row.id,
        org_id=row.org_id,
        url=row.url,
        description=row.description,
        event_types=tuple(row.event_types),
        created_by=row.created_by,
        created_at=row.created_at,
        disabled=None if row.disabled is None else Disabled(row.disabled),
        failing_since=row.failing_since,
        former_secret_until=former_secret_until,
    )
