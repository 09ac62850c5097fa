"""Background work of the audit service: appends what services tell, and verifies the logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import Gauge
from reelmesh.platform.audit.v1.audit_events_pb2 import ChangeRecorded

from meshkit.ids import format_id
from meshkit.inbox import Event
from platform_svc.audit.commands import AuditCommands
from platform_svc.audit.messages import entry_of
from platform_svc.audit.queries import AuditQueries

LOGS_PER_ROUND: Final = 100
INTACT: Final = "a log is as it was written"

OFFENDERS = Gauge("reelmesh_audit_offenders", "Logs that were tampered with", ["invariant"])


@dataclass(frozen=True, slots=True)
class Recorder:
    """Puts each change into its log once: the event's id is the entry's."""

    commands: AuditCommands

    async def handle(self, event: Event) -> None:
        """Append the change that the event tells of."""
        await self.commands.append(entry_of(event.id, event.parse(ChangeRecorded)))


@dataclass(frozen=True, slots=True)
class LogCheck:
    """Finds the logs that were tampered with."""

    queries: AuditQueries

    async def look(self) -> Mapping[str, Sequence[str]]:
        """Verify every log."""
        broken: list[str] = []
        token = ""
        while True:
            verdicts, token = await self.queries.verify_some(
                page_size=LOGS_PER_ROUND, page_token=token
            )
            broken.extend(
                f"{format_id('org', one.org_id)} at {one.broken_at}: {one.problem}"
                for one in verdicts
                if one.problem
            )
            if not token:
                return {INTACT: broken} if broken else {}
