"""Every way a social call may refuse, with the status a caller sees."""

from __future__ import annotations

import uuid
from typing import ClassVar

import grpc

from meshkit.errors import ServiceError
from meshkit.ids import format_id


class ProfileNotFound(ServiceError):
    """There is no such profile, or the caller may not see it."""

    code: ClassVar = grpc.StatusCode.NOT_FOUND
    reason: ClassVar = "PROFILE_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("there is no such profile")


class ProfileMissing(ServiceError):
    """The caller has no profile yet, which this needs."""

    code: ClassVar = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar = "PROFILE_MISSING"

    def __init__(self) -> None:
        super().__init__("make a profile first")


class ProfileExists(ServiceError):
    """The caller has a profile already."""

    code: ClassVar = grpc.StatusCode.ALREADY_EXISTS
    reason: ClassVar = "PROFILE_EXISTS"

    def __init__(self) -> None:
        super().__init__("you have a profile already")


class ProfileSuspended(ServiceError):
    """The caller's profile is suspended by operators."""

    code: ClassVar = grpc.StatusCode.PERMISSION_DENIED
    reason: ClassVar = "PROFILE_SUSPENDED"

    def __init__(self) -> None:
        super().__init__("your profile is suspended")


class HandleTaken(ServiceError):
    """The handle is somebody else's, or was."""

    code: ClassVar = grpc.StatusCode.ALREADY_EXISTS
    reason: ClassVar = "HANDLE_TAKEN"

    def __init__(self, handle: str) -> None:
        super().__init__("the handle is taken", handle=handle)


class HandleReserved(ServiceError):
    """The handle is kept for the platform."""

    code: ClassVar = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar = "HANDLE_RESERVED"

    def __init__(self, handle: str) -> None:
        super().__init__("the handle is reserved", handle=handle)


class TooManyHandles(ServiceError):
    """The caller has had as many handles as one may."""

    code: ClassVar = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar = "TOO_MANY_HANDLES"

    def __init__(self) -> None:
        super().__init__("you have had as many handles as one may")


class OwnProfile(ServiceError):
    """The caller named their own profile where another one is needed."""

    code: ClassVar = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar = "OWN_PROFILE"

    def __init__(self) -> None:
        super().__init__("name another profile than your own")


class BlockedByYou(ServiceError):
    """The caller blocks the profile."""

    code: ClassVar = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar = "BLOCKED_BY_YOU"

    def __init__(self) -> None:
        super().__init__("you block this profile: unblock it first")


class TooManyFollows(ServiceError):
    """The caller follows as many profiles as one may."""

    code: ClassVar = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar = "TOO_MANY_FOLLOWS"

    def __init__(self) -> None:
        super().__init__("you follow as many profiles as one may")


class PostNotFound(ServiceError):
    """There is no such post, or the caller may not see or change it."""

    code: ClassVar = grpc.StatusCode.NOT_FOUND
    reason: ClassVar = "POST_NOT_FOUND"

    def __init__(self, post_id: uuid.UUID) -> None:
        super().__init__("there is no such post", post_id=format_id("pst", post_id))


class PostExists(ServiceError):
    """The asset is posted already, or was taken down."""

    code: ClassVar = grpc.StatusCode.ALREADY_EXISTS
    reason: ClassVar = "POST_EXISTS"

    def __init__(self, media_id: str) -> None:
        super().__init__("this is posted already, or was taken down", media_id=media_id)


class TooManyPosts(ServiceError):
    """The caller has posted as often as one may in an hour."""

    code: ClassVar = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar = "TOO_MANY_POSTS"

    def __init__(self) -> None:
        super().__init__("you have posted as often as one may in an hour")


class AssetNotFound(ServiceError):
    """The organization has no such asset, or it is not ready."""

    code: ClassVar = grpc.StatusCode.NOT_FOUND
    reason: ClassVar = "ASSET_NOT_FOUND"

    def __init__(self, asset_id: str) -> None:
        super().__init__("there is no such asset that is ready", asset_id=asset_id)


class PictureGone(ServiceError):
    """The post's asset was deleted."""

    code: ClassVar = grpc.StatusCode.NOT_FOUND
    reason: ClassVar = "PICTURE_GONE"

    def __init__(self, post_id: uuid.UUID) -> None:
        super().__init__("the picture was deleted", post_id=format_id("pst", post_id))


class RemixNotAllowed(ServiceError):
    """The post's author does not allow remixes."""

    code: ClassVar = grpc.StatusCode.PERMISSION_DENIED
    reason: ClassVar = "REMIX_NOT_ALLOWED"

    def __init__(self, post_id: uuid.UUID) -> None:
        super().__init__("the author does not allow remixes", post_id=format_id("pst", post_id))


class TooManyRemixes(ServiceError):
    """The caller has asked for as many copies as one may in an hour."""

    code: ClassVar = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar = "TOO_MANY_REMIXES"

    def __init__(self) -> None:
        super().__init__("you have asked for as many copies as one may in an hour")


class NoRoomForCopy(ServiceError):
    """The caller's organization stores as much as it may."""

    code: ClassVar = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar = "NO_ROOM_FOR_COPY"

    def __init__(self) -> None:
        super().__init__("the organization has no room for another picture")


class CommentNotFound(ServiceError):
    """There is no such comment, or the caller may not see or delete it."""

    code: ClassVar = grpc.StatusCode.NOT_FOUND
    reason: ClassVar = "COMMENT_NOT_FOUND"

    def __init__(self, comment_id: uuid.UUID) -> None:
        super().__init__("there is no such comment", comment_id=format_id("cmt", comment_id))


class TooManyComments(ServiceError):
    """The caller has commented as often as one may in an hour."""

    code: ClassVar = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar = "TOO_MANY_COMMENTS"

    def __init__(self) -> None:
        super().__init__("you have commented as often as one may in an hour")


class TooManyReports(ServiceError):
    """The caller has reported as often as one may in an hour."""

    code: ClassVar = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar = "TOO_MANY_REPORTS"

    def __init__(self) -> None:
        super().__init__("you have reported as often as one may in an hour")


class CaseNotFound(ServiceError):
    """There is no such case."""

    code: ClassVar = grpc.StatusCode.NOT_FOUND
    reason: ClassVar = "CASE_NOT_FOUND"

    def __init__(self, case_id: uuid.UUID) -> None:
        super().__init__("there is no such case", case_id=format_id("cas", case_id))


class DecisionNotPossible(ServiceError):
    """The case's state does not admit the decision."""

    code: ClassVar = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar = "DECISION_NOT_POSSIBLE"

    def __init__(self, state: str) -> None:
        super().__init__("the case does not admit this decision", state=state)
