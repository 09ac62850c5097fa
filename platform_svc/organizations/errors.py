"""Every way an organizations call may refuse, with the status a caller sees."""

from __future__ import annotations

from typing import ClassVar

import grpc

from meshkit.errors import ServiceError


class OrganizationNotFound(ServiceError):
    """The caller belongs to no such organization, whether or not it exists."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "ORGANIZATION_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("you belong to no such organization")


class OrganizationExists(ServiceError):
    """The id belongs to somebody else's organization, or the user has another personal one."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ALREADY_EXISTS
    reason: ClassVar[str] = "ORGANIZATION_EXISTS"

    def __init__(self) -> None:
        super().__init__("the organization exists and is another one")


class TooManyOrganizations(ServiceError):
    """The user owns as many organizations as one may."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar[str] = "TOO_MANY_ORGANIZATIONS"

    def __init__(self, owned_max: int) -> None:
        super().__init__(f"you own {owned_max} organizations, which is as many as one may")


class MemberNotFound(ServiceError):
    """The organization has no such member."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "MEMBER_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("the organization has no such member")


class RoleTooHigh(ServiceError):
    """The role, or the member's role, is above the caller's own."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.PERMISSION_DENIED
    reason: ClassVar[str] = "ROLE_TOO_HIGH"

    def __init__(self, role: str) -> None:
        super().__init__("the role is above your own", role=role)


class LastOwner(ServiceError):
    """The organization would be left without an owner."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "LAST_OWNER"

    def __init__(self) -> None:
        super().__init__("an organization keeps an owner: transfer the ownership first")


class PersonalOrganizationKept(ServiceError):
    """A personal organization stays with its user."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "PERSONAL_ORGANIZATION"

    def __init__(self) -> None:
        super().__init__("a personal organization stays with its user")


class OwnMembership(ServiceError):
    """The caller named their own membership where another one is needed."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "OWN_MEMBERSHIP"

    def __init__(self) -> None:
        super().__init__("name another member than yourself")


class InvitationNotFound(ServiceError):
    """The organization has no such invitation, or the token is no good one."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "INVITATION_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("there is no such invitation")


class InvitationExists(ServiceError):
    """The address has an invitation that is still open."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.ALREADY_EXISTS
    reason: ClassVar[str] = "INVITATION_EXISTS"

    def __init__(self) -> None:
        super().__init__("the address is invited already: resend or revoke that invitation")


class InvitationOver(ServiceError):
    """The invitation was accepted, declined or revoked before."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "INVITATION_OVER"

    def __init__(self, state: str) -> None:
        super().__init__("the invitation is over", state=state)


class InvitationExpired(ServiceError):
    """The invitation's time is over."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "INVITATION_EXPIRED"

    def __init__(self) -> None:
        super().__init__("the invitation has expired: ask for another one")


class InvitationJustSent(ServiceError):
    """The invitation's mail was asked for less than a minute ago."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar[str] = "INVITATION_JUST_SENT"

    def __init__(self) -> None:
        super().__init__("the mail was sent a moment ago; wait a minute")


class TooManyInvitations(ServiceError):
    """The organization has as many open invitations as it may have."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar[str] = "TOO_MANY_INVITATIONS"

    def __init__(self, open_max: int) -> None:
        super().__init__(f"the organization has {open_max} open invitations: revoke some")


class AlreadyMember(ServiceError):
    """The user belongs to the organization already."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "ALREADY_MEMBER"

    def __init__(self) -> None:
        super().__init__("you belong to the organization already")
