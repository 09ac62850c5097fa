"""The compiled protos: files, messages and methods by their full names."""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Importing the extensions lets their options be read from the descriptor set.
from buf.validate import validate_pb2
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from reelmesh.common.v1 import authorization_pb2, idempotency_pb2

__all__ = [
    "Descriptors",
    "Method",
    "annotations_pb2",
    "authorization_pb2",
    "idempotency_pb2",
    "validate_pb2",
]

FILE_NAME = "descriptors.binpb"


@dataclass(frozen=True, slots=True)
class Method:
    """A method in its service."""

    service: str
    descriptor: MethodDescriptorProto

    @property
    def name(self) -> str:
        """The method's own name."""
        return self.descriptor.name

    @property
    def path(self) -> str:
        """The path of its gRPC requests."""
        return f"/{self.service}/{self.name}"


class Descriptors:
    """A descriptor set with its messages, enums, methods and comments found by name."""

    def __init__(self, files: FileDescriptorSet) -> None:
        self.files = files
        self.messages: dict[str, DescriptorProto] = {}
        self.enums: dict[str, EnumDescriptorProto] = {}
        self.comments: dict[str, str] = {}
        for file in files.file:
            self._add_types(file.package, file.message_type, file.enum_type)
            self._add_comments(file)

    @classmethod
    def load(cls, path: Path | None = None) -> Descriptors:
        """Return the descriptors of a file, by default those generated from `protos/`."""
        if path is not None:
            return cls(FileDescriptorSet.FromString(path.read_bytes()))
        generated = importlib.resources.files("reelmesh") / FILE_NAME
        return cls(FileDescriptorSet.FromString(generated.read_bytes()))

    def methods(self) -> Iterator[Method]:
        """Give every method of every service."""
        for file in self.files.file:
            for service in file.service:
                for method in service.method:
                    yield Method(f"{file.package}.{service.name}", method)

    def services(self) -> Iterator[tuple[str, ServiceDescriptorProto]]:
        """Give every service with its full name."""
        for file in self.files.file:
            for service in file.service:
                yield f"{file.package}.{service.name}", service

    def message(self, type_name: str) -> DescriptorProto:
        """Return a message by its full name, with or without the leading dot."""
        return self.messages[type_name.removeprefix(".")]

    def map_value(self, field: FieldDescriptorProto) -> FieldDescriptorProto | None:
        """Return the field of a map's values, or None if the field is no map."""
        if field.type != FieldDescriptorProto.TYPE_MESSAGE:
            return None
        entry = self.messages.get(field.type_name.removeprefix("."))
        if entry is None or not entry.options.map_entry:
            return None
        return entry.field[1]

    def stripped(self) -> bytes:
        """Return the descriptor set without comments, as Envoy needs it."""
        files = FileDescriptorSet.FromString(self.files.SerializeToString())
        for file in files.file:
            file.ClearField("source_code_info")
        return files.SerializeToString(deterministic=True)

    def _add_types(
        self, scope: str, messages: Iterable[DescriptorProto], enums: Iterable[EnumDescriptorProto]
    ) -> None:
        for enum in enums:
            self.enums[f"{scope}.{enum.name}"] = enum
        for message in messages:
            name = f"{scope}.{message.name}"
            self.messages[name] = message
            self._add_types(name, message.nested_type, message.enum_type)

    def _add_comments(self, file: FileDescriptorProto) -> None:
        for location in file.source_code_info.location:
            text = location.leading_comments or location.trailing_comments
            name = _name_at(file, list(location.path)) if text else None
            if name is not None:
                self.comments[name] = " ".join(text.split())


def _name_at(file: FileDescriptorProto, path: list[int]) -> str | None:
    """Return the full name that a source location's path leads to, if it is of a kind we show."""
    names = [file.package]
    node: Any = file
    kinds = {
        (FileDescriptorProto, 4): "message_type",
        (FileDescriptorProto, 5): "enum_type",
        (FileDescriptorProto, 6): "service",
        (DescriptorProto, 2): "field",
        (DescriptorProto, 3): "nested_type",
        (DescriptorProto, 4): "enum_type",
        (ServiceDescriptorProto, 2): "method",
        (EnumDescriptorProto, 2): "value",
    }
    for number, index in zip(path[::2], path[1::2], strict=False):
        attribute = kinds.get((type(node), number))
        if attribute is None:
            return None
        node = getattr(node, attribute)[index]
        names.append(node.name)
    return ".".join(names) if len(path) % 2 == 0 and len(path) > 0 else None
