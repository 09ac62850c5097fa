"""Settings of the ETL service and of its loader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from meshkit.config import Environment
from meshkit.invariants import check_interval
from meshkit.object_store import S3Settings
from meshkit.postgres import database_url
from meshkit.prices import region_prices

INTERVAL_SECONDS_DEFAULT = 900
# The stream keeps events for a week.
INTERVAL_SECONDS_MAX = 24 * 3600
BATCH_DEFAULT = 5_000
BATCH_MAX = 100_000
MICROS_MAX = 1_000_000_000_000
CREDIT_PRICE_MICROS_DEFAULT = 10_000
DEVICE_HOUR_MICROS_DEFAULT = 1_500_000
ROYALTY_PERCENT_DEFAULT = 10
GRACE_SECONDS_DEFAULT = 300
GRACE_SECONDS_MAX = 24 * 3600


@dataclass(frozen=True, slots=True)
class EtlSettings:
    """How often a run is made, and how often what the newest one found is shown.

    A week passes before an event that was not loaded is lost.
    """

    interval: timedelta
    check_interval: timedelta

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_ETL_{SECONDS,CHECK_SECONDS}, and check what the loader will read."""
        settings = cls(
            environment.seconds(
                "REELMESH_ETL_SECONDS",
                minimum=10,
                maximum=INTERVAL_SECONDS_MAX,
                default=INTERVAL_SECONDS_DEFAULT,
            ),
            check_interval(environment, "REELMESH_ETL_CHECK_SECONDS"),
        )
        MartSettings.from_environment(environment)
        return settings


@dataclass(frozen=True, slots=True)
class MartSettings:
    """What the marts need to know beside the events; money is in millionths of the currency.

    A credit sells for `credit_micros`; an hour of a device of a region that costs 1 is paid with
    `device_hour_micros`; `royalty_percent` of a remix is its sources' authors'. Credits that were
    captured within `grace` may not have come as an event yet.
    """

    credit_micros: int
    device_hour_micros: int
    region_prices: Mapping[str, float]
    royalty_percent: int
    grace: timedelta

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_ETL_* and REELMESH_REGION_PRICES."""
        return cls(
            credit_micros=environment.integer(
                "REELMESH_ETL_CREDIT_MICROS",
                minimum=0,
                maximum=MICROS_MAX,
                default=CREDIT_PRICE_MICROS_DEFAULT,
            ),
            device_hour_micros=environment.integer(
                "REELMESH_ETL_DEVICE_HOUR_MICROS",
                minimum=0,
                maximum=MICROS_MAX,
                default=DEVICE_HOUR_MICROS_DEFAULT,
            ),
            region_prices=region_prices(environment),
            royalty_percent=environment.integer(
                "REELMESH_ETL_ROYALTY_PERCENT",
                minimum=0,
                maximum=100,
                default=ROYALTY_PERCENT_DEFAULT,
            ),
            grace=environment.seconds(
                "REELMESH_ETL_GRACE_SECONDS",
                minimum=0,
                maximum=GRACE_SECONDS_MAX,
                default=GRACE_SECONDS_DEFAULT,
            ),
        )


@dataclass(frozen=True, slots=True)
class LoaderSettings:
    """What one run needs; `batch` is how many events become one commit."""

    database_url: str
    nats_url: str
    s3: S3Settings
    batch: int
    marts: MartSettings

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read the settings; problems are reported by the environment."""
        return cls(
            database_url=database_url(environment),
            nats_url=environment.text("REELMESH_NATS_URL"),
            s3=S3Settings.from_environment(environment),
            batch=environment.integer(
                "REELMESH_ETL_BATCH", minimum=1, maximum=BATCH_MAX, default=BATCH_DEFAULT
            ),
            marts=MartSettings.from_environment(environment),
        )
