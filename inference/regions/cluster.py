"""The region's Ray cluster as the dispatcher sees it: how many replicas run, and running leases."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import ray
from prometheus_client import Gauge
from ray import serve
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.schema import ApplicationStatus

from inference.connectors.messages import lease_message
from inference.connectors.protocol import Lease
from inference.models.catalog import ModelEntry
from inference.regions.app import LEASES_PER_REPLICA, application, application_name
from inference.regions.deployment import STARTED
from inference.regions.dispatch import ReplicaBroke, ReplicaDied
from inference.regions.scaling import post_target
from inference.regions.settings import RegionSettings

logger = logging.getLogger(__name__)

NAMESPACE: Final = "reelmesh"
LOOK_SECONDS: Final = 2.0
RUNNING: Final = "RUNNING"  # One of Serve's replica states, whose type is private.

REPLICAS = Gauge("reelmesh_region_replicas", "Replicas that run", ["model"])


class RayWorkers:
    """Replicas of one model on the cluster that this process is connected to."""

    def __init__(
        self, settings: RegionSettings, variables: Mapping[str, str], entry: ModelEntry
    ) -> None:
        self._settings = settings
        self._variables = variables
        self._entry = entry
        self._name = application_name(settings, variables, entry)
        self._handle: Any = None
        self._running = 0

    @property
    def model(self) -> str:
        """The model that the replicas serve."""
        return self._entry.name

    def aim(self, replicas: int) -> None:
        """Tell Serve how many replicas there should be; blocks."""
        post_target(self._name, replicas)

    @property
    def running(self) -> int:
        """How many replicas run, as of the last look."""
        return self._running

    def models(self) -> frozenset[str]:
        """The model that the replicas serve."""
        return frozenset({self._entry.name})

    def slots(self) -> int:
        """Give room for each replica's lease and for one that is at hand when a replica is free.

        Without a replica there is no room: the scheduler is the better place to wait.
        """
        if self._running == 0:
            return 0
        return min(self._running + 1, self._settings.replicas_max) * LEASES_PER_REPLICA

    async def open(self) -> None:
        """Deploy the application unless it runs already, and remove those of other settings."""
        await asyncio.to_thread(self._deploy)
        await self.look()

    async def watch(self) -> None:
        """Look at the replicas again and again; raises when the cluster is gone."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)  # The rhythm of looking.
            await self.look()

    async def look(self) -> None:
        """Count the replicas that run."""
        self._running = await asyncio.to_thread(self._count)
        REPLICAS.labels(self._entry.name).set(self._running)

    async def run(self, lease: Lease, on_start: Callable[[], None]) -> str:
        """Carry a lease out on a replica; see `Workers.run`."""
        message = lease_message(lease).SerializeToString()
        words = self._handle.run.remote(message)
        last = ""
        try:
            async for word in words:
                last = word
                if word == STARTED:
                    on_start()
        except asyncio.CancelledError:
            words.cancel()
            raise
        except RayTaskError as error:
            raise ReplicaBroke(repr(error.cause)) from error
        except (RayActorError, RayServeException, RayError) as error:
            # Until the next look it is not known whether another replica runs.
            self._running = max(self._running - 1, 0)
            raise ReplicaDied(type(error).__name__) from error
        return last

    def _deploy(self) -> None:
        serve.start(proxy_location="Disabled")
        running = serve.status().applications
        for name in set(running) - {self._name}:
            logger.info("removing an application of other settings", extra={"app": name})
            serve.delete(name)
        found = running.get(self._name)
        if found is not None and found.status == ApplicationStatus.RUNNING:
            self._handle = serve.get_app_handle(self._name)
        else:
            app = application(self._settings, self._variables, self._entry)
            self._handle = serve.run(app, name=self._name, route_prefix=None)
        self._handle = self._handle.options(stream=True)
        logger.info("deployed", extra={"app": self._name})

    def _count(self) -> int:
        app = serve.status().applications.get(self._name)
        if app is None:
            return 0
        states = [deployment.replica_states for deployment in app.deployments.values()]
        return sum(n for state in states for kind, n in state.items() if kind == RUNNING)


def connect(address: str) -> None:
    """Join the cluster; blocks until it answers.

    Raises:
        ConnectionError: there is no cluster at the address.
    """
    ray.init(
        address=address,
        namespace=NAMESPACE,
        log_to_driver=False,
        configure_logging=False,
    )
