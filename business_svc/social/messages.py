"""Values of the social service as messages."""

from __future__ import annotations

from reelmesh.business.social.v1 import moderation_service_pb2 as moderation_pb
from reelmesh.business.social.v1 import post_pb2, posts_service_pb2, profile_pb2
from reelmesh.business.social.v1 import reactions_service_pb2 as reactions_pb

from business_svc.social.moderation import Case, CaseEvent, CaseState, Report, SubjectKind
from business_svc.social.post import Ancestor, Comment, MediaKind, PostView
from business_svc.social.profile import Author, ProfileView
from meshkit.ids import format_id
from meshkit.timestamps import timestamp

PREFIX_OF_MEDIA = {MediaKind.ASSET: "ast"}
PREFIX_OF_SUBJECT = {
    SubjectKind.POST: "pst",
    SubjectKind.COMMENT: "cmt",
    SubjectKind.PROFILE: "usr",
}
# What a reporter learns of a case.
REPORT_STATES = {
    CaseState.OPEN: "open",
    CaseState.DISMISSED: "dismissed",
    CaseState.TAKEN_DOWN: "acted_on",
    CaseState.RESTORED: "dismissed",
}


def profile_message(view: ProfileView) -> profile_pb2.Profile:
    """Return a profile as one viewer sees it."""
    profile = view.profile
    return profile_pb2.Profile(
        handle=profile.handle,
        user_id=format_id("usr", profile.user_id),
        display_name=profile.display_name,
        bio=profile.bio,
        follower_count=profile.follower_count,
        following_count=profile.following_count,
        post_count=profile.post_count,
        followed=view.followed,
        blocked=view.blocked,
        created_at=timestamp(profile.created_at),
    )


def summary_message(author: Author) -> profile_pb2.ProfileSummary:
    """Return a profile as it stands beside what it made."""
    return profile_pb2.ProfileSummary(
        handle=author.handle,
        user_id=format_id("usr", author.user_id),
        display_name=author.display_name,
    )


def post_message(view: PostView) -> post_pb2.Post:
    """Return a post as one viewer sees it."""
    post = view.post
    message = post_pb2.Post(
        post_id=format_id("pst", post.id),
        author=summary_message(view.author),
        media=_media(view),
        caption=post.caption,
        alt_text=post.alt_text,
        visibility=post.visibility.value,
        allows_remix=post.allows_remix,
        tool=post.tool,
        remix_depth=post.remix_depth,
        like_count=post.counts.likes,
        comment_count=post.counts.comments,
        remix_count=post.counts.remixes,
        liked=view.liked,
        created_at=timestamp(post.created_at),
    )
    if post.edited_at is not None:
        message.edited_at.CopyFrom(timestamp(post.edited_at))
    return message


def ancestor_message(ancestor: Ancestor) -> posts_service_pb2.Ancestor:
    """Return one step of a lineage."""
    return posts_service_pb2.Ancestor(
        post_id=format_id("pst", ancestor.post_id),
        child_post_id=format_id("pst", ancestor.child_id),
        distance=ancestor.distance,
        run_id=format_id("run", ancestor.run_id),
        post=None if ancestor.view is None else post_message(ancestor.view),
    )


def comment_message(comment: Comment) -> reactions_pb.Comment:
    """Return a comment."""
    return reactions_pb.Comment(
        comment_id=format_id("cmt", comment.id),
        post_id=format_id("pst", comment.post_id),
        author=summary_message(comment.author),
        text=comment.text,
        created_at=timestamp(comment.created_at),
    )


def report_message(report: Report) -> moderation_pb.Report:
    """Return a report as its reporter sees it."""
    return moderation_pb.Report(
        report_id=format_id("rpt", report.id),
        subject_kind=report.subject_kind.value,
        subject_id=format_id(PREFIX_OF_SUBJECT[report.subject_kind], report.subject_id),
        reason=report.reason,
        note=report.note,
        state=REPORT_STATES[report.case_state],
        created_at=timestamp(report.created_at),
    )


def case_message(case: Case) -> moderation_pb.Case:
    """Return a case as operators see it."""
    subject = case.subject
    return moderation_pb.Case(
        case_id=format_id("cas", case.id),
        subject_kind=subject.kind.value,
        subject_id=format_id(PREFIX_OF_SUBJECT[subject.kind], subject.id),
        owner_user_id=format_id("usr", subject.owner_id),
        state=case.state.value,
        severity=case.severity,
        report_count=case.report_count,
        opened_at=timestamp(case.opened_at),
        reports=map(report_message, case.reports),
        events=map(_event, case.events),
    )


def _media(view: PostView) -> post_pb2.Media:
    media = view.post.media
    kind = media.reference.kind
    return post_pb2.Media(
        reference=post_pb2.MediaReference(
            kind=kind.value, id=format_id(PREFIX_OF_MEDIA[kind], media.reference.id)
        ),
        content_type=media.content_type,
        width=media.width,
        height=media.height,
        url=f"/v1/posts/{format_id('pst', view.post.id)}/picture",
    )


def _event(event: CaseEvent) -> moderation_pb.CaseEvent:
    operator = event.operator_id
    return moderation_pb.CaseEvent(
        kind=event.kind,
        operator_user_id="" if operator is None else format_id("usr", operator),
        note=event.note,
        created_at=timestamp(event.created_at),
    )
