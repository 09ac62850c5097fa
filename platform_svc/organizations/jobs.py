"""Background work of the organizations service: personal organizations by event."""

from __future__ import annotations

from dataclasses import dataclass

from reelmesh.platform.identity.v1 import identity_events_pb2 as events

from meshkit.ids import parse_id
from meshkit.inbox import Event
from platform_svc.organizations.commands import OrganizationCommands
from platform_svc.organizations.membership import PersonalOrganization

USER_SIGNED_UP = "reelmesh.platform.identity.user_signed_up"


@dataclass(frozen=True, slots=True)
class PersonalOrganizations:
    """Makes a new user's organization, if identity could not at sign-up.

    The ids in the event make this harmless to repeat, so no inbox row is needed.
    """

    commands: OrganizationCommands

    async def handle(self, event: Event) -> None:
        """Ensure the organization of the user that the event names."""
        signed_up = event.parse(events.UserSignedUp)
        await self.commands.ensure_personal(
            PersonalOrganization(
                org_id=parse_id("org", signed_up.personal_org_id, field="personal_org_id"),
                user_id=parse_id("usr", signed_up.user_id, field="user_id"),
                name=signed_up.display_name,
            )
        )
