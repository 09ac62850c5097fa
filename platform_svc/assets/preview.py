"""Small pictures of assets."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from platform_svc.assets.asset import PREVIEWS_PREFIX, Asset

CONTENT_TYPE: Final = "image/webp"
EXTENSION: Final = ".webp"


class PreviewKind(StrEnum):
    """What a preview is for; the probe knows the sizes."""

    THUMBNAIL = "thumbnail"
    POSTER = "poster"


@dataclass(frozen=True, slots=True)
class Preview:
    """One preview of an asset, in pixels and bytes."""

    asset_id: uuid.UUID
    kind: PreviewKind
    width: int
    height: int
    size_bytes: int


def preview_key(asset: Asset, kind: PreviewKind) -> str:
    """Give where a preview lies."""
    return f"{PREVIEWS_PREFIX}{asset.org_id}/{asset.id}/{kind}{EXTENSION}"


def preview_keys(asset: Asset) -> list[str]:
    """Give where all previews that an asset may have lie."""
    return [preview_key(asset, kind) for kind in PreviewKind]
