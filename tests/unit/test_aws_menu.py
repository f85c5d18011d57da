"""Menus on EC2: what is pure of them, and when lists are asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import ANY, Stubber
from ec2_site import HandClock

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.catalogue import Catalogue
from dynamiccluster.clouds.aws.due import Due
from dynamiccluster.clouds.aws.menu_map import allowed_zones, chosen, offers_of, pattern_of
from dynamiccluster.clouds.aws.price_map import from_file, listed, spot_prices
from dynamiccluster.clouds.aws.prices import LIST_REGION, Prices
from dynamiccluster.clouds.aws.type_map import MachineType
from dynamiccluster.config.schema_cloud_xspot import kind_of
from dynamiccluster.errors import TransientError
from dynamiccluster.model.capacity import Capacity

SHARED = {
    "access_key_id": None,
    "secret_access_key": None,
    "profile_name": None,
    "region_name": "us-west-2",
    "endpoint_url": None,
    "proxy": None,
    "proxy_port": None,
    "validate_certs": True,
}
TYPES = {
    name: MachineType(name, vcpus, vcpus // 2, vcpus * 4096, spot=spot)
    for name, vcpus, spot in (
        ("m5.large", 2, True),
        ("m5.xlarge", 4, True),
        ("m5.metal", 96, True),
        ("hpc6a.48xlarge", 96, False),
    )
}
CONFIG: dict[str, Any] = {
    "on_demand_types": ("m5:1", "m5.xlarge:9"),
    "spot_fleet_types": ("m5", "hpc6a"),
    "hyperthreading": True,
    "prices": {},
    "pricing_file": None,
    "discount_aws": 0.0,
}
ZONES = {name: frozenset({"a", "b"}) for name in TYPES} | {"m5.large": frozenset({"a"})}


@pytest.mark.parametrize("text", ["c5a", "c5a.large", "c5a:3", "c5a.large:9999", "u-6tb1.metal"])
def test_configuration_and_adapter_read_the_lists_alike(text: str) -> None:
    assert kind_of(text) == pattern_of(text)


def test_a_type_named_itself_has_its_own_priority_whatever_the_order() -> None:
    for kinds in (("m5:1", "m5.xlarge:9"), ("m5.xlarge:9", "m5:1")):
        assert chosen(kinds, TYPES) == {"m5.large": 1, "m5.xlarge": 9}


def test_bare_metal_comes_only_by_its_name() -> None:
    assert "m5.metal" not in chosen(("m5",), TYPES)
    assert chosen(("m5.metal",), TYPES) == {"m5.metal": 0}


def test_types_that_cannot_be_spot_are_not_offered_so() -> None:
    found = list(offers_of("r", CONFIG, "t", TYPES, ZONES, lambda *_: 0.1))
    assert {(offer.instance_type, offer.market) for offer in found} == {
        ("m5.large", "spot"),
        ("m5.xlarge", "spot"),
        ("m5.large", "on-demand"),
        ("m5.xlarge", "on-demand"),
    }
    assert len({offer.offering for offer in found}) == len(found) == 6, "m5.large is in one zone"


def test_a_price_of_none_means_that_it_is_not_to_be_had() -> None:
    found = list(offers_of("r", CONFIG, "t", TYPES, ZONES, lambda kind, zone, market: 0.0 if zone == "a" else None))
    assert {offer.zone for offer in found} == {"a"}


def test_without_second_threads_jobs_get_physical_cores() -> None:
    (offer, *_) = offers_of("r", CONFIG | {"hyperthreading": False}, "t", TYPES, ZONES, lambda *_: 0.1)
    assert (offer.instance_type, offer.capacity.cores) == ("m5.large", 1)


@pytest.mark.parametrize("hyperthreading", [True, False])
def test_every_vcpu_of_a_menus_offer_counts_against_the_limit(hyperthreading: bool) -> None:
    found = offers_of("r", CONFIG | {"hyperthreading": hyperthreading}, "t", TYPES, ZONES, lambda *_: 0.1)
    assert {(offer.instance_type, offer.billed) for offer in found} == {
        ("m5.large", Capacity(2, 8192)),
        ("m5.xlarge", Capacity(4, 16384)),
    }


@pytest.mark.parametrize(
    ("zones", "subnets", "of_subnet", "allowed"),
    [
        ((), {}, None, None),
        (("a",), {}, None, {"a"}),
        ((), {"a": "s", "b": "t"}, None, {"a", "b"}),
        (("b",), {"a": "s", "b": "t"}, None, {"b"}),
        ((), {}, "c", {"c"}),
        (("a",), {}, "c", set()),
    ],
)
def test_zones(
    zones: tuple[str, ...], subnets: dict[str, str], of_subnet: str | None, allowed: set[str] | None
) -> None:
    config = {"availability_zones": zones, "subnets": subnets}
    assert allowed_zones(config, of_subnet) == allowed


# -- prices ----------------------------------------------------------------------------------------------------------


def product(kind: str, amount: str, unit: str = "Hrs") -> str:
    """One element of PriceList, as the Price List API gives them (shortened)."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": amount}, "description": f"{kind} Linux"}
    return json.dumps(
        {
            "product": {"productFamily": "Compute Instance", "attributes": {"instanceType": kind}},
            "terms": {"OnDemand": {"S.T": {"priceDimensions": {"S.T.D": dimension}}}, "Reserved": {}},
        }
    )


def test_prices_of_the_price_list() -> None:
    products = [product("m5.large", "0.0960000000"), product("m5.metal", "0.0"), product("m5.xlarge", "7", "Quantity")]
    assert listed([*products, json.dumps({"product": {"attributes": {}}})]) == {"m5.large": 0.096}


@pytest.mark.parametrize("text", ["[]", "nothing", '{"m5.large": "cheap"}', '{"m5.large": {"spot": 1}}', '{"m": true}'])
def test_a_file_that_is_no_price_list(text: str) -> None:
    with pytest.raises(ValueError):
        from_file(text)


def record(kind: str, zone: str, price: str, hour: int) -> dict[str, Any]:
    at = datetime(2026, 11, 20, hour, tzinfo=UTC)
    return {"InstanceType": kind, "AvailabilityZone": zone, "SpotPrice": price, "Timestamp": at}


def test_the_newest_spot_price_counts() -> None:
    records = [
        record("m5.large", "a", "0.03", 5),
        record("m5.large", "a", "0.04", 7),
        record("m5.large", "a", "0.01", 6),
    ]
    assert spot_prices(records) == {("m5.large", "a"): 0.04}


@pytest.mark.parametrize(
    "odd",
    [
        product("m5.xlarge", "NA"),
        product("m5.xlarge", "Infinity"),
        "{",
        "[]",
        "null",
        json.dumps({"product": None}),
        json.dumps({"terms": {"OnDemand": ["x"]}}),
        json.dumps({"terms": {"OnDemand": {"x": {"priceDimensions": {"y": {"pricePerUnit": {"USD": None}}}}}}}),
    ],
)
def test_an_odd_product_of_the_price_list_drops_only_itself(odd: str) -> None:
    assert listed([odd, product("m5.large", "0.0960000000")]) == {"m5.large": 0.096}


def test_an_odd_spot_price_drops_only_itself() -> None:
    good = record("m5.large", "a", "0.05", 1)
    by_id = {key: value for key, value in good.items() if key != "AvailabilityZone"} | {
        "AvailabilityZoneId": "use1-az1"
    }
    assert spot_prices([by_id, good | {"SpotPrice": "NA"}, good | {"SpotPrice": "nan"}, good]) == {
        ("m5.large", "a"): 0.05
    }


def test_an_odd_machine_type_drops_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch)
    odd = [{"MemoryInfo": {"SizeInMiB": 1}}, {"InstanceType": "c5.large", "VCpuInfo": {"DefaultVCpus": "two"}}]
    good = {"InstanceType": "m5.large", "VCpuInfo": {"DefaultVCpus": 2}, "MemoryInfo": {"SizeInMiB": 8192}}
    monkeypatch.setattr(AwsCalls, "pages", lambda *_args, **_keys: iter([*odd, good]))
    found = Catalogue(AwsCalls(SHARED), HandClock(0.0), "t", {}).types(["*5.large"])
    assert {name: kind.vcpus for name, kind in found.items()} == {"m5.large": 2}


def prices(clock: HandClock) -> tuple[Prices, Stubber, Stubber]:
    calls, elsewhere = AwsCalls(SHARED), AwsCalls(SHARED).in_region(LIST_REGION)
    ec2, pricing = Stubber(calls.client("ec2")), Stubber(elsewhere.client("pricing"))
    ec2.activate()
    pricing.activate()
    return Prices(calls, elsewhere, Due(clock, "t"), "us-west-2"), ec2, pricing


def test_the_price_list_is_asked_for_the_region_a_page_at_a_time_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch)
    found, _, pricing = prices(HandClock(1_800_000_000.0))
    pages: list[dict[str, Any]] = [
        {"PriceList": [product("m5.large", "0.096")], "NextToken": "more"},
        {"PriceList": [product("m5.xlarge", "0.192")]},
    ]
    filters = {"ServiceCode": "AmazonEC2", "Filters": ANY}
    pricing.add_response("get_products", pages[0], filters)
    pricing.add_response("get_products", pages[1], filters | {"NextToken": "more"})
    for _ in range(2):
        found.learn_on_demand(CONFIG, {"m5.large", "m5.xlarge"})
    pricing.assert_no_pending_responses()
    config = CONFIG | {"discount_aws": 50.0}
    assert found.price(config, "m5.xlarge", "a", "on-demand") == pytest.approx(0.096)
    assert found.price(config, "r5.large", "a", "on-demand") == 0.0


def test_nobody_asks_for_the_list_when_all_prices_are_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch)
    found, _, _ = prices(HandClock(1_800_000_000.0))
    config = CONFIG | {"prices": {"m5.large": 0.1}}
    found.learn_on_demand(config, {"m5.large"})
    assert found.price(config, "m5.large", "a", "on-demand") == 0.1


def test_spot_prices_by_zone_and_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch)
    clock = HandClock(1_800_000_000.0)
    found, ec2, _ = prices(clock)
    assert found.price(CONFIG, "m5.large", "a", "spot") == 0.0, "not known yet"
    for cents in ("0.03", "0.05"):
        ec2.add_response("describe_spot_price_history", {"SpotPriceHistory": [record("m5.large", "a", cents, 5)]})
    found.learn_spot({"m5.large"})
    found.learn_spot({"m5.large"})
    assert found.price(CONFIG, "m5.large", "a", "spot") == 0.03
    assert found.price(CONFIG, "m5.large", "", "spot") == 0.03, "anywhere: the cheapest"
    assert found.price(CONFIG, "m5.large", "b", "spot") is None
    clock.at += 700
    found.learn_spot({"m5.large"})
    assert found.price(CONFIG, "m5.large", "a", "spot") == 0.05


def test_prices_that_cannot_be_read_again_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials(monkeypatch)
    clock = HandClock(1_800_000_000.0)
    found, ec2, _ = prices(clock)
    ec2.add_response("describe_spot_price_history", {"SpotPriceHistory": [record("m5.large", "a", "0.03", 5)]})
    found.learn_spot({"m5.large"})
    clock.at += 700
    ec2.add_client_error("describe_spot_price_history", "RequestLimitExceeded", http_status_code=503)
    found.learn_spot({"m5.large"})
    ec2.assert_no_pending_responses()
    assert found.price(CONFIG, "m5.large", "a", "spot") == 0.03


# -- when to ask -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [TransientError("down"), ValueError("NA"), KeyError("Quota"), TypeError("None"), AttributeError("get")]
)
def test_what_is_asked_again_when(error: Exception) -> None:
    clock, asked = HandClock(1_800_000_000.0), []
    due = Due(clock, "t")

    def ask() -> None:
        asked.append(clock.monotonic())

    def fail() -> None:
        ask()
        raise error

    due("x", 1000.0, ask)
    due("x", 1000.0, ask)
    assert len(asked) == 1
    due("x", 1000.0, ask, missing=True)
    assert len(asked) == 1, "what EC2 does not have is not asked for at every poll"
    clock.at += 301
    due("x", 1000.0, ask)
    assert len(asked) == 1
    due("x", 1000.0, ask, missing=True)
    assert len(asked) == 2
    clock.at += 1001
    due("x", 1000.0, fail)
    due("x", 1000.0, fail)
    assert len(asked) == 3, "after a failure not at once"
    clock.at += 301
    due("x", 1000.0, ask)
    assert len(asked) == 4


def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
