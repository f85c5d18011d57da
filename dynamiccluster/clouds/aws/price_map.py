"""From price lists as AWS and X-Spot write them to prices per hour. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import inf, isfinite
from typing import Any

_ODD = (ValueError, LookupError, TypeError, AttributeError, RecursionError)

PRODUCT = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
"""What distinguishes a machine's plain price among the several that the list has for its type."""


def listed(products: Iterable[str]) -> dict[str, float]:
    """On-demand prices by machine type, of ``PriceList`` in the reply of the Price List API's GetProducts.

    What is not an hourly price above 0 is left out, and so is a product that cannot be read.
    """
    found: dict[str, float] = {}
    for text in products:
        with suppress(*_ODD):
            found |= _of_product(json.loads(text))
    return found


def _of_product(product: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    kind = product.get("product", {}).get("attributes", {}).get("instanceType")
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            amounts = [float(amount) for amount in dimension.get("pricePerUnit", {}).values()]
            if kind and dimension.get("unit") == "Hrs" and amounts and 0 < amounts[0] < inf:
                found[str(kind)] = amounts[0]
    return found


def from_file(text: str) -> dict[str, float]:
    """On-demand prices of a file as X-Spot keeps it: by machine type a number, or an object with ``ondemand``.

    :raises ValueError: it is no such file.
    """
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("is not a JSON object with machine types for keys")  # noqa: TRY004 - as for JSON
    found = {}
    for kind, entry in document.items():
        price = entry.get("ondemand") if isinstance(entry, dict) else entry
        if isinstance(price, bool) or not isinstance(price, int | float):
            raise ValueError(f"{kind!r} has no number for its on-demand price")  # noqa: TRY004 - as for JSON
        found[str(kind)] = float(price)
    return found


def spot_prices(records: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """The newest price of each type in each zone, of ``SpotPriceHistory`` (DescribeSpotPriceHistory). A record that
    cannot be read, or is of a zone without a name, is left out."""
    newest: dict[tuple[str, str], tuple[Any, float]] = {}
    for record in records:
        with suppress(*_ODD):
            key = (str(record["InstanceType"]), str(record["AvailabilityZone"]))
            entry = (record["Timestamp"], float(record["SpotPrice"]))
            if isfinite(entry[1]):
                newest[key] = max(newest.get(key, entry), entry)
    return {key: price for key, (_, price) in newest.items()}
