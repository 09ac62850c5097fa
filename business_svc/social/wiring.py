"""Composition root of the social service: settings in, served services out."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from business_svc.social.assets import Assets
from business_svc.social.config import SocialSettings
from business_svc.social.erasure import USER_DELETED, Erasure
from business_svc.social.feed_queries import FeedQueries
from business_svc.social.feeds_servicer import FeedsServicer
from business_svc.social.invariants import invariant_check
from business_svc.social.jobs import Counter, Deliverer, Ranker, Trimmer
from business_svc.social.moderation_commands import ModerationCommands
from business_svc.social.moderation_queries import ModerationQueries
from business_svc.social.moderation_servicer import ModerationServicer
from business_svc.social.post_commands import PostCommands
from business_svc.social.post_queries import PostQueries
from business_svc.social.posts_servicer import PostsServicer
from business_svc.social.profile_commands import ProfileCommands
from business_svc.social.profile_queries import ProfileQueries
from business_svc.social.profiles_servicer import ProfilesServicer
from business_svc.social.reaction_commands import ReactionCommands
from business_svc.social.reactions_servicer import ReactionsServicer
from business_svc.social.relation_commands import RelationCommands
from business_svc.social.relations_servicer import RelationsServicer
from business_svc.social.remix_commands import RemixCommands
from business_svc.social.runs import Runs
from business_svc.social.serving import Servicers
from business_svc.social.tables import SCHEMA
from business_svc.social.tracing import LineageTracer
from meshkit.clock import Ambient
from meshkit.inbox import EventConsumer
from meshkit.invariants import InvariantCheck
from meshkit.part import PartContext
from meshkit.postgres import Database
from meshkit.server import Service
from meshkit.stubs import MeshChannel

MIGRATIONS = Path(__file__).parent / "migrations" / "versions"
CONSUMER: Final = "social-user-deleted"


@dataclass(frozen=True, slots=True)
class Social:
    """What the service is made of."""

    servicers: Servicers
    deliverer: Deliverer
    counter: Counter
    ranker: Ranker
    trimmer: Trimmer
    erasure: Erasure
    check: InvariantCheck


def assemble(
    database: Database,
    ambient: Ambient,
    settings: SocialSettings,
    *,
    platform: MeshChannel,
    business: MeshChannel,
) -> Social:
    """Put the service together; nothing runs yet."""
    sessions = database.sessions
    assets = Assets.over(platform)
    tracer = LineageTracer(assets, Runs.over(business))
    posting = PostCommands(sessions, ambient, assets, tracer, settings.pulled_followers)
    profiles, posts = ProfileQueries(sessions), PostQueries(sessions, assets)
    servicers = Servicers(
        profiles=ProfilesServicer(ProfileCommands(sessions, ambient), profiles),
        relations=RelationsServicer(RelationCommands(sessions, ambient), profiles),
        posts=PostsServicer(posting, RemixCommands(sessions, ambient, assets), posts),
        reactions=ReactionsServicer(ReactionCommands(sessions, ambient), posts),
        feeds=FeedsServicer(FeedQueries(sessions, ambient)),
        moderation=ModerationServicer(
            ModerationCommands(sessions, ambient), ModerationQueries(sessions)
        ),
    )
    return Social(
        servicers,
        Deliverer(sessions, ambient, posting.waker),
        Counter(sessions),
        Ranker(sessions, ambient, settings.ranking_interval),
        Trimmer(sessions),
        Erasure(sessions, ambient),
        invariant_check(sessions, ambient, settings),
    )


async def open_service(stack: AsyncExitStack, part: PartContext) -> list[Service]:
    """Build the services and give their background work to the part's supervisor."""
    settings = SocialSettings.from_environment(part.environment)
    database = await part.open_database(stack, SCHEMA, MIGRATIONS)
    social = assemble(
        database,
        part.ambient,
        settings,
        platform=part.channel("platform"),
        # The tools service, wherever it runs; in one process this calls its own address.
        business=part.channel("business"),
    )
    consumer = EventConsumer(part.bus, USER_DELETED, CONSUMER, social.erasure.handle)
    part.start_outbox(database)
    part.supervisor.start("social-deliverer", social.deliverer.run)
    part.supervisor.start("social-counter", social.counter.run)
    part.supervisor.start("social-ranker", social.ranker.run)
    part.supervisor.start("social-trimmer", social.trimmer.run)
    part.supervisor.start(CONSUMER, consumer.run)
    part.supervisor.start(social.check.task, social.check.run)
    return social.servicers.services()
