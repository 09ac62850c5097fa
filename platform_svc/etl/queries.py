"""Read use cases of the ETL service."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.errors import InvalidPageToken
from meshkit.ids import format_id
from meshkit.pages import decode_page_token, encode_page_token
from platform_svc.etl.errors import EtlRunNotFound, MartNotMade
from platform_svc.etl.run import Publication, Run
from platform_svc.etl.store import EtlStore, Position

PAGE_SIZE_DEFAULT = 50


@dataclass(frozen=True, slots=True)
class RunPage:
    """Some runs, newest first; `next_page_token` is empty on the last page."""

    runs: list[Run]
    next_page_token: str


@dataclass(frozen=True, slots=True)
class EtlQueries:
    """What may be asked about runs and what they made."""

    sessions: async_sessionmaker[AsyncSession]

    async def run(self, run_id: uuid.UUID) -> Run:
        """Give a run.

        Raises:
            EtlRunNotFound: there is none.
        """
        async with self.sessions() as session:
            run = await EtlStore(session).find(run_id)
        if run is None:
            raise EtlRunNotFound(format_id("etl", run_id))
        return run

    async def newest_finished(self) -> Run | None:
        """Give the run that ended last."""
        async with self.sessions() as session:
            return await EtlStore(session).newest_finished()

    async def runs(self, *, page_size: int, page_token: str) -> RunPage:
        """Give one page of runs; a page size of 0 means 50.

        Raises:
            InvalidPageToken: the token is not of this list.
        """
        count = page_size or PAGE_SIZE_DEFAULT
        async with self.sessions() as session:
            found = await EtlStore(session).page(after=_position(page_token), count=count + 1)
        page = found[:count]
        token = ""
        if len(found) > count:
            token = encode_page_token(["etl-runs", page[-1].asked_at.isoformat(), str(page[-1].id)])
        return RunPage(page, token)

    async def publication(self, name: str) -> Publication:
        """Give what the newest run made under the name.

        Raises:
            MartNotMade: no run has made it.
        """
        async with self.sessions() as session:
            found = await EtlStore(session).publication(name)
        if found is None:
            raise MartNotMade(name)
        return found


def _position(page_token: str) -> Position | None:
    if not page_token:
        return None
    match decode_page_token(page_token):
        case ("etl-runs", str(asked_at), str(id_)):
            return Position(datetime.fromisoformat(asked_at), uuid.UUID(id_))
        case _:
            raise InvalidPageToken("page_token is of another list")
