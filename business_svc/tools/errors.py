"""Every way a tools call may refuse, with the status a caller sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import grpc

from meshkit.errors import ServiceError


class ToolNotFound(ServiceError):
    """The catalogue has no such tool."""

    code: ClassVar = grpc.StatusCode.NOT_FOUND
    reason: ClassVar = "TOOL_NOT_FOUND"

    def __init__(self, tool: str) -> None:
        super().__init__("there is no such tool", tool=tool)


class InvalidInputs(ServiceError):
    """The inputs do not fit the tool's schema; `field_violations` lists every misfit."""

    code: ClassVar = grpc.StatusCode.INVALID_ARGUMENT
    reason: ClassVar = "INVALID_INPUTS"

    def __init__(self, violations: Sequence[tuple[str, str]], *, tool: str) -> None:
        first = ": ".join(violations[0]) if violations else ""
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        super().__init__(f"the inputs do not fit the tool: {first}{more}", tool=tool)
        self.field_violations = tuple(violations)


class RunNotFound(ServiceError):
    """The organization has no such run."""

    code: ClassVar = grpc.StatusCode.NOT_FOUND
    reason: ClassVar = "RUN_NOT_FOUND"

    def __init__(self, run_id: str) -> None:
        super().__init__("there is no such run", run_id=run_id)


class AssetNotFound(ServiceError):
    """The organization has no such asset, or it is not ready."""

    code: ClassVar = grpc.StatusCode.NOT_FOUND
    reason: ClassVar = "ASSET_NOT_FOUND"

    def __init__(self, asset_id: str) -> None:
        super().__init__("there is no such asset that is ready", asset_id=asset_id)


class NotInPlan(ServiceError):
    """The organization's plan does not have the tool."""

    code: ClassVar = grpc.StatusCode.PERMISSION_DENIED
    reason: ClassVar = "NOT_IN_PLAN"

    def __init__(self, *, plan: str, feature: str) -> None:
        super().__init__("the plan does not have this tool", plan=plan, feature=feature)


class PlanLimitExceeded(ServiceError):
    """The run asks for more than the organization's plan allows."""

    code: ClassVar = grpc.StatusCode.PERMISSION_DENIED
    reason: ClassVar = "PLAN_LIMIT_EXCEEDED"

    def __init__(self, *, plan: str, limit: str, limit_max: int) -> None:
        super().__init__(
            f"the plan allows {limit_max} {limit.replace('_', ' ')}",
            plan=plan,
            limit=limit,
            limit_max=str(limit_max),
        )


class InsufficientCredits(ServiceError):
    """The organization has fewer available credits than the run may cost."""

    code: ClassVar = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar = "INSUFFICIENT_CREDITS"

    def __init__(self, required_credits: int, available_credits: str | None = None) -> None:
        metadata = {"required_credits": str(required_credits)}
        if available_credits is not None:
            metadata["available_credits"] = available_credits
        super().__init__(
            f"the run may cost {required_credits} credits, which is more than there are", **metadata
        )
