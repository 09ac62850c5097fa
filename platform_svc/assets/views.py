"""Assets as callers see them: with the signed addresses of their previews."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.object_store import ObjectStore
from platform_svc.assets.asset import Asset, State
from platform_svc.assets.preview import CONTENT_TYPE, EXTENSION, Preview, preview_key
from platform_svc.assets.preview_store import PreviewStore

# A URL is given out for an hour and good for two: so what is shown is good for an hour at least,
# and browsers find the same picture under the same URL.
GIVEN_OUT_FOR: Final = timedelta(hours=1)
SIGNED_FOR: Final = timedelta(hours=2)
REMEMBERED_MAX: Final = 10_000
SHOWN: Final = frozenset({State.READY, State.TRASHED})


@dataclass(frozen=True, slots=True)
class SignedPreview:
    """A preview and where to get it."""

    preview: Preview
    url: str


@dataclass(frozen=True, slots=True)
class View:
    """An asset and its previews."""

    asset: Asset
    previews: Sequence[SignedPreview] = ()


class Views:
    """Looks up previews and signs their addresses."""

    def __init__(
        self, sessions: async_sessionmaker[AsyncSession], objects: ObjectStore, ambient: Ambient
    ) -> None:
        self._sessions = sessions
        self._objects = objects
        self._ambient = ambient
        self._signed: OrderedDict[str, tuple[datetime, str]] = OrderedDict()

    async def of(self, asset: Asset, *, lifetime: timedelta | None = None) -> View:
        """Give one asset with its previews, signed for so long, or for an hour at least."""
        [view] = await self.of_all([asset], lifetime=lifetime)
        return view

    async def of_all(
        self, assets: Sequence[Asset], *, lifetime: timedelta | None = None
    ) -> list[View]:
        """Give assets with their previews in one query, in the order of the assets."""
        ids = [asset.id for asset in assets if asset.state in SHOWN]
        previews: dict[uuid.UUID, list[Preview]] = {}
        if ids:
            async with self._sessions() as session:
                previews.update(await PreviewStore(session).of(ids))
        return [
            View(
                asset,
                [
                    SignedPreview(one, await self._url(asset, one, lifetime))
                    for one in previews.get(asset.id, ())
                ],
            )
            for asset in assets
        ]

    async def _url(self, asset: Asset, preview: Preview, lifetime: timedelta | None) -> str:
        key = preview_key(asset, preview.kind)
        if lifetime is not None:
            return await self._sign(key, preview, lifetime)
        now = self._ambient.now()
        until, url = self._signed.get(key, (now, ""))
        if until <= now:
            url = await self._sign(key, preview, SIGNED_FOR)
            self._signed[key] = (now + GIVEN_OUT_FOR, url)
            self._signed.move_to_end(key)
            if len(self._signed) > REMEMBERED_MAX:
                self._signed.popitem(last=False)
        return url

    async def _sign(self, key: str, preview: Preview, lifetime: timedelta) -> str:
        return await self._objects.presign_get(
            key,
            filename=f"{preview.kind}{EXTENSION}",
            content_type=CONTENT_TYPE,
            expires=lifetime,
            inline=True,
        )
