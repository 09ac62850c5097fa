"""Finds out who calls, from the user's access token or the calling service's token."""

from __future__ import annotations

from reelmesh.common.v1.authorization_pb2 import CALLER_ANYONE, CALLER_SERVICE

from meshkit.context import Anonymous, Principal
from meshkit.errors import TokenMissing, Unauthenticated
from meshkit.interceptors.call import Proceed, ServedCall
from meshkit.tokens import TokenVerifier

USER_KEY = "authorization"
SERVICE_KEY = "x-reelmesh-service"
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
            return self._verifier.verify_user(bearer[len(BEARER) :].strip())
        return Anonymous()
