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
