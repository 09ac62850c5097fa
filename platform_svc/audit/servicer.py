"""gRPC surface of audit: messages to values, one use case, values to messages."""

from __future__ import annotations

from typing import Any

import grpc
from reelmesh.platform.audit.v1 import audit_service_pb2 as pb
from reelmesh.platform.audit.v1 import audit_service_pb2_grpc as pb_grpc

from meshkit.ids import parse_id
from platform_svc.audit.messages import entry_message, filter_of, verdict_message
from platform_svc.audit.queries import AuditQueries

Context = grpc.aio.ServicerContext[Any, Any]


class AuditServicer(pb_grpc.AuditServiceServicer):
    """Serves AuditService; holds no state but its collaborators."""

    def __init__(self, queries: AuditQueries) -> None:
        self._queries = queries

    async def ListAuditEntries(
        self, request: pb.ListAuditEntriesRequest, context: Context
    ) -> pb.ListAuditEntriesResponse:
        """Give one page of a log."""
        links, token = await self._queries.page(
            parse_id("org", request.org_id, field="org_id"),
            filter_of(request),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return pb.ListAuditEntriesResponse(
            entries=[entry_message(link) for link in links], next_page_token=token
        )

    async def VerifyAuditLog(
        self, request: pb.VerifyAuditLogRequest, context: Context
    ) -> pb.AuditLogVerdict:
        """Say whether a log is as it was written."""
        org_id = parse_id("org", request.org_id, field="org_id")
        return verdict_message(await self._queries.verify(org_id))

    async def VerifyAuditLogs(
        self, request: pb.VerifyAuditLogsRequest, context: Context
    ) -> pb.VerifyAuditLogsResponse:
        """Say it of one page of logs."""
        verdicts, token = await self._queries.verify_some(
            page_size=request.page_size, page_token=request.page_token
        )
        return pb.VerifyAuditLogsResponse(
            verdicts=[verdict_message(one) for one in verdicts], next_page_token=token
        )
