"""Tables of the jobs schema; only `store.py` and the migrations know them.

`job`, `outcome` and `job_event` only grow; a trigger refuses changes. `ready` and `lease` stay
small because a row leaves when its job moves on. No index is on a column that a heartbeat
changes, so that those updates stay within their page (heap-only tuples).
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from meshkit.outbox import OutboxMixin
from meshkit.postgres import metadata_for, type_annotation_map

HOT = {"fillfactor": 50, "autovacuum_vacuum_scale_factor": 0.01, "autovacuum_vacuum_cost_delay": 0}
QUEUE = {"autovacuum_vacuum_scale_factor": 0.01, "autovacuum_vacuum_cost_delay": 0}


class Base(DeclarativeBase):
    """Declarative base of the jobs schema."""

    metadata = metadata_for("jobs")
    type_annotation_map = type_annotation_map


class JobRow(Base):
    """The immutable request; `vt` orders a tenant's jobs: when it is due, in microseconds.

    `cost_seconds` is the predicted time on a device. `regions` names those that the job may run
    in, sorted, with commas; empty means every region.

    `inputs` is JSON and not JSONB, because JSONB refuses texts that hold a NUL.
    """

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("tenant_id", "idempotency_key"),
        CheckConstraint("count > 0", "count_positive"),
        CheckConstraint("attempts_max > 0", "attempts_max_positive"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    idempotency_key: Mapped[str]
    fingerprint: Mapped[bytes]
    model: Mapped[str]
    task: Mapped[str]
    inputs: Mapped[Any] = mapped_column(JSON)
    count: Mapped[int] = mapped_column(Integer)
    band: Mapped[int] = mapped_column(SmallInteger)
    weight: Mapped[float] = mapped_column(Double)
    vt: Mapped[int]
    start_deadline: Mapped[datetime | None]
    attempts_max: Mapped[int] = mapped_column(Integer)
    traceparent: Mapped[str]
    created_at: Mapped[datetime]
    cost_seconds: Mapped[float] = mapped_column(Double, server_default="1")
    regions: Mapped[str] = mapped_column(server_default="")


class ReadyRow(Base):
    """A job that may be claimed.

    A lane is what equal jobs of a tenant wait in: one queue (a model), band and set of regions.
    """

    __tablename__ = "ready"
    __table_args__ = (
        UniqueConstraint("job_id"),
        Index("ix_ready_due", "queue", "vt", "job_id"),
        Index("ix_ready_lane", "queue", "band", "tenant_id", "regions", "vt", "job_id"),
        Index(None, "start_deadline", postgresql_where=text("start_deadline IS NOT NULL")),
        {"postgresql_with": QUEUE},
    )

    queue: Mapped[str]
    band: Mapped[int] = mapped_column(SmallInteger)
    vt: Mapped[int]
    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[str]
    fence: Mapped[int] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    last_region: Mapped[str]
    start_deadline: Mapped[datetime | None]
    weight: Mapped[float] = mapped_column(Double, server_default="1")
    cost_seconds: Mapped[float] = mapped_column(Double, server_default="1")
    regions: Mapped[str] = mapped_column(server_default="")


class ScheduledRow(Base):
    """A job that waits out the pause after a broken attempt, until `run_at`."""

    __tablename__ = "scheduled"
    __table_args__ = (Index(None, "run_at"), {"postgresql_with": QUEUE})

    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    run_at: Mapped[datetime]
    fence: Mapped[int] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    last_region: Mapped[str]
    start_deadline: Mapped[datetime | None]


class LeaseRow(Base):
    """The one live lease of a job. `attempts` counts this attempt and those before it.

    No index on `lease_until`: heartbeats change it all the time and the table is small.
    """

    __tablename__ = "lease"
    __table_args__ = (CheckConstraint("fence > 0", "fence_positive"), {"postgresql_with": HOT})

    job_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    fence: Mapped[int] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    region: Mapped[str]
    agent_id: Mapped[str]
    start_deadline: Mapped[datetime | None]
    leased_at: Mapped[datetime]
    lease_until: Mapped[datetime]
    cancel_requested: Mapped[bool]
    started_at: Mapped[datetime | None]
    step: Mapped[int] = mapped_column(Integer)
    steps: Mapped[int] = mapped_column(Integer)
    cost_seconds: Mapped[float] = mapped_column(Double, server_default="0")


class ShareClockRow(Base):
    """The virtual time of a tenant in a band; without a tenant, the floor of the band.

    Band -1 holds what the share for late jobs has saved up.
    """

    __tablename__ = "share_clock"
    __table_args__ = ({"postgresql_with": HOT},)

    band: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    vt: Mapped[float] = mapped_column(Double)


class RegionRow(Base):
    """A region that has asked for work at least once, and whether it gets any."""

    __tablename__ = "region"
    __table_args__ = (
        CheckConstraint("state IN ('active', 'cordoned', 'draining')", "state_known"),
    )

    name: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    note: Mapped[str]
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]


class ReplicasRow(Base):
    """What a region last reported of a model's replicas, and how many it should run.

    `surplus_since` is when the target began to be more than what is wanted.
    """

    __tablename__ = "replicas"
    __table_args__ = (
        CheckConstraint("target >= 0", "target_not_negative"),
        {"postgresql_with": HOT},
    )

    region: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    running: Mapped[int] = mapped_column(Integer)
    minimum: Mapped[int] = mapped_column(Integer)
    maximum: Mapped[int] = mapped_column(Integer)
    run_seconds: Mapped[float] = mapped_column(Double)
    target: Mapped[int] = mapped_column(Integer)
    surplus_since: Mapped[datetime | None]
    reason: Mapped[str]
    reported_at: Mapped[datetime]


class ScalingDecisionRow(Base):
    """One change of how many replicas a region should run; kept for a month."""

    __tablename__ = "scaling_decision"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    region: Mapped[str]
    model: Mapped[str]
    before: Mapped[int] = mapped_column(Integer)
    after: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str]
    decided_at: Mapped[datetime] = mapped_column(index=True)


class OutcomeRow(Base):
    """The one terminal state of a job."""

    __tablename__ = "outcome"
    __table_args__ = (
        CheckConstraint("fence >= 0", "fence_not_negative"),
        CheckConstraint(
            "state IN ('succeeded', 'failed', 'canceled', 'expired')", "state_terminal"
        ),
        CheckConstraint("(state = 'succeeded') = (outputs IS NOT NULL)", "outputs_of_success"),
    )

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey(JobRow.id), primary_key=True)
    fence: Mapped[int] = mapped_column(Integer)
    state: Mapped[str]
    region: Mapped[str]
    outputs: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    reason: Mapped[str]
    message: Mapped[str]
    step: Mapped[int] = mapped_column(Integer)
    steps: Mapped[int] = mapped_column(Integer)
    run_ms: Mapped[int] = mapped_column(Integer)
    upload_ms: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime]


class JobEventRow(Base):
    """The history: every change of every job, by the database's clock."""

    __tablename__ = "job_event"
    __table_args__ = (Index(None, "job_id"),)

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    job_id: Mapped[uuid.UUID]
    fence: Mapped[int] = mapped_column(Integer)
    event: Mapped[str]
    detail: Mapped[str]
    at: Mapped[datetime]


class OutboxEvent(OutboxMixin, Base):
    """Events of the jobs service on their way to the bus."""
