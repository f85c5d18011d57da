"""``check-cloud`` for a menu: what is on offer, and what a launch of the first in line needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from ec2_rig import calls
from ec2_site import Ec2Site, Fault, ec2_site

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.menu_check import check_menu
from dynamiccluster.clouds.registry import check_resource
from dynamiccluster.config.schema_cloud_xspot import XspotConfig
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.check import Finding, FindingState
from dynamiccluster.model.menu import Menu
from dynamiccluster.model.resource import Resource
from dynamiccluster.testing.runner import FakeRunner

RESOURCE = Resource("menu", "xspot", "t", Capacity(), max_nodes=4, menu=Menu())
OK, WRONG, DENIED, UNKNOWN = FindingState
CONFIG: dict[str, Any] = {
    "access_key_id": "key",
    "secret_access_key": "secret",
    "region_name": "us-east-1",
    "image_id": "ami-12c6146b",
    "on_demand_types": ["c5.large"],
    "spot_fleet_types": ["m5"],
    "availability_zones": ["us-east-1a", "us-east-1b"],
    "prices": {"c5.large": 0.085},
}


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        yield site


@pytest.fixture
def site(running: Ec2Site) -> Ec2Site:
    running.faults.clear()
    running.most_vcpus = 10_000
    return running


def found(site: Ec2Site, resource: Resource = RESOURCE, **more: Any) -> dict[str, Finding]:
    config = dict(XspotConfig.model_validate(CONFIG | {"endpoint_url": site.url} | more))
    return {one.subject: one for one in check_menu(resource, config, "c1", SystemClock(), calls(site))}


def test_a_menu_that_can_be_launched(site: Ec2Site) -> None:
    findings = found(site)
    assert {one.state for one in findings.values()} == {OK}, findings
    assert findings["offers, on-demand"].message == "2 offers: 1 type in us-east-1a, us-east-1b"
    assert {"credentials", "may launch", "image ami-12c6146b"} <= findings.keys()


def test_entries_that_name_nothing(site: Ec2Site) -> None:
    findings = found(site, on_demand_types=["c5.large", "zz9"])
    assert findings["on_demand_types: zz9"].state is WRONG


def test_a_market_without_offers(site: Ec2Site) -> None:
    findings = found(site, availability_zones=["us-east-1x"])
    assert findings["offers, spot"].state is WRONG
    assert findings["offers, on-demand"].state is WRONG


def test_prices_that_nobody_knows(site: Ec2Site) -> None:
    site.faults.append(Fault("", "AccessDeniedException"))
    finding = found(site, prices={})["offers, on-demand"]
    assert finding.state is UNKNOWN
    assert "no price of c5.large" in finding.message


def test_an_image_that_is_not_there(site: Ec2Site) -> None:
    assert found(site, image_id="nobody")["image nobody"].state is not OK


def test_missing_rights_to_launch(site: Ec2Site) -> None:
    site.faults.append(Fault("RunInstances", "UnauthorizedOperation"))
    assert found(site)["may launch"].state is DENIED


def test_credentials_that_are_none(site: Ec2Site) -> None:
    site.faults += [Fault(call, "AuthFailure") for call in ("GetCallerIdentity", "DescribeInstanceTypes")]
    findings = found(site)
    assert list(findings) == ["credentials"]


def test_the_registry_knows_menus(site: Ec2Site) -> None:
    config = dict(XspotConfig.model_validate(CONFIG | {"endpoint_url": site.url}))
    several = check_resource("xspot", RESOURCE, config, cluster_id="c1", runner=FakeRunner())
    assert "offers, spot" in {finding.subject for finding in several}


FLEETS = replace(RESOURCE, menu=Menu(fleet=True))
FLEET_RIGHTS = {
    "CreateFleet": "may launch by fleet",
    "CreateLaunchTemplate": "may make launch templates",
    "DescribeLaunchTemplates": "may list launch templates",
    "DeleteLaunchTemplate": "may delete launch templates",
}


def test_what_fleets_need_is_looked_at_where_they_are_used(site: Ec2Site) -> None:
    findings = found(site, FLEETS)
    assert {findings[subject].state for subject in FLEET_RIGHTS.values()} == {OK}, findings
    assert not calls(site).client("ec2").describe_launch_templates()["LaunchTemplates"], "nothing is made"
    assert not set(FLEET_RIGHTS.values()) & found(site).keys()


@pytest.mark.parametrize("call", list(FLEET_RIGHTS))
def test_rights_that_fleets_lack(site: Ec2Site, call: str) -> None:
    site.faults.append(Fault(call, "UnauthorizedOperation"))
    finding = found(site, FLEETS)[FLEET_RIGHTS[call]]
    assert finding.state is DENIED
    assert f"ec2:{call}" in finding.fix


def test_what_ec2_says_of_a_fleet_is_told(site: Ec2Site) -> None:
    site.faults.append(Fault("CreateFleet", "InvalidParameterValue"))
    assert found(site, FLEETS)["may launch by fleet"].state is WRONG


def test_the_tags_of_a_template_are_rehearsed_too(site: Ec2Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The right to tag may be given for some actions only."""
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(AwsCalls, "rehearse", lambda self, ask, **request: asked.append(request))
    found(site, FLEETS)
    (template,) = [one for one in asked if "LaunchTemplateData" in one]
    assert template["TagSpecifications"][0]["ResourceType"] == "launch-template"


def test_a_script_that_differs_from_node_to_node_needs_no_fleets(site: Ec2Site, tmp_path: Any) -> None:
    (tmp_path / "script").write_text("echo {{ host_name }}\n", "utf-8")
    assert not set(FLEET_RIGHTS.values()) & found(site, FLEETS, userdata_file=str(tmp_path / "script")).keys()
