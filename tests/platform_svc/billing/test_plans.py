"""The plans on offer, and the decision of what leads to them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from platform_svc.billing.catalogue import FOLDER, Catalogue, Interval, load_catalogue
from platform_svc.billing.change import Change, decide
from platform_svc.billing.errors import PaymentOverdue, PlanNotFound

from .factories import CATALOGUE, CREATOR, CREATOR_YEARLY, STUDIO, active, incomplete, overdue

# What customers bought must stay what it was: a new price or right is a new version.
RELEASED = {
    "creator/1.json": "1952a60af0559fc33b5262e31080def3638be2417eaacf6fe5f829f1545ba1e2",
    "free/1.json": "4ea45d92c8bd86597cd4b1b1fdc426d83de48c6014d51cc016cd1fa85aaa77fc",
    "studio/1.json": "bad6f7826bc3a5d5f6398520e5c85781bf77d4b0e7c54913afc8cfeac972d29a",
}


def test_released_plans_never_change() -> None:
    digests = {
        str(path.relative_to(FOLDER)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in FOLDER.glob("*/*.json")
    }
    assert RELEASED.items() <= digests.items()


def test_larger_plans_give_more_and_are_served_earlier() -> None:
    plans = load_catalogue().plans()
    assert [plan.name for plan in plans] == ["free", "creator", "studio"]
    assert [plan.entitlements.band for plan in plans] == [2, 1, 0]
    credits_ = [plan.monthly_credits for plan in plans]
    steps = [plan.entitlements.limits["steps_per_picture"] for plan in plans]
    assert (credits_, steps) == (sorted(credits_), sorted(steps))


def test_the_newest_version_is_on_offer_and_the_others_stay_known() -> None:
    creator = CATALOGUE.plan(CREATOR)
    newer = replace(creator, version=2, prices={Interval.MONTH: 1500})
    catalogue = Catalogue([*CATALOGUE.plans(), newer])
    assert catalogue.offer("creator", Interval.MONTH).version == 2
    assert catalogue.price_cents(CREATOR) == 1200
    # Whoever has the older version has the plan: nothing is to be done.
    wanted = catalogue.offer("creator", Interval.MONTH)
    assert decide(active(), wanted, catalogue) is Change.RESUME
    with pytest.raises(PlanNotFound):
        catalogue.offer("creator", Interval.YEAR)


@pytest.mark.parametrize(("name", "interval"), [("gold", "month"), ("free", "month")])
def test_what_is_not_sold_is_refused(name, interval) -> None:
    with pytest.raises(PlanNotFound):
        CATALOGUE.offer(name, Interval(interval))


@pytest.mark.parametrize(
    ("current", "wanted", "step"),
    [
        (None, None, Change.NOTHING),
        (None, CREATOR, Change.START),
        (incomplete(), CREATOR, Change.NOTHING),
        (incomplete(), STUDIO, Change.START),
        (incomplete(), None, Change.ABANDON),
        (active(), STUDIO, Change.UPGRADE),
        (active(STUDIO), CREATOR, Change.SCHEDULE),
        (active(STUDIO, upcoming=CREATOR), CREATOR, Change.NOTHING),
        (active(), CREATOR_YEARLY, Change.SCHEDULE),
        (active(), None, Change.CANCEL),
        (active(cancel_at_end=True), None, Change.NOTHING),
        (active(cancel_at_end=True), CREATOR, Change.RESUME),
        (overdue(), None, Change.CANCEL),
    ],
)
def test_the_step_to_a_plan(current, wanted, step) -> None:
    assert decide(current, wanted, CATALOGUE) is step


def test_a_larger_plan_waits_for_what_is_overdue() -> None:
    with pytest.raises(PaymentOverdue):
        decide(overdue(), STUDIO, CATALOGUE)


def test_plan_files_say_what_their_path_says() -> None:
    for path in FOLDER.glob("*/*.json"):
        data = json.loads(path.read_text())
        assert (data["plan"], str(data["version"])) == (path.parent.name, path.stem)
        assert data["currency"] == data["currency"].lower()
