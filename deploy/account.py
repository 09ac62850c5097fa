"""The users that the commands act as: made at the first use, kept in the data folder."""

from __future__ import annotations

import asyncio
import functools
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from deploy.client import ApiError, ReelmeshClient, Session
from deploy.local.layout import Layout
from deploy.local.secret_files import SecretFiles, write_private

FILE: Final = "cli_session.json"
OPERATOR_FILE: Final = "operator_session.json"
# The platform looks at the file of operators once a second.
OPERATOR_SECONDS_MAX: Final = 10.0
OPERATOR_PAUSE_SECONDS: Final = 0.5
FORBIDDEN: Final = 403
PASSWORD_BYTES: Final = 18
UNAUTHENTICATED: Final = 401


@dataclass(frozen=True)
class Account:
    """A user's credentials and last session."""

    email: str
    password: str
    session: Session


async def sign_in_as_cli(client: ReelmeshClient, layout: Layout) -> Session:
    """Become the commands' own user, which is made if there is none.

    The stored session is used while it holds, then its refresh token, then the password; a data
    folder that was emptied gets a new user.
    """
    return await _sign_in(client, layout.data / FILE, "cli", "Command line")


async def sign_in_as_operator(client: ReelmeshClient, layout: Layout) -> Session:
    """Become the commands' operator, who is another user, so that `generate` runs as a plain one.

    Whoever may write the data folder may name operators there.
    """
    path = layout.data / OPERATOR_FILE
    session = await _sign_in(client, path, "operator", "Operator")
    named = SecretFiles(layout.secrets).operators
    text = named.read_text() if named.exists() else ""
    if session.user_id not in text.split():
        write_private(named, f"{text}{session.user_id}\n")
    stored = _read(path)
    assert stored is not None
    async with asyncio.timeout(OPERATOR_SECONDS_MAX):
        while not await _is_operator(client):
            await asyncio.sleep(OPERATOR_PAUSE_SECONDS)  # The pause between attempts.
            await client.refresh()
    return _keep(path, client, stored.email, stored.password)


async def _is_operator(client: ReelmeshClient) -> bool:
    """Tell whether the client's token is an operator's."""
    try:
        await client.call("GET", "/v1/ops/regions")
    except ApiError as error:
        if error.status != FORBIDDEN:
            raise
        return False
    return True


async def _sign_in(client: ReelmeshClient, path: Path, prefix: str, name: str) -> Session:
    stored = _read(path)
    if stored is not None and await _resume(client, stored):
        return _keep(path, client, stored.email, stored.password)
    client.session = None
    email, password = new_credentials(prefix)
    await client.sign_up(email, password, name)
    return _keep(path, client, email, password)


def new_credentials(prefix: str) -> tuple[str, str]:
    """Give an email address that nobody has yet and a password."""
    return f"{prefix}-{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(PASSWORD_BYTES)


async def _resume(client: ReelmeshClient, stored: Account) -> bool:
    """Tell whether the stored user could be become again."""
    client.session = stored.session
    ways = (
        client.balance,
        client.refresh,
        functools.partial(client.sign_in, stored.email, stored.password),
    )
    for way in ways:
        try:
            await way()
        except ApiError as error:
            if error.status != UNAUTHENTICATED:
                raise
        else:
            return True
    return False


def _keep(path: Path, client: ReelmeshClient, email: str, password: str) -> Session:
    session = client.session
    assert session is not None
    write_private(path, json.dumps(asdict(Account(email, password, session)), indent=2) + "\n")
    return session


def _read(path: Path) -> Account | None:
    try:
        document = json.loads(path.read_text())
        session = Session(**document.pop("session"))
        return Account(session=session, **document)
    except (OSError, ValueError, KeyError, TypeError):
        return None
