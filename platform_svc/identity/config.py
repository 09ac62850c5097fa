"""Settings of the identity service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from meshkit.config import Environment
from meshkit.sealing import Sealer, read_sealer
from meshkit.tokens import DEFAULT_ISSUER

SIGN_UP_CREDITS_DEFAULT = 500
SIGN_UP_CREDITS_MAX = 1_000_000
FREE_SIGN_UPS_DEFAULT = 200
FREE_SIGN_UPS_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """The token keys, the sign-up grant, free sign-ups an hour a network, and who operates."""

    private_key_file: Path
    jwks_file: Path
    issuer: str
    sealer: Sealer
    sign_up_credits: int
    free_sign_ups: int
    operators_file: Path | None

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read the REELMESH_ variables that the fields are named after."""
        operators = environment.text("REELMESH_OPERATORS_FILE", default="")
        return cls(
            private_key_file=environment.path("REELMESH_JWT_PRIVATE_KEY_FILE"),
            jwks_file=environment.path("REELMESH_JWKS_FILE"),
            issuer=environment.text("REELMESH_TOKEN_ISSUER", default=DEFAULT_ISSUER),
            sealer=read_sealer(environment, "REELMESH_IDENTITY_KEYS_FILE"),
            sign_up_credits=environment.integer(
                "REELMESH_SIGN_UP_CREDITS",
                minimum=0,
                maximum=SIGN_UP_CREDITS_MAX,
                default=SIGN_UP_CREDITS_DEFAULT,
            ),
            free_sign_ups=environment.integer(
                "REELMESH_FREE_SIGN_UPS",
                minimum=1,
                maximum=FREE_SIGN_UPS_MAX,
                default=FREE_SIGN_UPS_DEFAULT,
            ),
            operators_file=Path(operators) if operators else None,
        )
