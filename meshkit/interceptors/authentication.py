"""Finds out who calls, from the user's access token or the calling service's token."""

from __future__ import annotations

from dataclasses import replace

from reelmesh.common.v1.authorization_pb2 import CALLER_ANYONE, CALLER_SERVICE

from meshkit.context import Anonymous, Principal, UserPrincipal
from meshkit.errors import NotAMember, TokenMissing, Unauthenticated
from meshkit.ids import parse_id
from meshkit.interceptors.call import Proceed, ServedCall
from meshkit.tokens import TokenVerifier

USER_KEY = "authorization"
SERVICE_KEY = "x-reelmesh-service"
# The organization that a user acts in, if it is not the token's own.
ORGANIZATION_KEY = "x-reelmesh-org"
BEARER = "bearer "


class Authentication:
    """Sets the principal of each call.

    A method that anybody may call takes a bad token for none: signing in must work for a
    client that still sends its old token.
    """

    def __init__(self, verifier: TokenVerifier) -> None:
        self._verifier = verifier

    async def __call__(self, call: ServedCall, proceed: Proceed) -> None:
        """Verify the token that fits the method.

        Raises:
            Unauthenticated: the method needs a token and there is no good one.
        """
        is_open = call.policy.allows(CALLER_ANYONE)
        try:
            call.info.principal = self._principal(call)
        except Unauthenticated:
            if not is_open:
                raise
        if isinstance(call.info.principal, Anonymous) and not is_open:
            raise TokenMissing("this needs a token")
        await proceed(call)

    def _principal(self, call: ServedCall) -> Principal:
        service_token = call.text(SERVICE_KEY)
        bearer = call.text(USER_KEY)
        if service_token is not None and (bearer is None or call.policy.allows(CALLER_SERVICE)):
            return self._verifier.verify_service(service_token)
        if bearer is not None and bearer[: len(BEARER)].lower() == BEARER:
            user = self._verifier.verify_user(bearer[len(BEARER) :].strip())
            # Where no permission is asked for, nobody would judge the organization.
            wanted = call.text(ORGANIZATION_KEY) if call.policy.permission else None
            return _acting(user, wanted)
        return Anonymous()


def _acting(user: UserPrincipal, organization: str | None) -> UserPrincipal:
    """Return the user in the organization that the call names; authorization judges it later.

    Raises:
        InvalidId: the call names no organization.
        NotAMember: the user is an API key, which is bound to one organization.
    """
    if not organization:
        return user
    organization_id = parse_id("org", organization, field=ORGANIZATION_KEY)
    if user.api_key is not None and organization_id != user.organization_id:
        raise NotAMember("the API key is for another organization")
    return replace(user, organization_id=organization_id)
