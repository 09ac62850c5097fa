"""In which organization a call acts, and what an API key may do."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import grpc
import pytest

from meshkit.authorization import Decision
from meshkit.context import ApiKey, UserPrincipal, current_user
from meshkit.ids import format_id
from meshkit.testing.identity import USER
from meshkit.testing.servers import serve

OWN = format_id("org", USER.organization_id)
TEAM_ID = UUID("01890000-0000-7000-8000-0000000000aa")
TEAM = format_id("org", TEAM_ID)
STRANGE = format_id("org", UUID("01890000-0000-7000-8000-0000000000ff"))
KEY = replace(
    USER, session_id=UUID(int=5), api_key=ApiKey(UUID(int=5), frozenset({"echo.read", "x.y"}))
)


class Teams:
    """The user belongs to their own organization and to one team."""

    async def decide(
        self, principal: UserPrincipal, permission: str, organization_id: UUID
    ) -> Decision:
        if organization_id in {USER.organization_id, TEAM_ID}:
            return Decision.ALLOWED
        return Decision.NOT_A_MEMBER


@pytest.fixture
async def mesh(echo_servicer, request_class, identity, echo_messages):
    async def tell(request, context):
        user = current_user()
        return echo_messages.EchoReply(text=format_id("org", user.organization_id))

    echo_servicer.behave = tell
    service = echo_servicer.service(request_class)
    async with serve(service, identity=identity, authorizer=Teams()) as mesh:
        yield mesh


def metadata(identity, user=USER, organization: str | None = None):
    chosen = () if organization is None else (("x-reelmesh-org", organization),)
    return (*identity.user_metadata(user), *chosen)


async def test_a_call_acts_in_the_organization_of_its_header(stub, request_class, identity) -> None:
    acting = stub.Acting
    assert (await acting(request_class(), metadata=metadata(identity))).text == OWN
    switched = metadata(identity, organization=TEAM)
    assert (await acting(request_class(), metadata=switched)).text == TEAM


async def test_a_stranger_cannot_act_in_an_organization(
    stub, request_class, identity, refused
) -> None:
    call = stub.Acting(request_class(), metadata=metadata(identity, organization=STRANGE))
    refusal = await refused(call)
    assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
    assert refusal.info.reason == "NOT_A_MEMBER"
    call = stub.Acting(request_class(), metadata=metadata(identity, organization="org_1"))
    assert (await refused(call)).info.reason == "INVALID_ID"


async def test_the_header_counts_only_where_it_is_judged(stub, request_class, identity) -> None:
    strange = metadata(identity, organization=STRANGE)
    assert (await stub.User(request_class(), metadata=strange)).text == OWN


async def test_a_path_is_stronger_than_the_header(stub, request_class, identity, refused) -> None:
    switched = metadata(identity, organization=TEAM)
    await stub.Member(request_class(org_id=OWN), metadata=switched)
    call = stub.Member(request_class(org_id=STRANGE), metadata=switched)
    assert (await refused(call)).info.reason == "NOT_A_MEMBER"


async def test_a_key_acts_in_its_organization_only(stub, request_class, identity, refused) -> None:
    assert (await stub.Acting(request_class(), metadata=metadata(identity, KEY))).text == OWN
    await stub.Member(request_class(org_id=OWN), metadata=metadata(identity, KEY))
    # The key's user belongs to the team, and the key does not.
    for call in (
        stub.Acting(request_class(), metadata=metadata(identity, KEY, TEAM)),
        stub.Member(request_class(org_id=TEAM), metadata=metadata(identity, KEY)),
    ):
        assert (await refused(call)).info.reason == "NOT_A_MEMBER"


async def test_a_key_needs_the_scope(stub, request_class, identity, refused) -> None:
    narrow = replace(KEY, api_key=ApiKey(UUID(int=5), frozenset({"x.y"})))
    for call in (
        stub.Acting(request_class(), metadata=metadata(identity, narrow)),
        stub.Member(request_class(org_id=OWN), metadata=metadata(identity, narrow)),
    ):
        refusal = await refused(call)
        assert refusal.code is grpc.StatusCode.PERMISSION_DENIED
        assert refusal.info.reason == "SCOPE_MISSING"
        assert dict(refusal.info.metadata) == {"permission": "echo.read"}


@pytest.mark.parametrize("is_operator", [False, True])
async def test_what_needs_no_permission_is_not_for_keys(
    stub, request_class, identity, refused, is_operator
) -> None:
    key = metadata(identity, replace(KEY, is_operator=is_operator))
    for call in (
        stub.User(request_class(), metadata=key),
        stub.Operator(request_class(), metadata=key),
    ):
        assert (await refused(call)).info.reason == "CALLER_NOT_ALLOWED"


def test_a_token_says_which_key_it_stands_for(identity) -> None:
    assert identity.verifier().verify_user(identity.user_token(KEY)) == KEY
    operator = replace(KEY, is_operator=True)
    assert identity.verifier().verify_user(identity.user_token(operator)) == KEY
