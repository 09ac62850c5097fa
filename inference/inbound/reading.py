"""Reads a foreign message as the submission of a job, or says why it can never be one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from google.protobuf import json_format, struct_pb2
from reelmesh.inference.jobs.v1 import jobs_service_pb2 as pb

from inference.connectors.brokers.protocol import Delivery
from inference.inbound.settings import InboundSource

FIELDS: Final = frozenset({"model", "task", "inputs", "count", "start_deadline", "attempts_max"})
# Twice what the inputs of a job may take.
BODY_BYTES_MAX: Final = 512 * 1024
KEY_CHARACTERS_MAX: Final = 128
INT32_MAX: Final = 2**31 - 1
# An object key would reach into the results of every tenant.
FORBIDDEN_INPUTS: Final = frozenset({"image_key"})


class Malformed(ValueError):
    """A message that no later delivery could make a job of."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def read_submission(delivery: Delivery, source: InboundSource) -> pb.SubmitJobRequest:
    """Give the submission that a delivery stands for, the same for every delivery of a message.

    Raises:
        Malformed: it is no JSON object of the known fields.
    """
    if len(delivery.body) > BODY_BYTES_MAX:
        raise Malformed("TOO_LARGE", f"the body has more than {BODY_BYTES_MAX} bytes")
    message = _object(delivery.body)
    unknown = sorted(message.keys() - FIELDS)
    if unknown:
        raise Malformed("UNKNOWN_FIELD", f"there is no field {unknown[0][:64]!r}")
    request = pb.SubmitJobRequest(
        tenant_id=source.tenant_id,
        idempotency_key=idempotency_key(source, delivery.message_id),
        model=_text(message, "model"),
        task=_text(message, "task"),
        inputs=_inputs(message.get("inputs")),
        count=_whole(message, "count", default=1),
        attempts_max=_whole(message, "attempts_max", default=0),
        band=source.band,
    )
    deadline = message.get("start_deadline")
    if deadline is not None:
        request.start_deadline.FromDatetime(_moment(deadline))
    return request


def idempotency_key(source: InboundSource, message_id: str) -> str:
    """Give the key under which a message becomes a job once."""
    key = f"inbound/{source.name}/{message_id}"
    if len(key) <= KEY_CHARACTERS_MAX and key.isprintable():
        return key
    return f"inbound/{source.name}/sha256-{hashlib.sha256(message_id.encode()).hexdigest()}"


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("NO_JSON", f"the body is no JSON: {str(error)[:200]}") from error
    if not isinstance(message, dict):
        raise Malformed("NO_JSON_OBJECT", "the body must be a JSON object")
    return message


def _text(message: Mapping[str, Any], field: str) -> str:
    value = message.get(field)
    if not isinstance(value, str) or not value:
        raise Malformed("BAD_FIELD", f"{field} must be a text")
    return _encodable(value, field)


def _encodable(value: str, field: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Malformed("BAD_FIELD", f"{field} holds half a character") from error
    return value


def _inputs(value: Any) -> struct_pb2.Struct:
    if not isinstance(value, dict):
        raise Malformed("BAD_FIELD", "inputs must be an object")
    forbidden = sorted(FORBIDDEN_INPUTS & value.keys())
    if forbidden:
        raise Malformed("FORBIDDEN_INPUT", f"inputs may not have {forbidden[0]}")
    inputs = struct_pb2.Struct()
    try:
        json_format.ParseDict(value, inputs)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise Malformed("BAD_FIELD", f"inputs: {str(error)[:200]}") from error
    return inputs


def _whole(message: Mapping[str, Any], field: str, *, default: int) -> int:
    value = message.get(field, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= INT32_MAX:
        raise Malformed("BAD_FIELD", f"{field} must be a whole number")
    return value


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise Malformed(
            "BAD_FIELD", "start_deadline must be a time like 2030-01-01T00:00:00Z"
        ) from error
    if moment.tzinfo is None:
        # Without a zone it would mean something else on each machine.
        raise Malformed("BAD_FIELD", "start_deadline must have a zone")
    return moment
