"""Write use cases of the credits service: each is one call of a server-side function."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from meshkit.clock import Ambient
from meshkit.errors import IdempotencyKeyReused, InvalidRequest
from platform_svc.credits.errors import (
    AccountFull,
    CaptureExceedsHold,
    HoldClosed,
    HoldIdReused,
    HoldNotFound,
    InsufficientCredits,
)
from platform_svc.credits.ledger import Grant, GrantRequest, Hold, HoldRequest
from platform_svc.credits.store import CreditStore

# Public credit fields are int32; the limit keeps every sum of an account inside.
ACCOUNT_CREDITS_MAX = 2_000_000_000


@dataclass(frozen=True, slots=True)
class CreditCommands:
    """What may be done to credits."""

    sessions: async_sessionmaker[AsyncSession]
    ambient: Ambient

    async def grant(self, request: GrantRequest) -> Grant:
        """Give credits; a repeated key gives the first grant.

        Raises:
            IdempotencyKeyReused: the key was used for another grant.
            AccountFull: the account would pass its limit.
            InvalidRequest: the grant would already be over.
        """
        async with self.sessions() as session:
            result = await CreditStore(session).give_grant(
                request,
                grant_id=self.ambient.new_id(),
                now=self.ambient.now(),
                credits_max=ACCOUNT_CREDITS_MAX,
            )
        if result.outcome == "reused":
            raise IdempotencyKeyReused("the key was used for another grant")
        if result.outcome == "full":
            raise AccountFull(credits_max=ACCOUNT_CREDITS_MAX)
        if result.outcome == "past":
            raise InvalidRequest(
                "expires_at has passed", field_violations=[("expires_at", "must be in the future")]
            )
        assert result.grant is not None, result
        return result.grant

    async def hold(self, request: HoldRequest) -> Hold:
        """Set credits aside; the same id and amount again give the same hold.

        Raises:
            InsufficientCredits: fewer credits are available than requested.
            HoldIdReused: the id names a hold of another organization or amount.
        """
        async with self.sessions() as session:
            result = await CreditStore(session).place_hold(request, now=self.ambient.now())
        if result.outcome == "insufficient":
            raise InsufficientCredits(
                available_credits=result.available_credits,
                requested_credits=request.amount_credits,
            )
        if result.outcome == "reused":
            raise HoldIdReused(request.id)
        assert result.hold is not None, result
        return result.hold

    async def capture(self, hold_id: str, amount_credits: int) -> Hold:
        """Charge part or all of a hold and free the rest.

        Raises:
            HoldNotFound: no hold has the id.
            HoldClosed: it was released, expired, or captured for another amount.
            CaptureExceedsHold: the hold is smaller than that.
        """
        assert amount_credits > 0, amount_credits
        async with self.sessions() as session:
            result = await CreditStore(session).capture_hold(
                hold_id, amount_credits=amount_credits, now=self.ambient.now()
            )
        if result.hold is None:
            raise HoldNotFound(hold_id)
        if result.outcome == "exceeds":
            raise CaptureExceedsHold(
                hold_id,
                held_credits=result.hold.amount_credits,
                requested_credits=amount_credits,
            )
        return _unless_closed(result.hold, outcome=result.outcome)

    async def release(self, hold_id: str) -> Hold:
        """Give a hold back in full.

        Raises:
            HoldNotFound: no hold has the id.
            HoldClosed: it was captured.
        """
        async with self.sessions() as session:
            result = await CreditStore(session).release_hold(hold_id, now=self.ambient.now())
        if result.hold is None:
            raise HoldNotFound(hold_id)
        return _unless_closed(result.hold, outcome=result.outcome)


def _unless_closed(hold: Hold, *, outcome: str) -> Hold:
    if outcome == "closed":
        raise HoldClosed(hold.id, state=hold.state, captured_credits=hold.captured_credits)
    return hold
