"""Settings of the assets service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from meshkit.config import Environment
from meshkit.multipart import PART_BYTES_MIN
from meshkit.peppers import Peppers
from platform_svc.assets.asset import VIDEO_BYTES_MAX
from platform_svc.assets.usage import Quota

MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
PART_BYTES_DEFAULT: Final = 16 << 20
QUOTA_BYTES_DEFAULT: Final = 10 << 30
QUOTA_COUNT_DEFAULT: Final = 100_000
# Of JSON numbers (RFC 8259, section 6): what every client reads exactly.
EXACT_MAX: Final = (1 << 53) - 1


@dataclass(frozen=True, slots=True)
class AssetsSettings:
    """How long things are kept, how uploads are cut, and what an organization may store."""

    upload_lifetime: timedelta
    parts_lifetime: timedelta
    part_bytes: int
    trash_lifetime: timedelta
    orphan_lifetime: timedelta
    sweep_interval: timedelta
    check_interval: timedelta
    quota: Quota
    peppers: Peppers

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_ASSETS_* and the pepper that share links are made with."""

        def seconds(name: str, minimum: int, maximum: int, default: int) -> timedelta:
            return environment.seconds(
                f"REELMESH_ASSETS_{name}_SECONDS",
                minimum=minimum,
                maximum=maximum,
                default=default,
            )

        return cls(
            upload_lifetime=seconds("UPLOAD", MINUTE, HOUR, 15 * MINUTE),
            parts_lifetime=seconds("PARTS", HOUR, 7 * DAY, DAY),
            part_bytes=environment.integer(
                "REELMESH_ASSETS_PART_BYTES",
                minimum=PART_BYTES_MIN,
                maximum=VIDEO_BYTES_MAX,
                default=PART_BYTES_DEFAULT,
            ),
            trash_lifetime=seconds("TRASH", HOUR, 365 * DAY, 30 * DAY),
            orphan_lifetime=seconds("ORPHAN", HOUR, 365 * DAY, 7 * DAY),
            sweep_interval=seconds("SWEEP", 1, HOUR, MINUTE),
            check_interval=seconds("CHECK", MINUTE, 7 * DAY, 6 * HOUR),
            quota=Quota(
                bytes_max=environment.integer(
                    "REELMESH_ASSETS_QUOTA_BYTES",
                    minimum=0,
                    maximum=EXACT_MAX,
                    default=QUOTA_BYTES_DEFAULT,
                ),
                assets_max=environment.integer(
                    "REELMESH_ASSETS_QUOTA_COUNT",
                    minimum=0,
                    maximum=(1 << 31) - 1,
                    default=QUOTA_COUNT_DEFAULT,
                ),
            ),
            peppers=Peppers.from_environment(environment),
        )
