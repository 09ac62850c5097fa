"""Gives each call an id that follows it through logs and other services."""

from __future__ import annotations

import re

from meshkit import context
from meshkit.clock import Ambient
from meshkit.interceptors.call import Proceed, ServedCall

REQUEST_ID_KEY = "x-request-id"
# What a caller sends is written to logs, so it must be short and plain.
ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class RequestIds:
    """Takes the caller's request id, or makes one, and makes the call the current one."""

    def __init__(self, ambient: Ambient) -> None:
        self._ambient = ambient

    async def __call__(self, call: ServedCall, proceed: Proceed) -> None:
        """Set the request id and enter the call's context."""
        given = call.text(REQUEST_ID_KEY)
        if given is not None and ACCEPTED.fullmatch(given):
            call.info.request_id = given
        else:
            call.info.request_id = str(self._ambient.new_id())
        context.enter(call.info)
        await proceed(call)
