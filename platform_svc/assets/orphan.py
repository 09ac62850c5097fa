"""Objects without a row and rows without an object."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

# So few may always be removed; beyond, not more than this share of all.
FEW: Final = 10
SHARE_MAX: Final = 0.1


class OrphanKind(StrEnum):
    """What there is, without its counterpart."""

    OBJECT = "object"
    ASSET = "asset"
    PREVIEW = "preview"


@dataclass(frozen=True, slots=True)
class Finding:
    """One key whose object or row is missing."""

    key: str
    kind: OrphanKind
    asset_id: uuid.UUID | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Orphan:
    """A finding, and since when it was seen."""

    finding: Finding
    found_at: datetime
    seen_at: datetime


def is_suspicious(orphans: int, total: int) -> bool:
    """Whether so many orphans speak of a restored backup or a wrong bucket, not of leftovers."""
    return orphans > max(FEW, total * SHARE_MAX)
