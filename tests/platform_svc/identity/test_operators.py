"""Who operates the installation, and that their tokens say so."""

from __future__ import annotations

import uuid
from pathlib import Path

from reelmesh.platform.identity.v1 import identity_service_pb2 as pb

from meshkit.ids import format_id, parse_id
from platform_svc.identity.operators import OperatorsFile

from .factories import sign_up_request

ADA, BOB = uuid.UUID(int=1), uuid.UUID(int=2)


def test_operators_are_read_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "operators"
    operators = OperatorsFile(path, reload_seconds=0)
    assert ADA not in operators

    path.write_text(f"# who\n\n{format_id('usr', ADA)}  # on call\nnobody\n")
    assert ADA in operators
    assert BOB not in operators

    path.write_text(f"{format_id('usr', BOB)}\n")
    assert ADA not in operators
    assert BOB in operators

    path.unlink()
    assert BOB not in operators


def test_without_a_file_nobody_operates() -> None:
    assert ADA not in OperatorsFile(None)


async def test_an_operators_token_says_so(world, stub) -> None:
    reply = await stub.SignUp(sign_up_request())
    verify = world.mesh.identity.verifier().verify_user
    assert not verify(reply.session.access_token).is_operator

    world.operators.add(parse_id("usr", reply.user.user_id, field="user_id"))
    request = pb.RefreshSessionRequest(refresh_token=reply.session.refresh_token)
    refreshed = await stub.RefreshSession(request)
    assert verify(refreshed.session.access_token).is_operator
