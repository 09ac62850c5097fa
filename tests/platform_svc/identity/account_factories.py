"""Steps of users about their own accounts, of which a test names only what it is about."""

from __future__ import annotations

import pyotp
from reelmesh.platform.identity.v1 import account_service_pb2 as pb
from reelmesh.platform.identity.v1 import identity_service_pb2 as identity_pb

from .factories import PASSWORD, bearer

NEW_PASSWORD = "staple battery horse"
PERIOD_SECONDS = 30


def change_password_request(**changes: str) -> pb.ChangePasswordRequest:
    fields = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    return pb.ChangePasswordRequest(**(fields | changes))


def reset_request(code: str, **changes: str) -> identity_pb.ResetPasswordRequest:
    return identity_pb.ResetPasswordRequest(
        **({"code": code, "new_password": NEW_PASSWORD} | changes)
    )


def totp_code(world, secret: str, *, periods_from_now: int = 0) -> str:
    return pyotp.TOTP(secret).at(world.clock.now(), counter_offset=periods_from_now)


async def enable_two_step(world, account, reply: identity_pb.SessionResponse) -> pb.TotpEnrolment:
    """Enrol and confirm; the clock is a period later then, so that another code is due."""
    enrolment = await account.EnrolTotp(pb.EnrolTotpRequest(), metadata=bearer(reply))
    code = totp_code(world, enrolment.secret)
    await account.ConfirmTotp(pb.ConfirmTotpRequest(code=code), metadata=bearer(reply))
    world.clock.advance(seconds=PERIOD_SECONDS)
    return enrolment
