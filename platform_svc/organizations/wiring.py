"""Composition root of the organizations service."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from reelmesh.platform.organizations.v1.invitations_service_pb2_grpc import (
    add_InvitationsServiceServicer_to_server,
)
from reelmesh.platform.organizations.v1.members_service_pb2_grpc import (
    add_MembersServiceServicer_to_server,
)
from reelmesh.platform.organizations.v1.organizations_service_pb2_grpc import (
    add_OrganizationsServiceServicer_to_server,
)

from meshkit.inbox import EventConsumer
from meshkit.part import PartContext
from meshkit.peppers import Peppers
from meshkit.postgres import Database
from meshkit.server import Service
from platform_svc.organizations.commands import OrganizationCommands
from platform_svc.organizations.invitation_commands import InvitationCommands
from platform_svc.organizations.invitations_servicer import InvitationsServicer
from platform_svc.organizations.jobs import (
    USER_SIGNED_UP,
    InvitationMails,
    PersonalOrganizations,
)
from platform_svc.organizations.member_commands import MemberCommands
from platform_svc.organizations.member_queries import MemberQueries
from platform_svc.organizations.members_servicer import MembersServicer
from platform_svc.organizations.queries import OrganizationQueries
from platform_svc.organizations.servicer import OrganizationsServicer
from platform_svc.organizations.tables import SCHEMA

PACKAGE: Final = "reelmesh.platform.organizations.v1"
MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


async def open_service(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    """Build the services and their background work."""
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    commands = OrganizationCommands(database.sessions, part.ambient)
    consumer = EventConsumer(
        part.bus,
        USER_SIGNED_UP,
        "organizations-user-signed-up",
        PersonalOrganizations(commands).handle,
    )
    invitations = InvitationCommands(
        database.sessions,
        part.ambient,
        Peppers.from_environment(part.environment),
        asyncio.Event(),
    )
    mails = InvitationMails.over(part.channel("platform"), invitations)
    part.start_outbox(database)
    part.supervisor.start("organizations-invitation-mails", mails.run)
    part.supervisor.start("organizations-user-signed-up", consumer.run)
    return services(database, commands, invitations)


def services(
    database: Database, commands: OrganizationCommands, invitations: InvitationCommands
) -> list[Service]:
    """Return what the folder serves: organizations, their members, their invitations."""
    queries = MemberQueries(database.sessions)
    organizations = OrganizationsServicer(commands, OrganizationQueries(database.sessions))
    members = MembersServicer(MemberCommands(database.sessions, commands.ambient), queries)
    inviting = InvitationsServicer(invitations, queries, commands.ambient)
    return [
        Service(
            f"{PACKAGE}.OrganizationsService",
            lambda server: add_OrganizationsServiceServicer_to_server(organizations, server),
        ),
        Service(
            f"{PACKAGE}.MembersService",
            lambda server: add_MembersServiceServicer_to_server(members, server),
        ),
        Service(
            f"{PACKAGE}.InvitationsService",
            lambda server: add_InvitationsServiceServicer_to_server(inviting, server),
        ),
    ]
