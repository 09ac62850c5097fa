"""Reads what a second of each region's devices costs."""

from __future__ import annotations

from typing import Final

from meshkit.config import Environment

PRICES_VARIABLE: Final = "REELMESH_REGION_PRICES"
PRICE_MAX: Final = 1000.0


def region_prices(environment: Environment) -> dict[str, float]:
    """Read REELMESH_REGION_PRICES, such as "us-east=1.5,eu-west=0".

    Prices are relative to each other, from 0 to 1000; a region that is not named costs 1.
    """
    prices = {}
    text = environment.text(PRICES_VARIABLE, default="")
    for word in filter(None, map(str.strip, text.split(","))):
        region, _, number = word.partition("=")
        try:
            price = float(number)
        except ValueError:
            price = -1.0
        if not region or not 0 <= price <= PRICE_MAX:
            environment.refuse(
                PRICES_VARIABLE,
                f"is wrong: '{word}' is no price; write us-east=1.5 with 0 to {PRICE_MAX:g}",
            )
            continue
        prices[region] = price
    return prices
