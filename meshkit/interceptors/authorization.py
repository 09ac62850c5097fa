"""Lets a call through only if the method's authorization option names its caller."""

from __future__ import annotations

from uuid import UUID

from reelmesh.common.v1.authorization_pb2 import (
    CALLER_ANYONE,
    CALLER_OPERATOR,
    CALLER_SERVICE,
    CALLER_USER,
)

from meshkit.authorization import Authorizer, Decision
from meshkit.context import ServicePrincipal, UserPrincipal
from meshkit.errors import (
    CallerNotAllowed,
    NotAMember,
    PermissionDenied,
    ScopeMissing,
    TokenMissing,
)
from meshkit.ids import parse_id
from meshkit.interceptors.call import Proceed, ServedCall


class Authorization:
    """Asks the authorizer about users, and the option itself about everybody else."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def __call__(self, call: ServedCall, proceed: Proceed) -> None:
        """Refuse callers that the method is not for.

        Raises:
            PermissionDenied: the caller may not do this.
            TokenMissing: nobody is signed in.
        """
        if not call.policy.allows(CALLER_ANYONE):
            match call.info.principal:
                case UserPrincipal() as user:
                    await self._admit_user(call, user)
                case ServicePrincipal() as service:
                    _admit_service(call, service)
                case _:
                    raise TokenMissing("this needs a token")
        await proceed(call)

    async def _admit_user(self, call: ServedCall, user: UserPrincipal) -> None:
        policy = call.policy
        if policy.allows(CALLER_OPERATOR) and user.is_operator:
            return
        if not policy.allows(CALLER_USER):
            raise CallerNotAllowed("this is not for users", method=policy.name)
        _check_key(call, user)
        if not policy.permission and not policy.organization_field:
            return
        organization_id = _organization(call, user)
        if user.api_key is not None and organization_id != user.organization_id:
            raise NotAMember("the API key is for another organization")
        match await self._authorizer.decide(user, policy.permission, organization_id):
            case Decision.NOT_A_MEMBER:
                raise NotAMember("you do not belong to this organization")
            case Decision.NOT_PERMITTED:
                raise PermissionDenied("you may not do this", permission=policy.permission)


def _check_key(call: ServedCall, user: UserPrincipal) -> None:
    """Hold an API key to its scopes; what declares no permission is for people only."""
    if user.api_key is None:
        return
    permission = call.policy.permission
    if not permission:
        raise CallerNotAllowed("this is not for API keys", method=call.policy.name)
    if permission not in user.api_key.scopes:
        raise ScopeMissing("the API key lacks the scope for this", permission=permission)


def _organization(call: ServedCall, user: UserPrincipal) -> UUID:
    field = call.policy.organization_field
    if not field:
        return user.organization_id
    return parse_id("org", getattr(call.request, field), field=field)


def _admit_service(call: ServedCall, service: ServicePrincipal) -> None:
    policy = call.policy
    if not policy.allows(CALLER_SERVICE) or service.service not in policy.services:
        raise CallerNotAllowed(
            "this is not for this service", method=policy.name, service=service.service
        )
