"""Settings of the social service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from meshkit.config import Environment
from meshkit.invariants import CHECK_SECONDS_DEFAULT, check_interval

PULLED_FOLLOWERS_DEFAULT = 10_000
RANKING_SECONDS_DEFAULT = 5


@dataclass(frozen=True, slots=True)
class SocialSettings:
    """From how many followers on posts are pulled, and how often explore is ranked."""

    pulled_followers: int = PULLED_FOLLOWERS_DEFAULT
    ranking_interval: timedelta = timedelta(seconds=RANKING_SECONDS_DEFAULT)
    check_interval: timedelta = timedelta(seconds=CHECK_SECONDS_DEFAULT)

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read REELMESH_SOCIAL_PULLED_FOLLOWERS, _RANKING_SECONDS and _CHECK_SECONDS."""
        return cls(
            pulled_followers=environment.integer(
                "REELMESH_SOCIAL_PULLED_FOLLOWERS",
                minimum=1,
                maximum=10_000_000,
                default=PULLED_FOLLOWERS_DEFAULT,
            ),
            ranking_interval=environment.seconds(
                "REELMESH_SOCIAL_RANKING_SECONDS",
                minimum=1,
                maximum=3600,
                default=RANKING_SECONDS_DEFAULT,
            ),
            check_interval=check_interval(environment, "REELMESH_SOCIAL_CHECK_SECONDS"),
        )
