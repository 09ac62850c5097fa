"""Who calls: the user of a call, or the viewer of what anybody may read."""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from google.protobuf.message import Message

from business_svc.social.keysets import Asked
from meshkit.context import UserPrincipal, current, current_user
from meshkit.errors import InvalidRequest
from meshkit.idempotency import Call

R = TypeVar("R", bound=Message)


def user_id() -> uuid.UUID:
    """Return the signed-in user who calls."""
    return current_user().user_id


def viewer_id() -> uuid.UUID | None:
    """Return who reads what anybody may read; None without a good token."""
    principal = current().principal
    return principal.user_id if isinstance(principal, UserPrincipal) else None


def user_call(method: str, request: Message, response: type[R]) -> Call[R]:
    """Return the current call as idempotency sees it; keys belong to the user."""
    return Call(str(user_id()), method, current().idempotency_key, request, response)


def asked(request: Any) -> Asked:
    """Return which page a listing's request asks for."""
    return Asked(request.page_size, request.page_token)


def plain(text: str, field: str) -> str:
    """Return a text that can be kept.

    Raises:
        InvalidRequest: it has the character U+0000, which no database text may have.
    """
    if "\0" in text:
        raise InvalidRequest(
            "a text has the character U+0000", field_violations=[(field, "must not have U+0000")]
        )
    return text
