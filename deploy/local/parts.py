"""The three parts and the webhook worker: Python processes that serve gRPC."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.local.component import Component, NotReady, Unwell, version_of
from deploy.local.ports import Ports
from deploy.local.secret_files import SecretFiles

HEALTH_SECONDS: Final = 5
# gRPC's C++ core writes lines of its own between ours, which are JSON.
PYTHON: Final = {"PYTHONUNBUFFERED": "1", "GRPC_VERBOSITY": "ERROR"}
# Longer than the servers' own drain, so that calls under way can end.
GRACE_SECONDS: Final = 15.0
ALLOWED_NETWORKS: Final = "REELMESH_WEBHOOK_ALLOWED_NETWORKS"
LOOPBACK: Final = "127.0.0.0/8,::1/128"


@dataclass(frozen=True)
class Part:
    """One deployable part."""

    name: str  # Of the process.
    service: str  # Whose key it signs with.
    module: str  # What Python runs.
    port: int
    metrics_port: int
    arguments: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Give the address of its gRPC server."""
        return f"127.0.0.1:{self.port}"

    def component(self, shared: Mapping[str, str], secrets: SecretFiles) -> Component:
        """Describe the process; `shared` are the settings that all parts have."""
        return Component(
            name=self.name,
            version=version_of("reelmesh"),
            port=self.port,
            command=(sys.executable, "-m", self.module, *self.arguments),
            environment={
                **shared,
                **PYTHON,
                "REELMESH_LISTEN": self.address,
                "REELMESH_METRICS_LISTEN": f"127.0.0.1:{self.metrics_port}",
                "REELMESH_SERVICE_KEY_FILE": str(secrets.service_key(self.service)),
                "REELMESH_MIGRATE": "true",
            },
            check=grpc_health(self.address),
            needs=("postgres", "seaweedfs", "nats"),
            grace_seconds=GRACE_SECONDS,
        )


@dataclass(frozen=True)
class Parts:
    """All three, which know each other's addresses, and the webhook worker."""

    platform: Part
    business: Part
    scheduler: Part
    webhooks: Part

    @classmethod
    def on(cls, ports: Ports) -> Parts:
        """Give the parts on free ports."""

        def part(name: str, service: str, module: str, *arguments: str) -> Part:
            return Part(name, service, module, ports.one(), ports.one(), arguments)

        return cls(
            part("platform", "platform", "platform_svc"),
            part("business", "business", "business_svc"),
            part("scheduler", "inference", "inference"),
            part("webhooks", "platform", "platform_svc", "--services", "webhooks"),
        )

    def addresses(self) -> dict[str, str]:
        """Give the settings that tell the addresses."""
        return {
            "REELMESH_PLATFORM_ADDRESS": self.platform.address,
            "REELMESH_BUSINESS_ADDRESS": self.business.address,
            "REELMESH_INFERENCE_ADDRESS": self.scheduler.address,
        }

    def components(
        self, shared: Mapping[str, str], secrets: SecretFiles, mail: Path
    ) -> list[Component]:
        """Describe the processes; mails land in the folder `mail`, unless told otherwise."""
        webhooks = {
            "REELMESH_WEBHOOK_KEYS_FILE": str(secrets.webhook_keys),
            # Whoever develops a receiver runs it beside the platform.
            ALLOWED_NETWORKS: os.environ.get(ALLOWED_NETWORKS, LOOPBACK),
        }
        platform = {
            **webhooks,
            "REELMESH_JWT_PRIVATE_KEY_FILE": str(secrets.jwt_private_key),
            "REELMESH_IDENTITY_KEYS_FILE": str(secrets.identity_keys),
            "REELMESH_MAIL_FOLDER": str(mail),
            "REELMESH_OPERATORS_FILE": str(secrets.operators),
            "REELMESH_PEPPER_FILE": str(secrets.pepper),
        }
        return [
            self.platform.component({**shared, **platform}, secrets),
            self.business.component(shared, secrets),
            self.scheduler.component(shared, secrets),
            self.webhooks.component({**shared, **webhooks}, secrets),
        ]


def grpc_health(address: str) -> Callable[[], Awaitable[None]]:
    """Give a check that demands SERVING from the standard health service."""

    async def check() -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(
                    health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS, wait_for_ready=False
                )
            except grpc.aio.AioRpcError as error:
                raise NotReady(f"no answer: {error.code().name}") from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            state = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            raise Unwell(f"it says {state}")

    return check
