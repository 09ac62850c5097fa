"""Finds out of which posts a picture was made, by the runs that made it."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from business_svc.social.assets import AssetMissing, Assets
from business_svc.social.post import Lineage
from business_svc.social.runs import Runs

# Runs between a picture and the posts that it was made of; more are not looked at.
RUNS_MAX: Final = 32

# The post that an organization's asset is a copy of, or that shows it.
FindPost = Callable[[uuid.UUID, uuid.UUID], Awaitable[uuid.UUID | None]]


@dataclass(frozen=True, slots=True)
class LineageTracer:
    """Follows a picture back through runs until it meets posts.

    What a client says plays no part: copies are known by the ids under which they were handed
    out, and inputs by the runs' own records.
    """

    assets: Assets
    runs: Runs

    async def trace(
        self, organization_id: uuid.UUID, run_id: uuid.UUID | None, find_post: FindPost
    ) -> Lineage:
        """Return the tool that made a picture and the nearest posts that it was made of.

        Raises:
            Unavailable: another service is away; nothing is published on a guess.
        """
        tool = ""
        parents: dict[uuid.UUID, uuid.UUID] = {}
        pending = deque([] if run_id is None else [run_id])
        seen = set(pending)
        while pending:
            current = pending.popleft()
            origin = await self.runs.origin(organization_id, current)
            if origin is None:
                continue
            if current == run_id:
                tool = origin.tool
            for asset_id in origin.inputs:
                post_id = await find_post(organization_id, asset_id)
                if post_id is not None:
                    parents.setdefault(post_id, current)
                    continue
                earlier = await self._made_by(organization_id, asset_id)
                if earlier is not None and earlier not in seen and len(seen) < RUNS_MAX:
                    seen.add(earlier)
                    pending.append(earlier)
        return Lineage(tool, run_id, parents)

    async def _made_by(self, organization_id: uuid.UUID, asset_id: uuid.UUID) -> uuid.UUID | None:
        try:
            return (await self.assets.describe(organization_id, asset_id)).run_id
        except AssetMissing:
            return None
