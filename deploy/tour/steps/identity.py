"""A user's account: a verified address, sessions, and a stolen refresh token."""

from __future__ import annotations

from typing import Final

from deploy.client import ReelmeshClient
from deploy.tour.guide import Guide

ORDER: Final = 30
TITLE: Final = "Accounts and sessions"
CODE: Final = r"(?m)^([A-Za-z0-9_-]{32})\r?$"


async def run(guide: Guide) -> None:
    """Verify the address, list sessions, and lose them all to a reused token."""
    async with guide.user("ada") as ada:
        assert ada.email is not None
        code = await guide.mailed(ada.email, "Confirm your email address", CODE)
        await ada.call("POST", "/v1/auth/verify-email", {"code": code})
        me = await ada.call("GET", "/v1/me")
        guide.check(me["email_verified"], "the address is not verified")
        guide.say(f"{ada.email} is verified by the mailed code")
        sessions = (await ada.call("GET", "/v1/me/sessions"))["sessions"]
        guide.say(f"{len(sessions)} session, from {sessions[0]['user_agent']}")
        export = await ada.call("POST", "/v1/me/export", {})
        guide.say(f"the account is exported as {', '.join(sorted(export))}")
        await _steal(guide, ada)


async def _steal(guide: Guide, ada: ReelmeshClient) -> None:
    """Use a refresh token twice, as its owner and its thief would."""
    assert ada.session is not None
    first = {"refresh_token": ada.session.refresh_token}
    # The owner may ask once more after a lost answer, so a thief is known by an older token.
    await ada.refresh()
    await ada.refresh()
    await guide.refused(ada.call("POST", "/v1/auth/refresh", first), "REFRESH_TOKEN_REUSED")
    newest = {"refresh_token": ada.session.refresh_token}
    await guide.refused(ada.call("POST", "/v1/auth/refresh", newest), "SESSION_EXPIRED")
    guide.say("a refresh token used twice ended every session of its family")
