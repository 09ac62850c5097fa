"""The plans on offer, read from data files: one file per plan and immutable version."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from platform_svc.billing.errors import PlanNotFound

FOLDER: Final = Path(__file__).parent / "plans"
FREE: Final = "free"


class Interval(enum.StrEnum):
    """How often a subscription is paid."""

    MONTH = "month"
    YEAR = "year"

    @property
    def months(self) -> int:
        """How many months one payment covers."""
        return 1 if self is Interval.MONTH else 12


@dataclass(frozen=True, slots=True)
class Entitlements:
    """What a plan opens; features and limits mean something only to the services that ask."""

    plan: str
    version: int
    band: int
    features: tuple[str, ...]
    limits: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of a plan; `prices` are cents by interval, a larger `rank` is a larger plan."""

    name: str
    version: int
    rank: int
    title: str
    description: str
    currency: str
    prices: Mapping[Interval, int]
    monthly_credits: int
    credits_last_months: int
    entitlements: Entitlements


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be bought: a version of a plan for an interval."""

    plan: str
    version: int
    interval: Interval


class Catalogue:
    """Finds plans; of several versions the newest is on offer, and the others stay known."""

    def __init__(self, plans: Iterable[Plan]) -> None:
        self._plans = {(plan.name, plan.version): plan for plan in plans}
        self._newest: dict[str, Plan] = {}
        for plan in sorted(self._plans.values(), key=lambda plan: plan.version):
            self._newest[plan.name] = plan
        assert FREE in self._newest, "an organization without a subscription has the free plan"

    def plans(self) -> list[Plan]:
        """Return every plan on offer, the smallest first."""
        return sorted(self._newest.values(), key=lambda plan: plan.rank)

    @property
    def free(self) -> Plan:
        """What everybody has who has bought nothing."""
        return self._newest[FREE]

    def offer(self, name: str, interval: Interval) -> Offer:
        """Return what buying a plan now would give.

        Raises:
            PlanNotFound: there is none of this name that is sold for this interval.
        """
        plan = self._newest.get(name)
        if plan is None or interval not in plan.prices:
            raise PlanNotFound(name)
        return Offer(name, plan.version, interval)

    def plan(self, offer: Offer) -> Plan:
        """Return the plan of an offer, on offer still or not."""
        return self._plans[offer.plan, offer.version]

    def price_cents(self, offer: Offer) -> int:
        """Return what an offer costs for each interval."""
        return self.plan(offer).prices[offer.interval]

    def knows(self, offer: Offer) -> bool:
        """Return whether there is, or was, such an offer."""
        plan = self._plans.get((offer.plan, offer.version))
        return plan is not None and offer.interval in plan.prices


def load_catalogue(folder: Path = FOLDER) -> Catalogue:
    """Read `<folder>/<plan>/<version>.json`; a broken file is a programmer's error."""
    return Catalogue(read_plan(path) for path in sorted(folder.glob("*/*.json")))


def read_plan(path: Path) -> Plan:
    """Read one version of a plan."""
    data = json.loads(path.read_text(encoding="utf-8"))
    assert (data["plan"], str(data["version"])) == (path.parent.name, path.stem), path
    rights = data["entitlements"]
    return Plan(
        name=data["plan"],
        version=data["version"],
        rank=data["rank"],
        title=data["title"],
        description=data["description"],
        currency=data["currency"],
        prices={Interval(interval): cents for interval, cents in data["prices"].items()},
        monthly_credits=data["credits"]["monthly"],
        credits_last_months=data["credits"]["last_months"],
        entitlements=Entitlements(
            plan=data["plan"],
            version=data["version"],
            band=rights["band"],
            features=tuple(rights["features"]),
            limits=rights["limits"],
        ),
    )
