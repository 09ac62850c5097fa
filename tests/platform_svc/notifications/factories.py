"""Plain requests, of which a test names only what it is about."""

from __future__ import annotations

from typing import Any

from reelmesh.platform.notifications.v1 import notifications_service_pb2 as pb

CODE = "k7-secret-code-of-ada"
PARAMETERS = {"display_name": "Ada", "minutes": "30", "code": CODE}


def queue_request(**changes: Any) -> pb.QueueMailRequest:
    fields = {
        "idempotency_key": "verify-email:1",
        "template": "verify-email",
        "recipient": "ada@example.com",
        "parameters": PARAMETERS,
    }
    return pb.QueueMailRequest(**(fields | changes))
