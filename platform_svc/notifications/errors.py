"""Every way a notifications call may refuse, with the status a caller sees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import grpc

from meshkit.errors import ServiceError


class UnknownTemplate(ServiceError):
    """No mail template has this name."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "UNKNOWN_TEMPLATE"

    def __init__(self, template: str) -> None:
        super().__init__("no mail template has this name", template=template)


class WrongParameters(ServiceError):
    """The parameters are not those of the template; values are never told, they may be secret."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "WRONG_PARAMETERS"

    def __init__(
        self, *, missing: Iterable[str], unexpected: Iterable[str], unprintable: Iterable[str]
    ) -> None:
        super().__init__(
            "the parameters are not those of the template",
            missing=", ".join(sorted(missing)),
            unexpected=", ".join(sorted(unexpected)),
            unprintable=", ".join(sorted(unprintable)),
        )


class NotificationNotFound(ServiceError):
    """The caller has no such notification."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "NOTIFICATION_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("you have no such notification")


class EndpointNotFound(ServiceError):
    """The organization has no such webhook endpoint."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "ENDPOINT_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("the organization has no such webhook endpoint")


class DeliveryNotFound(ServiceError):
    """The endpoint has no such delivery."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "DELIVERY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("the endpoint has no such delivery")


class TooManyEndpoints(ServiceError):
    """The organization has as many webhook endpoints as it may have."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar[str] = "TOO_MANY_ENDPOINTS"

    def __init__(self, endpoints_max: int) -> None:
        super().__init__(f"the organization has {endpoints_max} webhook endpoints: delete some")


class TargetNotAllowed(ServiceError):
    """Webhooks must not be sent to this address."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "TARGET_NOT_ALLOWED"

    def __init__(self, problem: str) -> None:
        super().__init__(f"webhooks cannot go to this address: {problem}", problem=problem)


class EndpointDisabled(ServiceError):
    """The endpoint is disabled."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "ENDPOINT_DISABLED"

    def __init__(self) -> None:
        super().__init__("the endpoint is disabled: enable it first")
