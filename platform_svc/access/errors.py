"""Every way an access call may refuse, with the status a caller sees."""

from __future__ import annotations

from typing import ClassVar

import grpc

from meshkit.errors import ServiceError


class ApiKeyNotFound(ServiceError):
    """The organization has no such API key."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "API_KEY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("the organization has no such API key")


class InvalidScope(ServiceError):
    """No key may have the scope."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar[str] = "INVALID_SCOPE"

    def __init__(self, scope: str) -> None:
        super().__init__("no API key may have this scope", scope=scope)


class ScopeNotOwn(ServiceError):
    """The caller's own role does not have the scope, or there is no such scope."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.PERMISSION_DENIED
    reason: ClassVar[str] = "SCOPE_NOT_OWN"

    def __init__(self, scope: str) -> None:
        super().__init__("your own role does not have this scope", scope=scope)


class TooManyApiKeys(ServiceError):
    """The organization has as many working keys as it may have."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason: ClassVar[str] = "TOO_MANY_API_KEYS"

    def __init__(self, keys_max: int) -> None:
        super().__init__(f"the organization has {keys_max} working API keys: revoke some")


class NotOwnApiKey(ServiceError):
    """The key was made by somebody else, whose keys only an admin revokes."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.PERMISSION_DENIED
    reason: ClassVar[str] = "NOT_OWN_API_KEY"

    def __init__(self) -> None:
        super().__init__("you may revoke your own API keys only")
