"""What an organization stores and may store."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Final

from platform_svc.assets.asset import State
from platform_svc.assets.errors import StorageQuotaExceeded

# What an asset in a state takes up, by the name of the counter; in other states it takes nothing.
COUNTERS: Final = {
    State.PENDING: "reserved_bytes",
    State.READY: "ready_bytes",
    State.TRASHED: "trashed_bytes",
}


@dataclass(frozen=True, slots=True)
class Quota:
    """What an organization may store at most."""

    bytes_max: int
    assets_max: int


@dataclass(frozen=True, slots=True)
class OwnQuota:
    """The bounds that an operator gave one organization; None means that of everybody."""

    bytes_max: int | None = None
    assets_max: int | None = None

    def over(self, default: Quota) -> Quota:
        """Give the bounds that count."""
        return Quota(
            default.bytes_max if self.bytes_max is None else self.bytes_max,
            default.assets_max if self.assets_max is None else self.assets_max,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """What an organization stores; the counters change with the rows, in one transaction."""

    org_id: uuid.UUID
    reserved_bytes: int = 0
    ready_bytes: int = 0
    trashed_bytes: int = 0
    assets_count: int = 0
    own_quota: OwnQuota = OwnQuota()

    @property
    def used_bytes(self) -> int:
        """All that counts."""
        return self.reserved_bytes + self.ready_bytes + self.trashed_bytes

    def moved(
        self, before: State | None, after: State, size_bytes: int, *, count: int = 1
    ) -> Usage:
        """Give the usage once assets, with so many bytes in all, have changed their state."""
        usage = self
        for state, sign in ((before, -1), (after, 1)):
            counter = COUNTERS.get(state) if state is not None else None
            if counter is not None:
                changed = getattr(usage, counter) + sign * size_bytes
                assets = usage.assets_count + sign * count
                usage = replace(usage, **{counter: changed, "assets_count": assets})
        assert min(usage.reserved_bytes, usage.ready_bytes, usage.trashed_bytes) >= 0, usage
        assert usage.assets_count >= 0, usage
        return usage

    def check_room(self, size_bytes: int, default: Quota) -> None:
        """Refuse an upload that the organization has no room for.

        Raises:
            StorageQuotaExceeded: it would exceed a bound.
        """
        quota = self.own_quota.over(default)
        if (
            self.used_bytes + size_bytes > quota.bytes_max
            or self.assets_count + 1 > quota.assets_max
        ):
            raise StorageQuotaExceeded(
                used_bytes=self.used_bytes,
                bytes_max=quota.bytes_max,
                assets_count=self.assets_count,
                assets_max=quota.assets_max,
            )
