"""What the protos declare of each method: who may call it and what a repeat would do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from reelmesh.common.v1 import authorization_pb2

IDEMPOTENT_LEVELS = frozenset({MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT})


class MissingAuthorization(Exception):
    """Methods are to be served that do not say who may call them."""


@dataclass(frozen=True, slots=True)
class MethodPolicy:
    """One method as its proto declares it; `callers` holds values of the Caller enum."""

    service: str
    name: str
    callers: frozenset[int] = frozenset()
    services: frozenset[str] = frozenset()
    permission: str = ""
    organization_field: str = ""
    is_idempotent: bool = False
    streams_requests: bool = False
    streams_responses: bool = False

    @property
    def path(self) -> str:
        """The path of the HTTP/2 request, such as `/package.Service/Method`."""
        return f"/{self.service}/{self.name}"

    def allows(self, caller: int) -> bool:
        """Return whether the method is for this kind of caller."""
        return caller in self.callers


UNKNOWN_METHOD = MethodPolicy(service="unknown", name="unknown")


def read_policies(services: Iterable[str]) -> dict[str, MethodPolicy]:
    """Return the policy of every method of the services, by path.

    Raises:
        MissingAuthorization: a method lacks the authorization option; names them all.
        KeyError: no loaded proto has the service.
    """
    policies: dict[str, MethodPolicy] = {}
    undeclared: list[str] = []
    for service in services:
        descriptor = descriptor_pool.Default().FindServiceByName(service)
        for method in descriptor.methods:
            policy = _policy(service, method)
            policies[policy.path] = policy
            if not policy.callers:
                undeclared.append(policy.path)
    if undeclared:
        raise MissingAuthorization(f"no authorization option on {', '.join(undeclared)}")
    return policies


def _policy(service: str, method: MethodDescriptor) -> MethodPolicy:
    options = method.GetOptions()
    # The generated stub gives the extension a type that cannot be an index.
    extensions: Any = options.Extensions
    rule: authorization_pb2.Authorization = extensions[authorization_pb2.authorization]
    callers = frozenset(rule.callers) - {authorization_pb2.CALLER_UNSPECIFIED}
    if rule.organization_field:
        # A stream has no first message when the caller is judged.
        assert not method.client_streaming, method.full_name
        assert rule.organization_field in method.input_type.fields_by_name, method.full_name
    return MethodPolicy(
        service=service,
        name=method.name,
        callers=callers,
        services=frozenset(rule.services),
        permission=rule.permission,
        organization_field=rule.organization_field,
        is_idempotent=options.idempotency_level in IDEMPOTENT_LEVELS,
        streams_requests=method.client_streaming,
        streams_responses=method.server_streaming,
    )
