"""Every RPC is declared, authorised and documented, and every refusal is part of a contract."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2
from reelmesh.common.v1 import authorization_pb2

import business_svc
import inference.connectors
import inference.jobs
import platform_svc
from meshkit.errors import ServiceError

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTORS = ROOT / "protos" / "gen" / "reelmesh" / "descriptors.binpb"
SERVICE = 6  # FileDescriptorProto.service
METHOD = 2  # ServiceDescriptorProto.method
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


def declared_reasons() -> dict[str, set[str]]:
    """Give the reasons of each proto package, without the enum's prefix."""
    return {
        file.package: {
            value.name.removeprefix("ERROR_REASON_") for value in enum.value if value.number != 0
        }
        for file in files()
        for enum in file.enum_type
        if enum.name == "ErrorReason"
    }


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
    raised = set()
    for module in error_modules():
        importlib.import_module(module)
    pending = [ServiceError]
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        raised.add(getattr(kind, "reason", None))
    for package, reasons in declared_reasons().items():
        assert reasons <= raised, package
