"""Settings of the access service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from meshkit.config import Environment
from meshkit.peppers import Peppers
from meshkit.tokens import DEFAULT_ISSUER


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """What keys are hashed with, and what signs the tokens that they are traded for."""

    peppers: Peppers
    private_key_file: Path
    issuer: str

    @classmethod
    def from_environment(cls, environment: Environment) -> Self:
        """Read the REELMESH_ variables that the fields are named after."""
        return cls(
            peppers=Peppers.from_environment(environment),
            private_key_file=environment.path("REELMESH_JWT_PRIVATE_KEY_FILE"),
            issuer=environment.text("REELMESH_TOKEN_ISSUER", default=DEFAULT_ISSUER),
        )
