"""Every way a billing call may refuse, with the status a caller sees."""

from __future__ import annotations

from typing import ClassVar

import grpc

from meshkit.errors import ServiceError, Unauthenticated, Unavailable


class PlanNotFound(ServiceError):
    """No plan on offer has this name, or not for this interval."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "PLAN_NOT_FOUND"

    def __init__(self, plan: str) -> None:
        super().__init__("there is no such plan", plan=plan)


class PaymentOverdue(ServiceError):
    """A renewal is unpaid, so a larger plan cannot be bought."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "PAYMENT_OVERDUE"


class NextTermPaid(ServiceError):
    """The next term was paid ahead, so that the plan cannot change before it has begun."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "NEXT_TERM_PAID"


class PaymentRefused(ServiceError):
    """The payment provider refused the charge."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "PAYMENT_REFUSED"

    def __init__(self, provider_code: str) -> None:
        super().__init__("the payment was refused", provider_code=provider_code)


class PaymentProviderUnavailable(Unavailable):
    """The payment provider does not answer; what was asked for may have happened."""

    reason: ClassVar[str] = "PAYMENT_PROVIDER_UNAVAILABLE"


class InvoiceNotFound(ServiceError):
    """The organization has no such invoice."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.NOT_FOUND
    reason: ClassVar[str] = "INVOICE_NOT_FOUND"


class InvoiceNotOpen(ServiceError):
    """The invoice is void, or a provider collects it."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "INVOICE_NOT_OPEN"

    def __init__(self, state: str) -> None:
        super().__init__("the invoice cannot be marked as paid", state=state)


class SignatureInvalid(Unauthenticated):
    """An event carries no good signature, or an old one."""

    reason: ClassVar[str] = "SIGNATURE_INVALID"


class ProviderNotConfigured(ServiceError):
    """This installation does not use the provider."""

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.FAILED_PRECONDITION
    reason: ClassVar[str] = "PROVIDER_NOT_CONFIGURED"

    def __init__(self, provider: str) -> None:
        super().__init__("this installation does not use the provider", provider=provider)
