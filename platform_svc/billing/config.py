"""Settings of the billing service."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self

from meshkit.config import Environment
from meshkit.invariants import CHECK_SECONDS_DEFAULT, check_interval

MANUAL: Final = "manual"
STRIPE: Final = "stripe"
GRACE_DAYS_DEFAULT: Final = 7
LEAD_DAYS_DEFAULT: Final = 7
DAYS_MAX: Final = 60
LOOK_SECONDS_DEFAULT: Final = 30
SELLER_DEFAULT: Final = "Reelmesh"


@dataclass(frozen=True)
class StripeSettings:
    """The key to Stripe's API, the webhook's secrets (newest first), and where payers return to."""

    api_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    return_url: str
    # Another address of the API, for tests and proxies; empty for Stripe's own.
    api_base: str = ""
    # Of one call, before it counts as failed.
    retries_max: int = 2


@dataclass(frozen=True)
class BillingSettings:
    """Who collects the money, how long a late payment is waited for, and how often to look.

    A renewal's invoice is issued `lead` before the paid term ends; the plan counts for `grace`
    after it.
    """

    provider: str = MANUAL
    grace: timedelta = timedelta(days=GRACE_DAYS_DEFAULT)
    lead: timedelta = timedelta(days=LEAD_DAYS_DEFAULT)
    look_interval: timedelta = timedelta(seconds=LOOK_SECONDS_DEFAULT)
    check_interval: timedelta = timedelta(seconds=CHECK_SECONDS_DEFAULT)
    seller: str = SELLER_DEFAULT
    payment_details: str = ""
    stripe: StripeSettings | None = None

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_BILLING_* and, for Stripe, REELMESH_STRIPE_*."""
        provider = environment.choice(
            "REELMESH_BILLING_PROVIDER", choices=(MANUAL, STRIPE), default=MANUAL
        )
        return cls(
            provider=provider,
            grace=_days(environment, "REELMESH_BILLING_GRACE_DAYS", GRACE_DAYS_DEFAULT),
            lead=_days(environment, "REELMESH_BILLING_LEAD_DAYS", LEAD_DAYS_DEFAULT),
            look_interval=environment.seconds(
                "REELMESH_BILLING_LOOK_SECONDS",
                minimum=1,
                maximum=3600,
                default=LOOK_SECONDS_DEFAULT,
            ),
            check_interval=check_interval(environment, "REELMESH_BILLING_CHECK_SECONDS"),
            seller=environment.text("REELMESH_BILLING_SELLER", default=SELLER_DEFAULT),
            payment_details=environment.text("REELMESH_BILLING_PAYMENT_DETAILS", default=""),
            stripe=_stripe(environment) if provider == STRIPE else None,
        )


def _days(environment: Environment, name: str, default: int) -> timedelta:
    return timedelta(days=environment.integer(name, minimum=1, maximum=DAYS_MAX, default=default))


def _stripe(environment: Environment) -> StripeSettings:
    secrets = environment.secret_file("REELMESH_STRIPE_WEBHOOK_SECRETS_FILE")
    return StripeSettings(
        api_key=environment.secret_file("REELMESH_STRIPE_API_KEY_FILE"),
        webhook_secrets=tuple(line.strip() for line in secrets.splitlines() if line.strip()),
        return_url=environment.text("REELMESH_STRIPE_RETURN_URL"),
        api_base=environment.text("REELMESH_STRIPE_API_BASE", default=""),
    )
