"""What machines cost per hour: asked seldom, and never twice for the same."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.due import Due
from dynamiccluster.clouds.aws.price_map import PRODUCT, from_file, listed, spot_prices
from dynamiccluster.clouds.aws.request_map import SPOT
from dynamiccluster.errors import BadConfigError

log = logging.getLogger(__name__)

LIST_REGION = "us-east-1"
"""Where the Price List API is; it knows the prices of all regions."""

_LIST_FOR_S = 86400.0
_SPOT_FOR_S = 600.0
_FILE_FOR_S = 3600.0
_TYPES_AT_ONCE = 200


class Prices:
    """Prices of the machines of one tenancy. ``list_calls``: of :data:`LIST_REGION`, for AWS's own price list."""

    def __init__(self, calls: AwsCalls, list_calls: AwsCalls, due: Due, region: str) -> None:
        self._calls = calls
        self._list_calls = list_calls
        self._due = due
        self._region = region
        self._spot: dict[tuple[str, str], float] = {}
        self._spot_types: set[str] = set()
        self._listed: dict[str, float] = {}
        self._files: dict[str, dict[str, float]] = {}

    def learn_spot(self, types: Collection[str]) -> None:
        """See to it that spot prices of these types are known, and recent."""
        wanted = sorted(types)
        if wanted:
            self._due(
                "spot prices", _SPOT_FOR_S, lambda: self._ask_spot(wanted), missing=not set(wanted) <= self._spot_types
            )

    def learn_on_demand(self, config: Mapping[str, Any], types: Collection[str]) -> None:
        """See to it that on-demand prices of these types are known, as far as the configuration has none."""
        file = config["pricing_file"]
        if file:
            self._due(f"prices in {file}", _FILE_FOR_S, lambda: self._read(file))
        if not set(types) <= config["prices"].keys() | self._files.get(file, {}).keys():
            self._due("price list", _LIST_FOR_S, self._ask_list)

    def price(self, config: Mapping[str, Any], kind: str, zone: str, market: str) -> float | None:
        """Per hour. 0 = not known. ``None`` = EC2 names no spot price there, so there is no spot capacity to be had."""
        if market == SPOT:
            if kind not in self._spot_types:
                return 0.0
            known = [price for (name, where), price in self._spot.items() if name == kind and zone in ("", where)]
            return min(known) if known else None
        if kind in config["prices"]:
            return float(config["prices"][kind])
        of_list = self._files.get(config["pricing_file"], {}).get(kind) or self._listed.get(kind, 0.0)
        return of_list * (1.0 - float(config["discount_aws"]) / 100)

    def _ask_spot(self, wanted: list[str]) -> None:
        ec2, now = self._calls.client("ec2"), datetime.fromtimestamp(self._due.now(), UTC)
        found: dict[tuple[str, str], float] = {}
        for first in range(0, len(wanted), _TYPES_AT_ONCE):
            records = self._calls.pages(
                ec2.describe_spot_price_history,
                "SpotPriceHistory",
                InstanceTypes=wanted[first : first + _TYPES_AT_ONCE],
                ProductDescriptions=["Linux/UNIX"],
                StartTime=now,
            )
            found |= spot_prices(records)
        self._spot, self._spot_types = found, set(wanted)

    def _read(self, file: str) -> None:
        try:
            self._files[file] = from_file(Path(file).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise BadConfigError(f"{file}: {error}") from error

    def _ask_list(self) -> None:
        pricing = self._list_calls.client("pricing")
        fields = PRODUCT | {"regionCode": self._region}
        filters = [{"Type": "TERM_MATCH", "Field": key, "Value": value} for key, value in fields.items()]
        self._listed = listed(self._products(pricing, filters))

    def _products(self, pricing: Any, filters: list[dict[str, str]]) -> Iterator[str]:
        return self._list_calls.pages(pricing.get_products, "PriceList", ServiceCode="AmazonEC2", Filters=filters)
