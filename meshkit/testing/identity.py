"""Keys of a test's own, and tokens made with them: good ones and every kind of bad one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from meshkit.clock import Ambient
from meshkit.context import UserPrincipal
from meshkit.keys import create_private_key, public_jwk, service_jwk, write_key_set
from meshkit.tokens import AccessTokenSigner, ServiceIdentity, TokenVerifier

SERVICE_NAMES = ("platform", "business", "inference", "inbound", "region:us-east")
TOKEN_LIFETIME = timedelta(minutes=5)

USER = UserPrincipal(
    user_id=UUID("01890000-0000-7000-8000-000000000001"),
    session_id=UUID("01890000-0000-7000-8000-000000000002"),
    organization_id=UUID("01890000-0000-7000-8000-000000000003"),
)


@dataclass
class TestIdentity:
    """The secrets of an installation in a folder: user-token keys and service keys.

    Files: `jwt_private.pem`, `jwks.json`, `service_jwks.json`, `services/<name>.pem`.
    """

    # Its name begins with Test, and pytest would collect it.
    __test__ = False

    folder: Path
    ambient: Ambient = field(default_factory=Ambient)

    def __post_init__(self) -> None:
        """Make the keys and write the files."""
        user_key = create_private_key(self.private_key_file)
        write_key_set(self.jwks_file, [public_jwk(user_key.public_key())])
        keys = {name: create_private_key(self.service_key_file(name)) for name in SERVICE_NAMES}
        write_key_set(
            self.service_jwks_file,
            [service_jwk(key.public_key(), name) for name, key in keys.items()],
        )
        self.signer = AccessTokenSigner(self.private_key_file, ambient=self.ambient)

    @property
    def private_key_file(self) -> Path:
        """The PEM that signs users' tokens."""
        return self.folder / "jwt_private.pem"

    @property
    def jwks_file(self) -> Path:
        """The public keys of users' tokens."""
        return self.folder / "jwks.json"

    @property
    def service_jwks_file(self) -> Path:
        """The public keys of the services."""
        return self.folder / "service_jwks.json"

    def service_key_file(self, name: str) -> Path:
        """Return the PEM of a service, such as "business" or "region:us-east"."""
        return self.folder / "services" / f"{name.replace(':', '-')}.pem"

    def verifier(self) -> TokenVerifier:
        """Return what a server of this installation verifies tokens with."""
        return TokenVerifier(self.jwks_file, self.service_jwks_file, ambient=self.ambient)

    def service(self, name: str) -> ServiceIdentity:
        """Return what a service of this installation calls others as."""
        return ServiceIdentity(name, self.service_key_file(name), ambient=self.ambient)

    def user_token(
        self, user: UserPrincipal = USER, *, lifetime: timedelta = TOKEN_LIFETIME
    ) -> str:
        """Return an access token for the user."""
        return self.signer.sign(user, lifetime=lifetime)[0]

    def service_token(self, name: str) -> str:
        """Return a service token."""
        return self.service(name).token()

    def user_metadata(self, user: UserPrincipal = USER) -> tuple[tuple[str, str], ...]:
        """Return the metadata of a call by the user."""
        return (("authorization", f"Bearer {self.user_token(user)}"),)

    def service_metadata(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return the metadata of a call by a service."""
        return (("x-reelmesh-service", self.service_token(name)),)
