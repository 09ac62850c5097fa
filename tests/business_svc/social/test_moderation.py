"""Reports, the queue of cases, and decisions that act at once."""

from __future__ import annotations

import itertools

import grpc
import pytest
from reelmesh.business.social.v1 import moderation_service_pb2 as pb
from reelmesh.business.social.v1 import posts_service_pb2 as posts_pb
from reelmesh.business.social.v1 import profiles_service_pb2 as profiles_pb
from reelmesh.business.social.v1 import reactions_service_pb2 as reactions_pb

from business_svc.social.errors import DecisionNotPossible
from business_svc.social.moderation import RESULTS, CaseState, Decision, decide
from tests.platform_svc.refusals import refusal_of

from .people import Person, Town, post_request
from .test_posts import see


@pytest.fixture
async def operator(town: Town) -> Person:
    return await town.person("ops", joined=False, is_operator=True)


def report(post_id: str, reason: str = "spam") -> pb.ReportPostRequest:
    return pb.ReportPostRequest(post_id=post_id, reason=reason, note="look at this")


async def queue(operator: Person, state: str = "") -> list[pb.Case]:
    request = pb.ListCasesRequest(state=state, page_size=1)
    return await operator.all_of("ListCases", request, "cases")


async def decided(operator: Person, case: pb.Case, decision: str) -> pb.Case:
    request = pb.DecideCaseRequest(case_id=case.case_id, decision=decision, note="because")
    return await operator.DecideCase(request)


def test_every_decision_leads_where_the_table_says_or_is_refused() -> None:
    for state, decision in itertools.product(CaseState, Decision):
        try:
            result = decide(state, decision)
        except DecisionNotPossible:
            assert state is not RESULTS[decision]
        else:
            assert result in {None, RESULTS[decision]}
    assert decide(CaseState.OPEN, Decision.TAKE_DOWN) is CaseState.TAKEN_DOWN
    with pytest.raises(DecisionNotPossible):
        decide(CaseState.OPEN, Decision.RESTORE)


async def test_reports_about_one_post_make_one_case(
    town: Town, ada: Person, bob: Person, cyd: Person, operator: Person
) -> None:
    post, other = await ada.post(), await ada.post()
    await bob.ReportPost(report(other.post_id))
    await bob.ReportPost(report(post.post_id))
    first = await cyd.ReportPost(report(post.post_id, "illegal"))
    assert await cyd.ReportPost(report(post.post_id)) == first
    cases = await queue(operator)
    assert [(one.subject_id, one.severity, one.report_count) for one in cases] == [
        (post.post_id, 3, 2),
        (other.post_id, 1, 1),
    ]
    whole = await operator.GetCase(pb.GetCaseRequest(case_id=cases[0].case_id))
    assert [one.reason for one in whole.reports] == ["spam", "illegal"]
    assert [one.kind for one in whole.events] == ["opened"]


async def test_a_takedown_acts_at_once_and_is_told_to_the_reporter(
    town: Town, ada: Person, bob: Person, operator: Person
) -> None:
    await bob.follow(ada)
    asset = ada.asset()
    post = await ada.post(asset, caption="bad")
    await town.settle()
    await bob.ReportPost(report(post.post_id))
    (case,) = await queue(operator)
    taken = await decided(operator, case, "take_down")
    assert (taken.state, taken.events[-1].note) == ("taken_down", "because")
    assert await decided(operator, case, "take_down") == taken
    for person in (ada, bob):
        assert (await refusal_of(see(person, post.post_id))).reason == "POST_NOT_FOUND"
    assert await bob.home() == []
    assert (await refusal_of(ada.CreatePost(post_request(asset)))).reason == "POST_EXISTS"
    (mine,) = (await bob.ListMyReports(pb.ListMyReportsRequest())).reports
    assert (mine.subject_id, mine.state) == (post.post_id, "acted_on")
    for decision, left in ((None, 0), ("restore", 1)):
        if decision is not None:
            await decided(operator, case, decision)
        await town.settle()
        assert (await ada.GetMyProfile(profiles_pb.GetMyProfileRequest())).post_count == left
    await see(bob, post.post_id)
    assert await bob.home() == ["bad"]


async def test_a_dismissed_case_opens_again_with_a_new_report(
    ada: Person, bob: Person, cyd: Person, operator: Person
) -> None:
    post = await ada.post()
    await bob.ReportPost(report(post.post_id))
    (case,) = await queue(operator)
    await decided(operator, case, "dismiss")
    assert await queue(operator) == []
    assert len(await queue(operator, "dismissed")) == 1
    await cyd.ReportPost(report(post.post_id))
    (again,) = await queue(operator)
    assert again.case_id == case.case_id
    whole = await operator.GetCase(pb.GetCaseRequest(case_id=case.case_id))
    assert [one.kind for one in whole.events] == ["opened", "dismiss", "reopened"]
    refused = pb.DecideCaseRequest(case_id=case.case_id, decision="restore")
    assert (await refusal_of(operator.DecideCase(refused))).reason == "DECISION_NOT_POSSIBLE"


async def test_a_suspended_profile_is_hidden_and_may_do_nothing(
    town: Town, ada: Person, bob: Person, operator: Person
) -> None:
    post = await ada.post()
    request = pb.ReportProfileRequest(handle="ada", reason="hate")
    await bob.ReportProfile(request)
    assert (await refusal_of(ada.ReportProfile(request))).reason == "OWN_PROFILE"
    (case,) = await queue(operator)
    await decided(operator, case, "take_down")
    assert (await refusal_of(see(bob, post.post_id))).reason == "POST_NOT_FOUND"
    profile = profiles_pb.GetProfileRequest(handle="ada")
    assert (await refusal_of(bob.GetProfile(profile))).reason == "PROFILE_NOT_FOUND"
    for call in (
        ada.post(),
        ada.follow(bob),
        ada.ReportProfile(pb.ReportProfileRequest(handle="bob", reason="spam")),
    ):
        assert (await refusal_of(call)).reason == "PROFILE_SUSPENDED"
    await town.settle()
    await decided(operator, case, "restore")
    await see(bob, post.post_id)


async def test_a_comment_is_taken_down(
    town: Town, ada: Person, bob: Person, operator: Person
) -> None:
    post_id = (await ada.post()).post_id
    comment = await bob.AddComment(reactions_pb.AddCommentRequest(post_id=post_id, text="bad"))
    request = pb.ReportCommentRequest(
        post_id=post_id, comment_id=comment.comment_id, reason="nudity"
    )
    await ada.ReportComment(request)
    (case,) = await queue(operator)
    await decided(operator, case, "take_down")
    listed = await ada.ListComments(reactions_pb.ListCommentsRequest(post_id=post_id))
    assert not listed.comments
    await town.settle()
    assert (await refusal_of(ada.ReportComment(request))).reason == "COMMENT_NOT_FOUND"


async def test_a_deleted_post_is_not_brought_back(
    town: Town, ada: Person, bob: Person, operator: Person
) -> None:
    post = await ada.post(caption="gone")
    await bob.ReportPost(report(post.post_id))
    (case,) = await queue(operator)
    await decided(operator, case, "take_down")
    await ada.DeletePost(posts_pb.DeletePostRequest(post_id=post.post_id))
    await decided(operator, case, "restore")
    assert (await refusal_of(see(bob, post.post_id))).reason == "POST_NOT_FOUND"
    await town.settle()


async def test_only_operators_see_and_decide_cases(ada: Person) -> None:
    for call in (
        ada.ListCases(pb.ListCasesRequest()),
        ada.GetCase(pb.GetCaseRequest(case_id="cas_1")),
        ada.DecideCase(pb.DecideCaseRequest(case_id="cas_1", decision="dismiss")),
    ):
        assert (await refusal_of(call)).code is grpc.StatusCode.PERMISSION_DENIED
