"""gRPC surface of reports and cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from reelmesh.business.social.v1 import moderation_service_pb2 as pb
from reelmesh.business.social.v1 import moderation_service_pb2_grpc as pb_grpc

from business_svc.social.callers import asked, plain, user_id
from business_svc.social.messages import case_message, report_message
from business_svc.social.moderation import CaseState, Complaint, Decision
from business_svc.social.moderation_commands import ModerationCommands
from business_svc.social.moderation_queries import ModerationQueries
from meshkit.ids import parse_id

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class ModerationServicer(pb_grpc.ModerationServiceServicer):
    """Serves ModerationService; holds no state but its collaborators."""

    commands: ModerationCommands
    queries: ModerationQueries

    async def ReportPost(self, request: pb.ReportPostRequest, context: Context) -> pb.Report:
        """Take a report of a post."""
        post_id = parse_id("pst", request.post_id, field="post_id")
        return report_message(await self.commands.report_post(post_id, _complaint(request)))

    async def ReportComment(self, request: pb.ReportCommentRequest, context: Context) -> pb.Report:
        """Take a report of a comment."""
        post_id = parse_id("pst", request.post_id, field="post_id")
        comment_id = parse_id("cmt", request.comment_id, field="comment_id")
        complaint = _complaint(request)
        return report_message(await self.commands.report_comment(post_id, comment_id, complaint))

    async def ReportProfile(self, request: pb.ReportProfileRequest, context: Context) -> pb.Report:
        """Take a report of a profile."""
        complaint = _complaint(request)
        return report_message(await self.commands.report_profile(request.handle, complaint))

    async def ListMyReports(
        self, request: pb.ListMyReportsRequest, context: Context
    ) -> pb.ListMyReportsResponse:
        """Give one page of what the caller reported."""
        page = await self.queries.reports(user_id(), asked(request))
        return pb.ListMyReportsResponse(
            reports=map(report_message, page.rows), next_page_token=page.next_page_token
        )

    async def ListCases(
        self, request: pb.ListCasesRequest, context: Context
    ) -> pb.ListCasesResponse:
        """Give one page of the queue."""
        state = CaseState(request.state or CaseState.OPEN)
        page = await self.queries.queue(state, asked(request))
        return pb.ListCasesResponse(
            cases=map(case_message, page.rows), next_page_token=page.next_page_token
        )

    async def GetCase(self, request: pb.GetCaseRequest, context: Context) -> pb.Case:
        """Give a case."""
        case_id = parse_id("cas", request.case_id, field="case_id")
        return case_message(await self.queries.case(case_id))

    async def DecideCase(self, request: pb.DecideCaseRequest, context: Context) -> pb.Case:
        """Decide a case."""
        case_id = parse_id("cas", request.case_id, field="case_id")
        decision = Decision(request.decision)
        note = plain(request.note, "note")
        return case_message(await self.commands.decide(case_id, decision, user_id(), note))


def _complaint(request: Any) -> Complaint:
    return Complaint(user_id(), request.reason, plain(request.note, "note"))
