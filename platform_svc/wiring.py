"""Which services the platform part can host, and what each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from meshkit.config import Environment
from meshkit.part import Opener
from meshkit.peppers import Peppers
from platform_svc.access import wiring as access
from platform_svc.access.config import AccessSettings
from platform_svc.assets import wiring as assets
from platform_svc.assets.config import AssetsSettings
from platform_svc.audit import wiring as audit
from platform_svc.audit.config import AuditSettings
from platform_svc.billing import wiring as billing
from platform_svc.billing.config import BillingSettings
from platform_svc.credits import wiring as credits_wiring
from platform_svc.credits.config import CreditsSettings
from platform_svc.etl import wiring as etl
from platform_svc.etl.config import EtlSettings
from platform_svc.events import wiring as events
from platform_svc.events.config import EventsSettings
from platform_svc.identity import wiring as identity
from platform_svc.identity.config import IdentitySettings
from platform_svc.notifications import wiring as notifications
from platform_svc.notifications.config import NotificationsSettings
from platform_svc.notifications.webhook_config import WebhookSettings
from platform_svc.notifications.worker_wiring import open_worker
from platform_svc.organizations import wiring as organizations


@dataclass(frozen=True, slots=True)
class Hosted:
    """One service: how to open it, how to read its settings, and what it uses of the part."""

    open_service: Opener
    read_settings: Callable[[Environment], object] | None = None
    # Every server asks organizations, wherever it runs, what users may do; in one process it
    # calls its own address. Identity calls organizations and credits over the same channel, and
    # billing calls credits.
    channels: tuple[str, ...] = ("platform",)
    needs_objects: bool = False


SERVICES: Mapping[str, Hosted] = {
    "identity": Hosted(identity.open_service, IdentitySettings.from_environment),
    "organizations": Hosted(organizations.open_service, Peppers.from_environment),
    "access": Hosted(access.open_service, AccessSettings.from_environment),
    "credits": Hosted(credits_wiring.open_service, CreditsSettings.from_environment),
    "billing": Hosted(billing.open_service, BillingSettings.from_environment),
    "assets": Hosted(assets.open_service, AssetsSettings.from_environment, needs_objects=True),
    "audit": Hosted(audit.open_service, AuditSettings.from_environment, needs_objects=True),
    "events": Hosted(events.open_service, EventsSettings.from_environment),
    "etl": Hosted(etl.open_service, EtlSettings.from_environment),
    "notifications": Hosted(notifications.open_service, NotificationsSettings.from_environment),
}

# What runs in a process of its own and only when it is asked for by name.
WORKERS: Mapping[str, Hosted] = {
    "webhooks": Hosted(open_worker, WebhookSettings.from_environment, channels=()),
}
