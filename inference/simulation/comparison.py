"""Runs a workload under every policy and gives one document with all figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

from inference.simulation.contenders import contenders
from inference.simulation.engine import Simulation
from inference.simulation.fleet import FleetPlan
from inference.simulation.measures import curves, measure
from inference.simulation.workload import Request

VERSION: Final = 1


def compare(
    requests: Sequence[Request],
    plan: FleetPlan,
    *,
    source: str,
    begin: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Simulate every policy, calling `begin` with the name of each before it runs.

    The same workload and fleet give the same document.
    """
    policies: dict[str, Any] = {}
    shapes: dict[str, Any] = {}
    for name, contender in contenders().items():
        begin(name)
        outcome = Simulation(requests, plan, contender).run()
        policies[name], shapes[name] = measure(outcome), curves(outcome)
    return {
        "version": VERSION,
        "source": source,
        "requests": len(requests),
        "tenants": len({one.tenant_id for one in requests}),
        "models": len({one.model for one in requests}),
        "fleet": [
            {"region": name, "devices": count, "price": price}
            for name, count, price in plan.regions
        ],
        "resident_models": plan.resident_models,
        "policies": policies,
        "curves": shapes,
    }


def document_text(document: dict[str, Any]) -> str:
    """Give the document as JSON; the same document gives the same bytes."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
