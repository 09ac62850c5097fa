"""Two people share an organization, and a program works for it with a key."""

from __future__ import annotations

from typing import Final

from deploy.client import ReelmeshClient, Session
from deploy.tour.guide import Guide

ORDER: Final = 20
TITLE: Final = "Organizations, roles and API keys"
INVITATION: Final = r"\b(rmi_[A-Za-z0-9_-]{43})\b"


async def run(guide: Guide) -> None:
    """Invite, accept, be refused as a viewer, and use and revoke a key."""
    async with guide.user("owner") as owner, guide.user("guest") as guest:
        assert owner.session is not None
        assert guest.email is not None
        org = owner.session.org_id
        invitation = {"email": guest.email, "role": "viewer"}
        await owner.call("POST", f"/v1/orgs/{org}/invitations", invitation)
        token = await guide.mailed(guest.email, "", INVITATION)
        await guest.call("POST", "/v1/invitations:accept", {"token": token})
        guest.acting_in = org
        guide.say(f"{guest.email} accepted the mailed invitation and is a viewer of {org}")
        inputs = {"prompt": "a red circle"}
        await guide.refused(guest.run("text-to-image", inputs), "PERMISSION_DENIED")
        guide.say("a viewer looks, and may not spend the organization's credits")
        await _use_a_key(guide, owner, org)


async def _use_a_key(guide: Guide, owner: ReelmeshClient, org: str) -> None:
    keys = f"/v1/orgs/{org}/api-keys"
    asked = {"name": "tour", "scopes": ["runs.read", "runs.write"]}
    made = await owner.call("POST", keys, asked)
    program = Session("", "", made["key"], "")
    async with ReelmeshClient(guide.gateway_url, program) as worker:
        run = await guide.picture(worker, "a green square")
        guide.say(f"a program made {run['run_id']} with the key {made['key'][:12]}…")
        await owner.call("DELETE", f"{keys}/{made['api_key']['key_id']}")
        await guide.refused(worker.get_run(run["run_id"]), "API_KEY_INVALID")
        guide.say("revoked, the key opens nothing any more")
