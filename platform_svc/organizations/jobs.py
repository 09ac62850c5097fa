"""Background work of the organizations service: personal organizations by event, and mails."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

import grpc
from reelmesh.platform.identity.v1 import identity_events_pb2 as events
from reelmesh.platform.notifications.v1 import notifications_service_pb2 as mail_pb
from reelmesh.platform.notifications.v1.notifications_service_pb2_grpc import (
    NotificationsServiceStub,
)

from meshkit.ids import format_id, parse_id
from meshkit.inbox import Event
from meshkit.stubs import MeshChannel, remote_reason
from meshkit.timestamps import timestamp
from platform_svc.organizations.commands import OrganizationCommands
from platform_svc.organizations.invitation import token_hash, tokens_of
from platform_svc.organizations.invitation_commands import InvitationCommands
from platform_svc.organizations.invitation_store import DueMail, InvitationStore
from platform_svc.organizations.membership import PersonalOrganization

if TYPE_CHECKING:  # The stub files know this type, the generated modules do not.
    from reelmesh.platform.notifications.v1.notifications_service_pb2_grpc import (
        NotificationsServiceAsyncStub,
    )

logger = logging.getLogger(__name__)

USER_SIGNED_UP = "reelmesh.platform.identity.user_signed_up"
TEMPLATE: Final = "organization-invitation"
POLL_SECONDS: Final = 1.0
BATCH_MAX: Final = 20
CALL_SECONDS_MAX: Final = 5.0
# Longer than a call may take; a process that dies leaves its mails to others after it.
LEASE: Final = timedelta(seconds=30)
PAUSE_SECONDS_MAX: Final = 60


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


@dataclass(frozen=True, slots=True)
class InvitationMails:
    """Hands the mails of invitations to notifications, until it has taken them.

    That a mail is due is written in the transaction that makes the invitation, so none is lost;
    each mail has one idempotency key, so none is sent twice.
    """

    invitations: InvitationCommands
    notifications: NotificationsServiceAsyncStub

    @classmethod
    def over(cls, channel: MeshChannel, invitations: InvitationCommands) -> InvitationMails:
        """Make one that calls notifications through the channel."""
        stub = channel.stub(NotificationsServiceStub)
        # The generated types tell the two kinds of stub apart by the channel's type alone.
        return cls(invitations, cast("NotificationsServiceAsyncStub", stub))

    async def run(self) -> None:
        """Hand over for ever: at once after an invitation was made here, else every second."""
        asked = self.invitations.mail_asked
        while True:
            asked.clear()
            while await self.send_batch() == BATCH_MAX:
                pass
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await asked.wait()
            except TimeoutError:
                continue

    async def send_batch(self) -> int:
        """Try up to 20 mails that are due and say how many there were."""
        now = self.invitations.ambient.now()
        async with self.invitations.sessions.begin() as session:
            due = await InvitationStore(session).claim_mails(now, lease=LEASE, count=BATCH_MAX)
        await asyncio.gather(*(self._send(mail) for mail in due))
        return len(due)

    async def _send(self, mail: DueMail) -> None:
        invitation = mail.invitation
        try:
            await self.notifications.QueueMail(self._order(mail), timeout=CALL_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            pause = timedelta(seconds=min(2 ** (mail.attempts - 1), PAUSE_SECONDS_MAX))
            again_at = self.invitations.ambient.now() + pause
            async with self.invitations.sessions.begin() as session:
                await InvitationStore(session).mail_again_at(invitation, again_at)
            facts = {
                "invitation_id": str(invitation.id),
                "attempts": mail.attempts,
                "code": error.code().name,
                "reason": remote_reason(error),
            }
            logger.warning("an invitation's mail will be tried again", extra=facts)
            return
        async with self.invitations.sessions.begin() as session:
            await InvitationStore(session).mail_left(invitation)

    def _order(self, mail: DueMail) -> mail_pb.QueueMailRequest:
        invitation = mail.invitation
        tokens = tokens_of(self.invitations.peppers, invitation.id, invitation.generation)
        good_for = invitation.expires_at - invitation.mail_asked_at
        expires_at = timestamp(invitation.expires_at)
        return mail_pb.QueueMailRequest(
            idempotency_key=(
                f"{TEMPLATE}:{format_id('inv', invitation.id)}:{invitation.generation}"
            ),
            template=TEMPLATE,
            recipient=invitation.email,
            parameters={
                "inviter_name": _line(mail.inviter) or "Somebody",
                "organization_name": _line(mail.organization) or "an organization",
                "role": invitation.role.value,
                "days": str(good_for.days),
                "code": next(one for one in tokens if token_hash(one) == mail.token_hash),
            },
            expires_at=expires_at,
        )


def _line(name: str | None) -> str:
    """Return a name as one line of printable text, as it may stand in a mail."""
    line = " ".join((name or "").split())
    return "".join(character for character in line if character.isprintable())
