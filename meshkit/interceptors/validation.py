"""Checks requests against the protovalidate rules of their protos, and the idempotency key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import protovalidate
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from meshkit.errors import InvalidRequest
from meshkit.interceptors.call import Proceed, ServedCall

IDEMPOTENCY_KEY = "idempotency-key"
IDEMPOTENCY_KEY_CHARACTERS_MAX = 128  # As much as `meshkit.idempotency` stores.
# A request of a million bad items needs no million descriptions.
VIOLATIONS_MAX = 20


class Validation:
    """Refuses requests that break a declared rule, naming each field."""

    def __init__(self) -> None:
        self._validator = protovalidate.Validator()

    async def __call__(self, call: ServedCall, proceed: Proceed) -> None:
        """Check the request, or each message of the stream as it is read.

        Raises:
            InvalidRequest: a rule is broken; it carries the field violations.
        """
        call.info.idempotency_key = _idempotency_key(call)
        if call.request is not None:
            self._check(call.request)
        if call.requests is not None:
            call.requests = self._checked(call.requests)
        await proceed(call)

    async def _checked(self, requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        async for request in requests:
            self._check(request)
            yield request

    def _check(self, request: Message) -> None:
        _refuse_nul(request)
        violations = self._validator.collect_violations(request)
        if not violations:
            return
        described = [
            (_path(violation.proto.field), violation.proto.message)
            for violation in violations[:VIOLATIONS_MAX]
        ]
        field, description = described[0]
        raise InvalidRequest(
            f"{field}: {description}" if field else description, field_violations=described
        )


def _refuse_nul(request: Message) -> None:
    """Refuse NUL characters in text, which PostgreSQL cannot store."""
    # Nearly every request is free of zero bytes altogether, so that one scan settles it.
    if b"\x00" not in request.SerializeToString():
        return
    field = _field_with_nul(request, "")
    if field is not None:
        description = "must not contain NUL characters"
        raise InvalidRequest(f"{field} {description}", field_violations=[(field, description)])


def _field_with_nul(message: Message, path: str) -> str | None:
    for descriptor, value in message.ListFields():
        name = f"{path}.{descriptor.name}" if path else descriptor.name
        found = _text_with_nul(value, name)
        if found is not None:
            return found
    return None


def _text_with_nul(value: Any, name: str) -> str | None:
    if isinstance(value, str):
        return name if "\x00" in value else None
    if isinstance(value, Struct):
        return None  # A document is checked, and named more helpfully, by its own schema.
    if isinstance(value, Message):
        return _field_with_nul(value, name)
    if isinstance(value, Mapping):
        items = [(f'{name}["{key}"]', part) for key, part in value.items()]
        if any("\x00" in str(key) for key in value):
            return name
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        items = [(f"{name}[{number}]", part) for number, part in enumerate(value)]
    else:
        return None
    return next((found for n, part in items if (found := _text_with_nul(part, n))), None)


def _idempotency_key(call: ServedCall) -> str | None:
    key = call.text(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if not 1 <= len(key) <= IDEMPOTENCY_KEY_CHARACTERS_MAX:
        description = f"must have 1 to {IDEMPOTENCY_KEY_CHARACTERS_MAX} characters"
        raise InvalidRequest(
            f"{IDEMPOTENCY_KEY} {description}", field_violations=[(IDEMPOTENCY_KEY, description)]
        )
    return key


def _path(field: Any) -> str:
    """Return a field path as text, such as `leases[2].job_id` or `headers["a"]`."""
    path = ""
    for element in field.elements if field is not None else ():
        path += f".{element.field_name}" if path else element.field_name
        subscript = element.subscript
        if subscript is None:
            continue
        quoted = isinstance(subscript.value, str)
        path += f'["{subscript.value}"]' if quoted else f"[{subscript.value}]"
    return path
