"""Read use cases of the audit service: pages of a log, and whether it is as it was written."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.errors import InvalidPageToken
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.audit.entry import NO_HASH, Head, Link, Verdict, problem_of
from platform_svc.audit.keeping import KeptHeads
from platform_svc.audit.store import AuditStore, Filter

PAGE_SIZE_DEFAULT = 50
LOGS_DEFAULT = 20
VERIFY_BATCH = 500


@dataclass(frozen=True, slots=True)
class AuditQueries:
    """What may be asked about logs."""

    sessions: async_sessionmaker[AsyncSession]
    kept: KeptHeads

    async def page(
        self, org_id: uuid.UUID, wanted: Filter, *, page_size: int, page_token: str
    ) -> tuple[list[Link], str]:
        """Give one page, newest first, and the token of the next; a page size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            links = await AuditStore(session).page(
                org_id, wanted, before=_position(page_token), count=count + 1
            )
        token = ""
        if len(links) > count:
            token = encode_page_token(["audit", links[count - 1].position])
        return links[:count], token

    async def verify(self, org_id: uuid.UUID) -> Verdict:
        """Compute every hash of a log anew, and compare with the heads that were kept elsewhere.

        Raises:
            StoreUnavailable: where they were kept is away.
        """
        # Read first: a head that is kept meanwhile may be of an entry that the snapshot lacks.
        kept = await self.kept.of(org_id)
        async with self.sessions() as session:
            # One snapshot, so that the end and the entries are of the same moment.
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            store = AuditStore(session)
            at = Head(0, NO_HASH)
            while links := await store.links(org_id, after=at.length, count=VERIFY_BATCH):
                for link in links:
                    problem = problem_of(link, at) or _kept_problem(link, kept)
                    if problem:
                        broken_at = at.length + 1
                        return Verdict(org_id, at.length, at.hash, broken_at, problem)
                    at = Head(link.position, link.hash)
                session.expunge_all()
            head = await store.head(org_id)
        if head != at or max(kept, default=0) > at.length:
            broken_at = min(head.length, at.length) + 1
            return Verdict(org_id, at.length, at.hash, broken_at, "the end of the log is missing")
        return Verdict(org_id, at.length, at.hash)

    async def verify_some(
        self, *, page_size: int, page_token: str
    ) -> tuple[Sequence[Verdict], str]:
        """Verify one page of logs, 20 by default, and give the token of the next.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or LOGS_DEFAULT
        async with self.sessions() as session:
            found = await AuditStore(session).logs(after=_log(page_token), count=count + 1)
        verdicts = [await self.verify(org_id) for org_id in found[:count]]
        token = encode_page_token(["logs", found[count - 1].hex]) if len(found) > count else ""
        return verdicts, token


def _kept_problem(link: Link, kept: Mapping[int, bytes]) -> str:
    wanted = kept.get(link.position, link.hash)
    return "" if wanted == link.hash else "the log was written anew, with other entries"


def _position(page_token: str) -> int | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case ("audit", int(position)):
            return position
        case _:
            raise InvalidPageToken("page_token is of another list")


def _log(page_token: str) -> uuid.UUID | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case ("logs", str(org_id)):
            return uuid.UUID(hex=org_id)
        case _:
            raise InvalidPageToken("page_token is of another list")
