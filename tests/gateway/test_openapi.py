"""The OpenAPI document: valid, and true to what the edge does."""

from __future__ import annotations

import json

import httpx
import pytest
from google.protobuf import json_format
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from reelmesh.business.tools.v1 import tools_service_pb2

from gateway.descriptors import Descriptors
from gateway.docs import docs_page
from gateway.openapi import openapi_document
from gateway.routes import read_routes


@pytest.fixture(scope="module")
def document() -> dict:
    descriptors = Descriptors.load()
    return openapi_document(descriptors, read_routes(descriptors))


def validator(document: dict, name: str) -> Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def operations(document: dict):
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            yield path, verb, operation


def test_document_is_valid_openapi(document) -> None:
    assert not list(OpenAPIV31SpecValidator(document).iter_errors())


def test_services_of_one_package_share_a_tag(document) -> None:
    (identity,) = [tag for tag in document["tags"] if tag["name"] == "identity"]
    assert "IdentityService" in identity["description"]
    assert "AccountService" in identity["description"]


def test_every_route_is_described(document) -> None:
    described = {(verb.upper(), path) for path, verb, _ in operations(document)}
    routes = read_routes(Descriptors.load())
    assert described == {(route.verb, route.template) for route in routes}
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] for _, _, operation in operations(document))


def test_the_header_of_the_organization_is_where_it_counts(document) -> None:
    def names(path: str, verb: str) -> list[str]:
        return [one["name"] for one in document["paths"][path][verb].get("parameters", [])]

    assert "X-Reelmesh-Org" in names("/v1/assets", "get")
    for path, verb in (("/v1/orgs/{org_id}", "get"), ("/v1/me", "get"), ("/v1/tools", "get")):
        assert "X-Reelmesh-Org" not in names(path, verb)


def test_open_methods_need_no_token(document) -> None:
    paths = document["paths"]
    assert paths["/v1/auth/sign-up"]["post"]["security"] == []
    assert paths["/v1/me"]["get"]["security"] == [{"access_token": []}]
    assert "401" not in paths["/v1/auth/sign-up"]["post"]["responses"]
    assert "401" in paths["/v1/me"]["get"]["responses"]


def test_errors_of_the_comments_are_listed(document) -> None:
    responses = document["paths"]["/v1/tools/{tool}:run"]["post"]["responses"]
    assert "TOOL_NOT_FOUND" in responses["404"]["description"]
    assert "INSUFFICIENT_CREDITS" in responses["400"]["description"]
    assert "IDEMPOTENCY_KEY_REUSED" in responses["409"]["description"]


def test_stream_and_redirect_are_described(document) -> None:
    watch = document["paths"]["/v1/runs/{run_id}:watch"]["get"]["responses"]["200"]
    events = watch["content"]["text/event-stream"]
    assert events["x-data-schema"] == {"$ref": "#/components/schemas/Run"}
    download = document["paths"]["/v1/assets/{asset_id}/download"]["get"]["responses"]
    assert "Location" in download["302"]["headers"]
    assert "200" not in download


@pytest.mark.parametrize(
    ("body", "is_good"),
    [
        ({"email": "a@b.example", "password": "12345678", "display_name": "A"}, True),
        ({"email": "a@b.example", "password": "1234567", "display_name": "A"}, False),
        ({"email": "a@b.example", "password": "12345678"}, False),
        ({"email": "nobody", "password": "12345678", "display_name": "A"}, False),
        ({"email": "a@b.example", "password": "12345678", "display_name": "A", "x": 1}, False),
    ],
)
def test_rules_of_the_protos_are_rules_of_the_schema(document, body, is_good) -> None:
    assert validator(document, "SignUpRequest").is_valid(body) == is_good


def test_body_schema_leaves_out_what_the_path_holds(document) -> None:
    operation = document["paths"]["/v1/tools/{tool}:run"]["post"]
    assert [one["name"] for one in operation["parameters"]] == [
        "tool",
        "X-Reelmesh-Org",
        "Idempotency-Key",
    ]
    properties = document["components"]["schemas"]["RunToolRequest"]["properties"]
    assert set(properties) == {"inputs", "count", "request_id"}


def test_the_idempotency_key_is_described_only_where_it_works(document) -> None:
    told = {
        operation["operationId"]: parameter["description"]
        for _, _, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "Idempotency-Key"
    }
    account = {"SignUp", "VerifyEmail", "ResetPassword", "ChangePassword"}
    shared = {"CreateOrganization", "CreateInvitation", "ResendInvitation", "TransferOwnership"}
    social = {"CreateProfile", "CreatePost", "RemixPost", "AddComment"}
    webhooks = {"CreateWebhookEndpoint", "RotateWebhookSecret", "TestWebhookEndpoint"}
    assert set(told) == account | shared | social | webhooks | {
        "CreateApiKey",
        "CreateAsset",
        "CreateShareLink",
        "ReplayWebhookDelivery",
        "RunTool",
    }
    assert "another session" in told["SignUp"]
    assert "same run" in told["RunTool"]


async def test_real_reply_fits_its_schema(document, user_http: httpx.AsyncClient, tools) -> None:
    """What the edge prints is what the document promises, down to empty fields."""
    run = json_format.ParseDict(
        {
            "run_id": "run_1",
            "created_at": "2030-01-01T00:00:00Z",
            "inputs": {"prompt": "x"},
            "outputs": [{"asset_id": "ast_1"}],
            "error": {"reason": "R"},
        },
        tools_service_pb2.Run(),
    )
    tools.answer("GetRun", run, tools_service_pb2.Run())
    for _ in range(2):
        reply = await user_http.get("/v1/runs/run_1")
        assert reply.status_code == 200, reply.text
        errors = list(validator(document, "Run").iter_errors(reply.json()))
        assert not errors, errors


async def test_real_error_fits_its_schema(document, http: httpx.AsyncClient) -> None:
    for reply in (await http.get("/v1/runs"), await http.get("/nowhere")):
        assert validator(document, "Error").is_valid(reply.json()), reply.text


async def test_served_document_is_this_one(document, http: httpx.AsyncClient) -> None:
    assert (await http.get("/openapi.json")).json() == json.loads(json.dumps(document))


def test_docs_page_needs_nothing_from_elsewhere() -> None:
    page = docs_page()
    assert "https://" not in page
    assert "http://" not in page
    assert "innerHTML" not in page
