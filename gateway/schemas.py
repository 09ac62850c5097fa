"""Messages as JSON Schema, as the transcoder reads and prints them."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

from gateway.constraints import is_required, keywords, rules_of
from gateway.descriptors import Descriptors
from gateway.typed import Json

REFERENCE = "#/components/schemas/"
SCALARS: dict[int, Json] = {
    Field.TYPE_STRING: {"type": "string"},
    Field.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    Field.TYPE_BOOL: {"type": "boolean"},
    Field.TYPE_DOUBLE: {"type": "number", "format": "double"},
    Field.TYPE_FLOAT: {"type": "number", "format": "float"},
    Field.TYPE_INT32: {"type": "integer", "format": "int32"},
    Field.TYPE_SINT32: {"type": "integer", "format": "int32"},
    Field.TYPE_SFIXED32: {"type": "integer", "format": "int32"},
    Field.TYPE_UINT32: {"type": "integer", "format": "int64", "minimum": 0},
    Field.TYPE_FIXED32: {"type": "integer", "format": "int64", "minimum": 0},
    # JSON numbers are doubles in most languages, so these are printed as strings.
    Field.TYPE_INT64: {"type": "string", "format": "int64"},
    Field.TYPE_SINT64: {"type": "string", "format": "int64"},
    Field.TYPE_SFIXED64: {"type": "string", "format": "int64"},
    Field.TYPE_UINT64: {"type": "string", "format": "uint64"},
    Field.TYPE_FIXED64: {"type": "string", "format": "uint64"},
}
WELL_KNOWN: dict[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?\d+(\.\d{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array", "items": {}},
    "google.protobuf.Any": {"type": "object", "additionalProperties": True},
}


class Schemas:
    """The schemas of messages, collected as they are referred to.

    Requests refuse fields that they do not know and require those that their rules need; replies
    require those that are always printed.
    """

    def __init__(self, descriptors: Descriptors) -> None:
        self._descriptors = descriptors
        self.components: dict[str, Json] = {}

    def request(self, name: str, *, without: tuple[str, ...] = ()) -> Json:
        """Return a reference to a request message, less the fields that the path holds."""
        return self._reference(name, without, is_request=True)

    def reply(self, name: str) -> Json:
        """Return a reference to a message of a reply."""
        return self._reference(name, (), is_request=False)

    def field(self, message: str, field: Field, *, is_request: bool) -> Json:
        """Return the schema of one field with its rules and its comment."""
        rules = rules_of(field)
        value = self._descriptors.map_value(field)
        if value is not None:
            schema = {
                "type": "object",
                "additionalProperties": self._single(value, is_request=is_request),
            }
        elif field.label == Field.LABEL_REPEATED:
            items = self._single(field, is_request=is_request)
            items |= keywords(rules.repeated.items) if rules.repeated.HasField("items") else {}
            schema = {"type": "array", "items": items}
        else:
            schema = self._single(field, is_request=is_request)
        schema |= keywords(rules)
        comment = self._descriptors.comments.get(f"{message}.{field.name}")
        return {**schema, "description": comment} if comment else schema

    def _reference(self, name: str, without: tuple[str, ...], *, is_request: bool) -> Json:
        short = self._component_name(name)
        if is_request and not short.endswith("Request"):
            # A reply's message may come back in a request, where other fields are required.
            short += "Input"
        if short not in self.components:
            # Set first, so that a message which holds itself ends here.
            self.components[short] = {}
            self.components[short] = self._object(name, without, is_request=is_request)
        return {"$ref": REFERENCE + short}

    def _object(self, name: str, without: tuple[str, ...], *, is_request: bool) -> Json:
        fields = [
            field for field in self._descriptors.message(name).field if field.name not in without
        ]
        required = [
            field.name
            for field in fields
            if (is_required(field) if is_request else self._is_always_printed(field))
        ]
        schema: Json = {"type": "object"}
        comment = self._descriptors.comments.get(name)
        if comment:
            schema["description"] = comment
        schema["properties"] = {
            field.name: self.field(name, field, is_request=is_request) for field in fields
        }
        if required:
            schema["required"] = required
        if is_request:
            schema["additionalProperties"] = False
        return schema

    def _single(self, field: Field, *, is_request: bool) -> Json:
        if field.type == Field.TYPE_ENUM:
            enum = self._descriptors.enums[field.type_name.removeprefix(".")]
            return {"type": "string", "enum": [value.name for value in enum.value]}
        if field.type != Field.TYPE_MESSAGE:
            return dict(SCALARS[field.type])
        name = field.type_name.removeprefix(".")
        if name in WELL_KNOWN:
            return dict(WELL_KNOWN[name])
        return self._reference(name, (), is_request=is_request)

    def _is_always_printed(self, field: Field) -> bool:
        is_plural = field.label == Field.LABEL_REPEATED
        is_message = field.type == Field.TYPE_MESSAGE
        return is_plural or not (is_message or field.proto3_optional)

    def _component_name(self, name: str) -> str:
        """Return a message's short name; two messages of one name get their packages too."""
        short = name.rpartition(".")[2]
        others = [other for other in self._descriptors.messages if other.endswith(f".{short}")]
        public = [other for other in others if other.startswith("reelmesh.")]
        if len(public) == 1:
            return short
        return "".join(part.title() for part in name.split(".")[1:-1]) + short
