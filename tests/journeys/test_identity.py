"""A user's account from the first mail to the last, over the REST API of the running platform."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pyotp
import pytest

from deploy.account import new_credentials
from deploy.client import ApiError, ReelmeshClient, Session
from tests.journeys.mails import mail, mailed_code, mails
from tests.journeys.mesh import Mesh

VERIFY = "Confirm your email address"
RESET = "Reset your password"
NEW_PASSWORD = "quite another phrase 42"
PERIOD_SECONDS = 30


@dataclass
class User:
    """Somebody with an account, a client that is signed in to it, and what they type."""

    client: ReelmeshClient
    email: str
    password: str


@pytest.fixture
async def ada(mesh: Mesh) -> AsyncIterator[User]:
    email, password = new_credentials("ada")
    async with ReelmeshClient(mesh.gateway_url) as client:
        await client.sign_up(email, password, "Ada")
        yield User(client, email, password)


async def refused(client: ReelmeshClient, method: str, path: str, body: Any = None) -> str:
    with pytest.raises(ApiError) as refusal:
        await client.call(method, path, body)
    return refusal.value.reason


def refresh_body(session: Session | None) -> dict[str, str]:
    assert session is not None
    return {"refresh_token": session.refresh_token}


async def test_an_address_is_verified_by_the_mailed_code(mesh: Mesh, ada: User) -> None:
    assert (await ada.client.call("GET", "/v1/me"))["email_verified"] is False
    code = await mailed_code(mesh, ada.email, VERIFY)
    await ada.client.call("POST", "/v1/auth/verify-email", {"code": code})

    assert (await ada.client.call("GET", "/v1/me"))["email_verified"] is True
    again = await refused(ada.client, "POST", "/v1/auth/verify-email", {"code": code})
    assert again == "INVALID_CODE"
    renamed = await ada.client.call("PATCH", "/v1/me", {"display_name": "Ada Lovelace"})
    assert renamed["display_name"] == "Ada Lovelace"


async def test_a_forgotten_password_is_reset_by_mail(mesh: Mesh, ada: User) -> None:
    path = "/v1/auth/request-password-reset"
    known = await ada.client.call("POST", path, {"email": ada.email})
    stranger = new_credentials("nobody")[0]
    assert await ada.client.call("POST", path, {"email": stranger}) == known
    code = await mailed_code(mesh, ada.email, RESET)
    body = {"code": code, "new_password": NEW_PASSWORD}
    before = refresh_body(ada.client.session)
    await ada.client.call("POST", "/v1/auth/reset-password", body)

    assert await refused(ada.client, "POST", "/v1/auth/refresh", before) == "SESSION_EXPIRED"
    old = {"email": ada.email, "password": ada.password}
    assert await refused(ada.client, "POST", "/v1/auth/sign-in", old) == "WRONG_CREDENTIALS"
    await ada.client.sign_in(ada.email, NEW_PASSWORD)
    await mail(mesh, ada.email, "Your password was changed")
    assert mails(mesh, stranger, RESET) == []


async def test_sessions_are_seen_and_revoked(mesh: Mesh, ada: User) -> None:
    async with ReelmeshClient(mesh.gateway_url) as phone:
        await phone.sign_in(ada.email, ada.password)
        listed = (await ada.client.call("GET", "/v1/me/sessions"))["sessions"]
        assert [one["is_current"] for one in listed] == [False, True]
        assert all(one["user_agent"] and one["network"] for one in listed)
        other = listed[0]["session_id"]
        await ada.client.call("DELETE", f"/v1/me/sessions/{other}")

        body = refresh_body(phone.session)
        assert await refused(phone, "POST", "/v1/auth/refresh", body) == "SESSION_EXPIRED"
        listed = (await ada.client.call("GET", "/v1/me/sessions"))["sessions"]
        assert [one["is_current"] for one in listed] == [True]
        async with mesh.user("eve") as eve:
            path = f"/v1/me/sessions/{listed[0]['session_id']}"
            assert await refused(eve, "DELETE", path) == "SESSION_NOT_FOUND"
        await ada.client.refresh()


async def test_a_reused_refresh_token_ends_its_whole_family(ada: User) -> None:
    first = refresh_body(ada.client.session)
    await ada.client.refresh()
    await ada.client.refresh()
    newest = refresh_body(ada.client.session)

    assert await refused(ada.client, "POST", "/v1/auth/refresh", first) == "REFRESH_TOKEN_REUSED"
    assert await refused(ada.client, "POST", "/v1/auth/refresh", newest) == "SESSION_EXPIRED"
    await ada.client.sign_in(ada.email, ada.password)


async def test_a_new_password_ends_the_other_sessions(mesh: Mesh, ada: User) -> None:
    async with ReelmeshClient(mesh.gateway_url) as phone:
        await phone.sign_in(ada.email, ada.password)
        body = {"current_password": ada.password, "new_password": NEW_PASSWORD}
        await ada.client.call("POST", "/v1/me/password", body)

        over = await refused(phone, "POST", "/v1/auth/refresh", refresh_body(phone.session))
        assert over == "SESSION_EXPIRED"
        await ada.client.refresh()
        await phone.sign_in(ada.email, NEW_PASSWORD)


async def test_signing_in_by_two_steps(mesh: Mesh, ada: User) -> None:
    enrolment = await ada.client.call("POST", "/v1/me/totp", {})
    totp = pyotp.TOTP(enrolment["secret"])
    await ada.client.call("POST", "/v1/me/totp:confirm", {"code": totp.now()})
    await mail(mesh, ada.email, "Two-step sign-in is on")
    credentials = {"email": ada.email, "password": ada.password}
    begun = await ada.client.call("POST", "/v1/auth/sign-in", credentials)
    assert begun.get("session") is None
    step = {"challenge": begun["challenge"]["challenge"], "code": "no code"}
    path = "/v1/auth/complete-sign-in"
    assert await refused(ada.client, "POST", path, step) == "WRONG_SECOND_STEP"
    # The code of this period is used up; an authenticator's clock may be one period ahead.
    step["code"] = totp.at(time.time() + PERIOD_SECONDS)  # noqa: TID251 - an authenticator's clock
    done = await ada.client.call("POST", path, step)
    assert done["user"]["two_step_enabled"] is True

    begun = await ada.client.call("POST", "/v1/auth/sign-in", credentials)
    code = enrolment["recovery_codes"][0]
    step = {"challenge": begun["challenge"]["challenge"], "code": code}
    ada.client.session = Session.from_document(await ada.client.call("POST", path, step))
    await ada.client.call("DELETE", "/v1/me/totp")
    await ada.client.sign_in(ada.email, ada.password)


async def test_an_account_is_exported_and_deleted(mesh: Mesh, ada: User) -> None:
    export = await ada.client.call("POST", "/v1/me/export", {})
    assert (export["user"]["email"], export["user"]["display_name"]) == (ada.email, "Ada")
    assert len(export["sessions"]) == 1
    body = refresh_body(ada.client.session)
    await ada.client.call("DELETE", "/v1/me")

    assert await refused(ada.client, "GET", "/v1/me") == "USER_NOT_FOUND"
    assert await refused(ada.client, "POST", "/v1/auth/refresh", body) == "INVALID_REFRESH_TOKEN"
    old = {"email": ada.email, "password": ada.password}
    assert await refused(ada.client, "POST", "/v1/auth/sign-in", old) == "WRONG_CREDENTIALS"
    await mail(mesh, ada.email, "Your account was deleted")
    await ada.client.sign_up(ada.email, ada.password, "Ada again")
