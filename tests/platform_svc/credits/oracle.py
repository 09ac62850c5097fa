"""The ledger again, in plain Python: the judge of the stateful test.

It settles whatever is due before each operation, so it says what is true at a moment, not when
some sweeper came by.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class OracleGrant:
    order: int
    remaining: int
    priority: int
    expires_at: float | None
    held: int = 0

    @property
    def burn_order(self) -> tuple[int, float, int]:
        expires_at = float("inf") if self.expires_at is None else self.expires_at
        return self.priority, expires_at, self.order


@dataclass
class OracleHold:
    amount: int
    expires_at: float
    parts: list[tuple[OracleGrant, int]]
    state: str = "pending"
    captured: int = 0


@dataclass
class Oracle:
    """One account; times are seconds."""

    now: float = 0.0
    grants: dict[str, OracleGrant] = field(default_factory=dict)
    holds: dict[str, OracleHold] = field(default_factory=dict)
    granted: int = 0
    charged: int = 0
    lapsed: int = 0

    @property
    def held(self) -> int:
        return sum(hold.amount for hold in self.holds.values() if hold.state == "pending")

    @property
    def available(self) -> int:
        return sum(grant.remaining - grant.held for grant in self.grants.values())

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self._settle()

    def grant(self, key: str, amount: int, priority: int, expires_at: float | None) -> None:
        self.grants[key] = OracleGrant(len(self.grants), amount, priority, expires_at)
        self.granted += amount

    def hold(self, hold_id: str, amount: int, seconds: float) -> str:
        if hold_id in self.holds:
            return "placed" if self.holds[hold_id].amount == amount else "reused"
        if self.available < amount:
            return "insufficient"
        parts, missing = [], amount
        for grant in sorted(self.grants.values(), key=lambda grant: grant.burn_order):
            taken = min(missing, grant.remaining - grant.held)
            if taken > 0:
                grant.held += taken
                missing -= taken
                parts.append((grant, taken))
        assert missing == 0
        self.holds[hold_id] = OracleHold(amount, self.now + seconds, parts)
        return "placed"

    def capture(self, hold_id: str, amount: int) -> str:
        hold = self.holds[hold_id]
        if amount > hold.amount:
            return "exceeds"
        if hold.state == "pending":
            self._close(hold, "captured", amount)
            return "captured"
        return "captured" if (hold.state, hold.captured) == ("captured", amount) else "closed"

    def release(self, hold_id: str) -> str:
        hold = self.holds[hold_id]
        if hold.state == "pending":
            self._close(hold, "released", 0)
        return "closed" if hold.state == "captured" else "released"

    def _close(self, hold: OracleHold, state: str, captured: int) -> None:
        hold.state, hold.captured = state, captured
        self.charged += captured
        for grant, part in sorted(hold.parts, key=lambda pair: pair[0].burn_order):
            taken = min(captured, part)
            captured -= taken
            grant.held -= part
            grant.remaining -= taken
        self._settle()

    def _settle(self) -> None:
        for hold in self.holds.values():
            if hold.state == "pending" and hold.expires_at <= self.now:
                self._close(hold, "expired", 0)
        for grant in self.grants.values():
            if grant.expires_at is not None and grant.expires_at <= self.now:
                self.lapsed += grant.remaining - grant.held
                grant.remaining = grant.held
