"""The public REST routes, read from the google.api.http and authorization options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import MethodOptions

from gateway.descriptors import (
    Descriptors,
    Method,
    annotations_pb2,
    authorization_pb2,
    idempotency_pb2,
)

IDEMPOTENT_LEVELS = frozenset({MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT})
VERBS = ("get", "put", "post", "delete", "patch")
VARIABLE = re.compile(r"\{([a-z0-9_.]+)(?:=([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One public method and the REST request that reaches it.

    `template` is the path with `{field}` variables; `body` is "*" for the whole message, a field
    name, or empty. `is_open` says that no token is needed; `idempotency_key` what such a header
    does, or is empty. `permission` is what the caller must be allowed to do in an organization,
    and `organization_field` the part of the request that names it; without one a header does.
    """

    rpc: Method
    part: str
    verb: str
    template: str
    body: str
    is_open: bool
    is_idempotent: bool
    idempotency_key: str
    is_stream: bool
    permission: str = ""
    organization_field: str = ""

    @property
    def variables(self) -> tuple[str, ...]:
        """The request fields that the path holds."""
        return tuple(name for name, _ in VARIABLE.findall(self.template))

    @property
    def request_type(self) -> str:
        """The full name of the request message."""
        return self.rpc.descriptor.input_type.removeprefix(".")

    @property
    def response_type(self) -> str:
        """The full name of the response message, each one of a stream."""
        return self.rpc.descriptor.output_type.removeprefix(".")

    def path_regex(self) -> str:
        """Return an RE2 expression for the paths of this route."""
        pieces = []
        at = 0
        for match in VARIABLE.finditer(self.template):
            assert match[2] is None, f"{self.template}: only one segment per variable"
            pieces += [re.escape(self.template[at : match.start()]), "[^/]+"]
            at = match.end()
        return "".join([*pieces, re.escape(self.template[at:])])


def read_routes(descriptors: Descriptors) -> tuple[Route, ...]:
    """Return the routes that users may call, the more specific before the more general.

    Methods for services only have none, whatever their options say.
    """
    routes = [route for method in descriptors.methods() for route in _routes_of(method)]
    return tuple(sorted(routes, key=_specificity))


def is_public(method: Method) -> bool:
    """Return whether anybody but services may call the method."""
    callers = set(_authorization(method).callers)
    return bool(callers - {authorization_pb2.CALLER_SERVICE})


def _routes_of(method: Method) -> Iterator[Route]:
    options: Any = method.descriptor.options
    if not options.HasExtension(annotations_pb2.http) or not is_public(method):
        return
    access = _authorization(method)
    rule = options.Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        assert verb in VERBS, f"{method.path}: {verb} is no verb of ours"
        yield Route(
            rpc=method,
            part=method.service.split(".")[1],
            verb=verb.upper(),
            template=getattr(binding, verb),
            body=binding.body,
            is_open=authorization_pb2.CALLER_ANYONE in access.callers,
            is_idempotent=options.idempotency_level in IDEMPOTENT_LEVELS,
            idempotency_key=options.Extensions[idempotency_pb2.idempotency_key],
            is_stream=method.descriptor.server_streaming,
            permission=access.permission,
            organization_field=access.organization_field,
        )


def _authorization(method: Method) -> authorization_pb2.Authorization:
    options: Any = method.descriptor.options
    rule: authorization_pb2.Authorization = options.Extensions[authorization_pb2.authorization]
    return rule


def _specificity(route: Route) -> tuple[int, int, int, str, str]:
    """Sort by fewer variables, then paths with a `:verb` first, then longer, then by name."""
    has_verb = ":" in route.template.rpartition("/")[2].rpartition("}")[2]
    return (
        len(route.variables),
        0 if has_verb else 1,
        -len(route.template),
        route.template,
        route.verb,
    )
