"""Turns every failure into a google.rpc.Status with an ErrorInfo, and hides what is unexpected."""

from __future__ import annotations

import asyncio
import logging

import grpc
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from meshkit.errors import DeadlineExceeded, ServiceError, Unavailable
from meshkit.interceptors.call import Proceed, ServedCall

logger = logging.getLogger(__name__)

INTERNAL_REASON = "INTERNAL"


class ErrorMapping:
    """Maps refusals to their statuses; `domain` says whose reasons they are."""

    def __init__(self, domain: str) -> None:
        self._domain = domain

    async def __call__(self, call: ServedCall, proceed: Proceed) -> None:
        """End the call with a status if anything further in fails."""
        try:
            await proceed(call)
        except ServiceError as error:
            await self._refuse(call, error)
        except (asyncio.CancelledError, grpc.aio.AbortError):
            call.code = _spoken_code(call)
            raise
        except grpc.aio.AioRpcError as error:
            await self._pass_on(call, error)
        except Exception as error:
            # Nothing may reach the caller but what was written for callers.
            if call.context.cancelled():
                call.code = grpc.StatusCode.CANCELLED
                raise
            await self._fail(call, error)

    async def _refuse(self, call: ServedCall, error: ServiceError) -> None:
        call.code, call.reason = error.code, error.reason
        info = error_details_pb2.ErrorInfo(
            reason=error.reason, domain=self._domain, metadata=error.metadata
        )
        details: list[Message] = [info]
        if error.field_violations:
            details.append(
                error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(
                            field=field, description=description
                        )
                        for field, description in error.field_violations
                    ]
                )
            )
        await _abort(call, error.code, str(error), details)

    async def _pass_on(self, call: ServedCall, error: grpc.aio.AioRpcError) -> None:
        """Say that a service behind this one failed, without repeating its words."""
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            logger.warning("dependency unavailable", extra={"method": call.info.method})
            await self._refuse(call, Unavailable("a service that this needs is unavailable"))
        elif error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            await self._refuse(call, DeadlineExceeded("a service that this needs was too slow"))
        else:
            await self._fail(call, error)

    async def _fail(self, call: ServedCall, error: Exception) -> None:
        logger.error("call failed", exc_info=error, extra={"method": call.info.method})
        call.code, call.reason = grpc.StatusCode.INTERNAL, INTERNAL_REASON
        info = error_details_pb2.ErrorInfo(
            reason=INTERNAL_REASON,
            domain=self._domain,
            metadata={"request_id": call.info.request_id},
        )
        await _abort(call, grpc.StatusCode.INTERNAL, "internal error", [info])


async def _abort(
    call: ServedCall, code: grpc.StatusCode, message: str, details: list[Message]
) -> None:
    packed = []
    for detail in details:
        item = PackedAny()
        item.Pack(detail)
        packed.append(item)
    status = status_pb2.Status(code=code.value[0], message=message, details=packed)
    await call.context.abort_with_status(rpc_status.to_status(status))


def _spoken_code(call: ServedCall) -> grpc.StatusCode:
    """Return the code of a servicer that aborted by itself, or CANCELLED."""
    number = call.context.code()
    spoken = (code for code in grpc.StatusCode if number in (code, code.value[0]))
    code = next(spoken, grpc.StatusCode.OK)
    return grpc.StatusCode.CANCELLED if code is grpc.StatusCode.OK else code
