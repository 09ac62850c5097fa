"""Routes as the protos declare them, and the configuration that is made of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from gateway.descriptors import Descriptors
from gateway.envoy import config_text, edge_config, write_edge
from gateway.routes import is_public, read_routes
from gateway.topology import Address, Endpoint, Topology, Upstream

TOPOLOGY = Topology(
    listen=Address("127.0.0.1", 8080),
    upstreams=(
        Upstream("platform", (Endpoint(Address("127.0.0.1", 5001)),)),
        Upstream("business", (Endpoint(Address("127.0.0.1", 5002)),)),
        Upstream("inference", (Endpoint(Address("127.0.0.1", 5003)),)),
    ),
)


@pytest.fixture(scope="module")
def descriptors() -> Descriptors:
    return Descriptors.load()


@pytest.fixture(scope="module")
def config(descriptors: Descriptors) -> dict:
    return edge_config(Path("/edge"), TOPOLOGY, descriptors, read_routes(descriptors))


def manager(config: dict) -> dict:
    listener = config["static_resources"]["listeners"][0]
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def envoy_routes(config: dict) -> list[dict]:
    return manager(config)["route_config"]["virtual_hosts"][0]["routes"]


def test_routes_are_read_from_the_options(descriptors) -> None:
    routes = {(route.verb, route.template): route for route in read_routes(descriptors)}
    sign_up = routes["POST", "/v1/auth/sign-up"]
    assert (sign_up.part, sign_up.body, sign_up.is_open) == ("platform", "*", True)
    assert not sign_up.is_idempotent
    watch = routes["GET", "/v1/runs/{run_id}:watch"]
    assert (watch.part, watch.is_stream, watch.is_open) == ("business", True, False)
    assert watch.variables == ("run_id",)


def test_longer_names_come_before_variables(descriptors) -> None:
    templates = [route.template for route in read_routes(descriptors)]
    assert templates.index("/v1/runs/{run_id}:watch") < templates.index("/v1/runs/{run_id}")
    assert templates.index("/v1/runs") < templates.index("/v1/runs/{run_id}")


def test_every_public_method_is_routed_and_no_other(descriptors, config) -> None:
    paths = {rule["match"]["path"] for rule in envoy_routes(config) if "path" in rule["match"]}
    paths -= {"/openapi.json", "/docs"}
    methods = list(descriptors.methods())
    assert paths == {method.path for method in methods if is_public(method)}
    hidden = {method.name for method in methods if not is_public(method)}
    assert {"HoldCredits", "ImportAsset", "SubmitJob", "LeaseJobs"} <= hidden


def test_only_harmless_repeats_are_retried(descriptors, config) -> None:
    by_path = {rule["match"].get("path"): rule for rule in envoy_routes(config)}
    for route in read_routes(descriptors):
        action = by_path[route.rpc.path]["route"]
        expected = route.is_idempotent and not route.is_stream
        assert ("retry_policy" in action) == expected, route.rpc.path
        assert action["timeout"] != "0s"


def test_filters_are_in_their_order(config) -> None:
    names = [filter_["name"].rpartition(".")[2] for filter_ in manager(config)["http_filters"]]
    assert names == [
        "health_check",
        "cors",
        "ext_authz",
        "jwt_authn",
        "buffer",
        "lua",
        "grpc_json_transcoder",
        "local_ratelimit",
        "grpc_stats",
        "router",
    ]


def test_descriptors_for_envoy_know_error_details_and_no_comments(descriptors) -> None:
    files = FileDescriptorSet.FromString(descriptors.stripped()).file
    assert "google/rpc/error_details.proto" in {file.name for file in files}
    assert not any(file.HasField("source_code_info") for file in files)


def test_other_regions_serve_only_when_the_own_is_down(descriptors) -> None:
    home, away = Endpoint(Address("10.0.0.1", 1)), Endpoint(Address("10.0.0.2", 1), "eu-west")
    topology = replace(TOPOLOGY, upstreams=(Upstream("platform", (away, home)),))
    config = edge_config(Path("/edge"), topology, descriptors, ())
    localities = config["static_resources"]["clusters"][0]["load_assignment"]["endpoints"]
    found = [(one["locality"]["region"], one["priority"]) for one in localities]
    assert found == [("home", 0), ("eu-west", 1)]


def test_names_are_resolved_and_addresses_are_not(descriptors) -> None:
    named = Upstream("platform", (Endpoint(Address("platform.mesh.svc", 1)),))
    config = edge_config(Path("/edge"), replace(TOPOLOGY, upstreams=(named,)), descriptors, ())
    assert config["static_resources"]["clusters"][0]["type"] == "STRICT_DNS"


def test_config_text_is_the_same_each_time() -> None:
    text = config_text(TOPOLOGY)
    assert text == config_text(TOPOLOGY)
    assert yaml.safe_load(text)["static_resources"]["listeners"][0]["name"] == "edge"
    # YAML's anchors would make the file hard to read and to compare.
    assert "&id" not in text


async def test_envoy_accepts_the_configuration(tmp_path, envoy_program) -> None:
    topology = replace(TOPOLOGY, admin=Address("127.0.0.1", 9901))
    config = write_edge(tmp_path / "with space", topology)
    process = await asyncio.create_subprocess_exec(
        *(envoy_program, "--mode", "validate", "-c", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, output.decode()
    assert "deprecated" not in output.decode().lower()
