"""Every RPC is declared, authorised and documented, and every refusal is part of a contract."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from reelmesh.common.v1 import authorization_pb2

import business_svc
import inference
import inference.connectors
import inference.jobs
import meshkit
import platform_svc
from gateway import local_replies
from meshkit.errors import ServiceError
from meshkit.interceptors.errors import INTERNAL_REASON

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTORS = ROOT / "protos" / "gen" / "reelmesh" / "descriptors.binpb"
SERVICE = 6  # FileDescriptorProto.service
METHOD = 2  # ServiceDescriptorProto.method
OUR_FOLDERS = {"meshkit", "platform_svc", "business_svc", "inference"}
# Why an attempt ended; the job goes on or ends otherwise, so no job fails for it.
CAUSES_OF_RETRIES = {"CANCELED", "DRAINED", "LEASE_EXPIRED", "REPLICA_DIED", "REPLICA_ERROR"}
PACKAGE_OF_FOLDER = {"connectors": "regions"}  # Connectors serve the regions' contract.


def descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    return descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())


def files() -> list[descriptor_pb2.FileDescriptorProto]:
    return [file for file in descriptor_set().file if file.name.startswith("reelmesh/")]


def methods() -> Iterator[tuple[str, descriptor_pb2.MethodDescriptorProto]]:
    for file in files():
        for service in file.service:
            for method in service.method:
                yield f"{file.package}.{service.name}.{method.name}", method


def test_every_method_declares_who_may_call() -> None:
    for name, method in methods():
        access = method.options.Extensions[authorization_pb2.authorization]
        assert access.callers, name
        names_services = authorization_pb2.CALLER_SERVICE in access.callers
        assert bool(access.services) == names_services, name


def test_methods_for_services_only_have_no_path() -> None:
    for name, method in methods():
        access = method.options.Extensions[authorization_pb2.authorization]
        public = set(access.callers) != {authorization_pb2.CALLER_SERVICE}
        assert method.options.HasExtension(annotations_pb2.http) == public, name


def test_every_method_is_documented() -> None:
    for file in files():
        documented = {
            tuple(location.path)
            for location in file.source_code_info.location
            if location.leading_comments.strip()
        }
        for i, service in enumerate(file.service):
            for j, method in enumerate(service.method):
                assert (SERVICE, i, METHOD, j) in documented, f"{service.name}.{method.name}"


def servicers() -> Iterator[type]:
    """Give every class of ours that serves a service of the protos."""
    for root in (platform_svc, business_svc, inference):
        for module in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
            if module.name.endswith("servicer"):
                values = vars(importlib.import_module(module.name)).values()
                yield from (
                    value
                    for value in values
                    if isinstance(value, type) and value.__module__ == module.name
                )


def test_every_method_is_served() -> None:
    # Methods that a class does not have itself are those of its base, which refuses all calls.
    served = {
        (base.__name__, name)
        for servicer in servicers()
        for base in servicer.__mro__
        if base.__module__.endswith("_pb2_grpc")
        for kind in servicer.__mro__[: servicer.__mro__.index(base)]
        for name in vars(kind)
    }
    for file in files():
        for service in file.service:
            for method in service.method:
                assert (f"{service.name}Servicer", method.name) in served, method.name


def declared_reasons(name: str = "ErrorReason") -> dict[str, set[str]]:
    """Give the reasons of each proto package, without the enum's prefix."""
    prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() + "_"
    return {
        file.package: {value.name.removeprefix(prefix) for value in enum.value if value.number}
        for file in files()
        for enum in file.enum_type
        if enum.name == name
    }


def all_refusals() -> list[type[ServiceError]]:
    """Give every refusal that the code can make."""
    for module in pkgutil.walk_packages(meshkit.__path__, "meshkit."):
        importlib.import_module(module.name)
    for name in error_modules():
        importlib.import_module(name)
    found: list[type[ServiceError]] = []
    pending = ServiceError.__subclasses__()
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        found.append(kind)
    return [
        kind
        for kind in found
        # One without a reason of its own repeats what another service said.
        if hasattr(kind, "reason") and kind.__module__.partition(".")[0] in OUR_FOLDERS
    ]


def literals(folder: str, *places: tuple[str, int | str]) -> set[str]:
    """Give the texts in these places (a callee and its argument) of all calls in a folder."""
    found = set()
    for file in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            given: dict[int | str, ast.expr] = dict(enumerate(node.args))
            given |= {keyword.arg or "": keyword.value for keyword in node.keywords}
            for callee, argument in places:
                value = given.get(argument) if node.func.id == callee else None
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found.add(value.value)
    return found - {""}


def error_modules() -> list[str]:
    roots = (platform_svc, business_svc, inference.jobs, inference.connectors)
    return [
        module.name
        for root in roots
        for module in pkgutil.walk_packages(root.__path__, f"{root.__name__}.")
        if module.name.endswith(".errors")
    ]


@pytest.mark.parametrize("module", error_modules())
def test_every_refusal_is_declared_in_the_protos(module: str) -> None:
    errors = importlib.import_module(module)
    folder = module.split(".")[-2]
    service = PACKAGE_OF_FOLDER.get(folder, folder)
    package = next((p for p in declared_reasons() if p.split(".")[-2] == service), None)
    refusals = [
        value
        for value in vars(errors).values()
        if isinstance(value, type)
        and issubclass(value, ServiceError)
        and value.__module__ == module
    ]
    assert refusals
    assert package is not None, f"{module} has no error_reason.proto"
    for refusal in refusals:
        assert refusal.reason in declared_reasons()[package], refusal
        assert isinstance(refusal.code, grpc.StatusCode), refusal
        assert refusal.__doc__, refusal


def test_every_declared_reason_exists_in_the_code() -> None:
    raised = {refusal.reason for refusal in all_refusals()} | {INTERNAL_REASON}
    for package, reasons in declared_reasons().items():
        assert reasons <= raised, package


def test_every_shared_refusal_is_declared_once_for_all() -> None:
    shared = {kind.reason for kind in all_refusals() if kind.__module__.startswith("meshkit.")}
    assert declared_reasons()["reelmesh.common.v1"] == shared | {INTERNAL_REASON}


def test_every_refusal_of_the_edge_is_declared() -> None:
    guard = (ROOT / "gateway" / "guard.lua").read_text()
    table = re.search(r"local STATUS = \{(.*?)\}", guard, re.DOTALL)
    assert table is not None
    made = set(re.findall(r"([A-Z_]+) =", table[1]))
    assert set(re.findall(r'reason = "([A-Z_]+)"', guard)) <= made
    made |= {reason for _, reason, _ in local_replies.BY_STATUS.values()}
    made |= {reason for reason, _ in local_replies.BY_TOKEN_FAILURE.values()}
    assert "TOKEN_INVALID" in json.dumps(local_replies.local_replies())
    assert declared_reasons("EdgeErrorReason")["reelmesh.common.v1"] == made | {"TOKEN_INVALID"}


def test_every_reason_of_a_failed_job_is_declared() -> None:
    told = literals(
        "inference", ("InvalidPictureRequest", 0), ("_refuse", "reason"), ("JobFailure", 0)
    )
    told |= literals("inference/regions", ("Failure", 2))
    declared = declared_reasons("JobErrorReason")["reelmesh.inference.jobs.v1"]
    assert told - CAUSES_OF_RETRIES == declared


def test_every_reason_of_a_failed_run_is_declared() -> None:
    told = literals("business_svc", ("Failure", 0)) | {"FAILED", "EXPIRED"}
    assert declared_reasons("RunErrorReason")["reelmesh.business.tools.v1"] == told
