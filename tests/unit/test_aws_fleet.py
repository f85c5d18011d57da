"""Launches of which EC2 chooses the kind of machine, and the launch templates that they need."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from ec2_rig import calls
from ec2_site import Ec2Site, Fault, HandClock, ec2_site

from dynamiccluster.clouds.aws import fleet_map
from dynamiccluster.clouds.aws.adapter import AwsCloud
from dynamiccluster.clouds.aws.fleet_map import create_fleet, made_of, nothing, refused_by, template_name, template_of
from dynamiccluster.clouds.aws.fleets import DENIED_FOR_S
from dynamiccluster.clouds.aws.templates import UNUSED_S
from dynamiccluster.clouds.userdata import UserData, user_data
from dynamiccluster.config.schema_cloud_xspot import XspotConfig
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    CapacityError,
    DynamicClusterError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.model.action import NodeSpec, PartialLaunch
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.resource import Resource

KEYS = {"access_key_id": "k", "secret_access_key": "s", "region_name": "us-east-1", "image_id": "ami-12c6146b"}
TYPES = {"spot_fleet_types": ["c5.large", "m5.large"], "launch_by": "fleet"}


def offer(zone: str, kind: str, **more: Any) -> Offer:
    offering = f"t/us-east-1{zone}/{kind}/spot"
    fields = {"instance_type": kind, "zone": f"us-east-1{zone}", "market": "spot", "price_per_hour": 0.03, **more}
    return Offer("r", Capacity(2, 3584), offering=offering, **fields)


OFFERS = (offer("a", "c5.large"), offer("b", "c5.large"), offer("a", "m5.large"), offer("b", "m5.large"))
FIRST, THERE, OTHER, LAST = OFFERS
RESOURCE = Resource("r", "xspot", "t", Capacity(2, 3584), max_nodes=9, offering=FIRST.offering, any_of=OFFERS)


def config(url: str = "", **more: Any) -> dict[str, Any]:
    return dict(XspotConfig.model_validate(KEYS | TYPES | ({"endpoint_url": url} if url else {}) | more))


def specs(count: int, prefix: str = "r") -> list[NodeSpec]:
    return [NodeSpec(f"n{number}", f"{prefix}-n{number}") for number in range(count)]


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        yield site


@pytest.fixture
def site(running: Ec2Site) -> Ec2Site:
    running.clear()
    running.deepest, running.gives, running.stock = (), "", 1_000_000
    return running


def cloud(site: Ec2Site, clock: HandClock | None = None, script: UserData | None = None, **more: Any) -> AwsCloud:
    scripts = {"r": script} if script else {}
    made = HandClock(time.time()) if clock is None else clock
    return AwsCloud(made, "c1", "t", calls(site), {"r": config(site.url, **more)}, scripts)


def described(site: Ec2Site) -> list[dict[str, Any]]:
    found = calls(site).client("ec2").describe_instances()["Reservations"]
    return [one for reservation in found for one in reservation["Instances"]]


def templates(site: Ec2Site) -> list[str]:
    found = calls(site).client("ec2").describe_launch_templates()["LaunchTemplates"]
    return [one["LaunchTemplateName"] for one in found]


# -- the request ----------------------------------------------------------------------------------------------


def test_ec2_chooses_among_the_offers_and_the_others_join_the_first(site: Ec2Site) -> None:
    site.deepest = ("us-east-1b/m5.large",)
    ours = cloud(site)
    made = ours.launch("l", RESOURCE, specs(4))
    assert [one.node_id for one in made] == ["n0", "n1", "n2", "n3"]
    assert {one.offering for one in made} == {LAST.offering}
    assert not isinstance(made, PartialLaunch)
    assert (site.calls["CreateFleet"], site.calls["RunInstances"]) == (1, 1)
    seen = {one.instance_id: one for one in ours.list_instances().instances}
    assert {(seen[one.instance_id].node_id, seen[one.instance_id].host_name) for one in made} == {
        (spec.node_id, spec.host_name) for spec in specs(4)
    }
    assert {one.offering for one in seen.values()} == {LAST.offering}, "also of the machine without such a tag"
    assert {(one["InstanceType"], one["Placement"]["AvailabilityZone"]) for one in described(site)} == {
        ("m5.large", "us-east-1b")
    }
    assert {one.get("InstanceLifecycle") for one in described(site)} == {"spot"}


def test_more_nodes_than_one_request_takes(site: Ec2Site) -> None:
    made = cloud(site).launch("l", RESOURCE, specs(105))
    assert len({one.instance_id for one in made}) == len({one.node_id for one in made}) == 105
    assert (site.calls["CreateFleet"], site.calls["RunInstances"]) == (1, 2)


def test_machines_are_as_the_configuration_says(site: Ec2Site, tmp_path: Any) -> None:
    ec2 = calls(site).client("ec2")
    subnets = {one["AvailabilityZone"]: one["SubnetId"] for one in ec2.describe_subnets()["Subnets"]}
    (group,) = [one["GroupId"] for one in ec2.describe_security_groups()["SecurityGroups"]][:1]
    if not ec2.describe_key_pairs()["KeyPairs"]:
        ec2.create_key_pair(KeyName="admin")
    (tmp_path / "script").write_text("#!/bin/sh\necho {{ cluster_id }} {{ launch_id }}\n", "utf-8")
    keys = {
        "subnets": {zone: subnets[zone] for zone in ("us-east-1a", "us-east-1b")},
        "security_groups": [group],
        "key_name": "admin",
        "tags": {"project": "hpc"},
        "userdata_file": str(tmp_path / "script"),
    }
    site.deepest = ("us-east-1b/c5.large",)
    script = user_data(config(**keys), "c1")
    cloud(site, script=script, **keys).launch("l", RESOURCE, specs(1))
    (made,) = described(site)
    assert made["SubnetId"] == subnets["us-east-1b"]
    assert [one["GroupId"] for one in made["SecurityGroups"]] == [group]
    assert made["KeyName"] == "admin"
    assert made["ImageId"] == KEYS["image_id"]
    assert {"Key": "project", "Value": "hpc"} in made["Tags"]
    said = ec2.describe_instance_attribute(InstanceId=made["InstanceId"], Attribute="userData")
    assert "UserData" in said
    (known,) = ec2.describe_launch_template_versions(LaunchTemplateName=templates(site)[0])["LaunchTemplateVersions"]
    data = known["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert "UserData" not in data, "secrets in it would stay"
    assert "SubnetId" not in data


def test_user_data_go_with_the_request_and_not_into_the_template() -> None:
    request = create_fleet(
        config(), OFFERS, template="n", token="t", tags={"dynamiccluster:cluster": "c"}, user_data="x"
    )
    (one,) = request["LaunchTemplateConfigs"]
    assert one["LaunchTemplateSpecification"][fleet_map.USER_DATA] == "eA=="
    assert request["SpotOptions"]["AllocationStrategy"] == "capacity-optimized"
    assert request["TargetCapacitySpecification"]["TotalTargetCapacity"] == 1


def test_priorities_go_along_where_the_strategy_minds_them() -> None:
    offers = (
        offer("a", "c5.large", priority=-3),
        offer("a", "m5.large", priority=-7),
        offer("b", "c5.large", priority=-3),
    )
    more: dict[str, Any] = {"template": "n", "token": "t", "tags": {"dynamiccluster:cluster": "c"}, "user_data": ""}
    keys = config(spot_allocation_strategy="capacity-optimized-prioritized", spot_bid=0.25)
    overrides = create_fleet(keys, offers, **more)["LaunchTemplateConfigs"][0]["Overrides"]
    assert [one["Priority"] for one in overrides] == [1.0, 0.0, 1.0], "the bigger number is preferred in the file"
    assert {one["MaxPrice"] for one in overrides} == {"0.2500"}
    overrides = create_fleet(config(), offers, **more)["LaunchTemplateConfigs"][0]["Overrides"]
    assert all("Priority" not in one and "MaxPrice" not in one for one in overrides)


def test_a_public_address_is_asked_for_without_a_subnet_of_the_templates_own() -> None:
    keys = config(subnets={"us-east-1a": "subnet-1"}, use_public_ip_address=True, security_groups=["sg-1"])
    (interface,) = template_of("c1", "r", keys, FIRST)["NetworkInterfaces"]
    assert interface["AssociatePublicIpAddress"]
    assert interface["Groups"] == ["sg-1"]
    assert "SubnetId" not in interface


# -- templates ------------------------------------------------------------------------------------------------


def test_a_template_is_made_once_for_the_same_settings(site: Ec2Site) -> None:
    ours = cloud(site)
    ours.launch("l", RESOURCE, specs(1))
    ours.launch("m", replace(RESOURCE, any_of=(LAST, FIRST), offering=LAST.offering), specs(1))
    assert site.calls["CreateLaunchTemplate"] == 1
    cloud(site).launch("n", RESOURCE, specs(1))
    assert len(templates(site)) == 1, "one that is there is taken, also by the next process"
    cloud(site, key_name="other").launch("o", RESOURCE, specs(1))
    assert len(templates(site)) == 2


def test_the_name_tells_installations_and_settings_apart() -> None:
    data = template_of("c1", "r", config(), FIRST)
    assert template_name("c1", data) == template_name("c1", dict(reversed(data.items())))
    assert template_name("c1", data) != template_name("c2", data)
    assert template_name("c1", data) != template_name("c1", data | {"KeyName": "x"})


def test_templates_that_nobody_needs_are_swept(site: Ec2Site) -> None:
    ec2 = calls(site).client("ec2")
    other = "dynamiccluster-c1-north-0123456789abcdef"  # of the installation c1-north
    theirs = [{"ResourceType": "launch-template", "Tags": [{"Key": "dynamiccluster:cluster", "Value": "c1-north"}]}]
    ec2.create_launch_template(
        LaunchTemplateName=other, LaunchTemplateData={"ImageId": "ami-1"}, TagSpecifications=theirs
    )
    clock = HandClock(ec2.describe_launch_templates()["LaunchTemplates"][0]["CreateTime"].timestamp())
    cloud(site, clock, key_name="old").launch("l", RESOURCE, specs(1))
    old = set(templates(site)) - {other}
    ours = cloud(site, clock)
    ours.launch("m", RESOURCE, specs(1))
    assert old < set(templates(site)), "it is not old yet"
    clock.at += UNUSED_S + 60
    ours.launch("n", RESOURCE, specs(1))
    used = set(templates(site)) - old - {other}
    cloud(site, clock, imds_hop_limit=3).launch("o", RESOURCE, specs(1))
    assert not old & set(templates(site))
    assert other in templates(site)
    assert used.isdisjoint(templates(site)), "another process does not know who uses it; it is made anew"
    with pytest.raises(TransientError):
        ours.launch("p", RESOURCE, specs(1))
    assert ours.launch("q", RESOURCE, specs(1))


def test_templates_of_the_sites_own_with_our_tag_stay(site: Ec2Site) -> None:
    ec2 = calls(site).client("ec2")
    tags = [{"ResourceType": "launch-template", "Tags": [{"Key": "dynamiccluster:cluster", "Value": "c1"}]}]
    ec2.create_launch_template(
        LaunchTemplateName="dynamiccluster-c10-x", LaunchTemplateData={"ImageId": "ami-1"}, TagSpecifications=tags
    )
    cloud(site, HandClock(time.time() + 9 * UNUSED_S)).launch("l", RESOURCE, specs(1))
    assert "dynamiccluster-c10-x" in templates(site)


def test_the_sites_tags_are_on_everything_that_is_made(site: Ec2Site) -> None:
    keys = {"tags": {"project": "hpc", "dynamiccluster:cluster": "c2"}}
    cloud(site, **keys).launch("l", RESOURCE, specs(1))
    (made,) = calls(site).client("ec2").describe_launch_templates()["LaunchTemplates"]
    tags = {one["Key"]: one["Value"] for one in made["Tags"]}
    assert tags == {"project": "hpc", "dynamiccluster:cluster": "c1"}
    data = template_of("c1", "r", config(**keys), FIRST)
    request = create_fleet(
        config(**keys), OFFERS, template="n", token="t", tags={"dynamiccluster:cluster": "c1"}, user_data=""
    )
    kinds = [one["ResourceType"] for of in (data, request) for one in of["TagSpecifications"]]
    assert sorted(kinds) == ["fleet", "instance", "network-interface", "spot-instances-request", "volume"]


def test_sweeping_is_in_nobodys_way(site: Ec2Site, caplog: pytest.LogCaptureFixture) -> None:
    site.faults.append(Fault("DescribeLaunchTemplates", "UnauthorizedOperation"))
    with caplog.at_level(logging.WARNING):
        assert cloud(site).launch("l", RESOURCE, specs(1))
    assert "could not be deleted" in caplog.text


# -- what comes of it -----------------------------------------------------------------------------------------


def sold_out(*offers: Offer) -> list[Fault]:
    short = "InsufficientInstanceCapacity"
    return [Fault("RunInstances", short, instance_type=one.instance_type, zone=one.zone) for one in offers]


def test_what_is_sold_out_is_told_of_each_though_another_gave_a_machine(site: Ec2Site) -> None:
    site.faults += sold_out(FIRST, THERE)
    made = cloud(site).launch("l", RESOURCE, specs(2))
    assert [one.offering for one in made] == [OTHER.offering] * 2
    assert isinstance(made, PartialLaunch)
    assert isinstance(made.error, CapacityError)
    assert made.error.sold_out == (FIRST.offering, THERE.offering)


def test_nothing_is_a_lack_of_everything_that_was_asked_for(site: Ec2Site) -> None:
    site.faults += sold_out(*OFFERS)
    with pytest.raises(CapacityError) as raised:
        cloud(site).launch("l", RESOURCE, specs(2))
    assert set(raised.value.sold_out) == {one.offering for one in OFFERS}
    assert raised.value.offering == FIRST.offering
    assert not described(site)
    assert "RunInstances" not in site.calls


def test_a_pool_that_has_one_only_gives_a_part(site: Ec2Site) -> None:
    site.stock = 1
    made = cloud(site).launch("l", RESOURCE, specs(3))
    assert isinstance(made, PartialLaunch)
    assert [one.node_id for one in made] == ["n0"]
    assert made.error.offering == FIRST.offering
    site.stock = 3
    made = cloud(site).launch("m", RESOURCE, specs(3, "s"))
    assert isinstance(made, PartialLaunch)
    assert isinstance(made.error, CapacityError)
    assert [one.node_id for one in made] == ["n0", "n1"]


def test_something_that_nobody_asked_for_gets_no_company(site: Ec2Site) -> None:
    site.gives = "us-east-1c/r5.large"
    ours = cloud(site)
    made = ours.launch("l", RESOURCE, specs(3))
    assert isinstance(made, PartialLaunch)
    assert [one.offering for one in made] == ["t/us-east-1c/r5.large/spot"]
    assert "RunInstances" not in site.calls
    (seen,) = ours.list_instances().instances
    assert (seen.node_id, seen.offering) == ("n0", "t/us-east-1c/r5.large/spot")


def test_after_a_lost_reply_the_same_launch_finds_its_machines_and_the_list_tells_what_they_are(site: Ec2Site) -> None:
    site.deepest = ("us-east-1b/m5.large",)
    site.faults.append(Fault("CreateFleet", "lost", times=1))
    ours = cloud(site)
    with pytest.raises(UnknownOutcomeError):
        ours.launch("l", RESOURCE, specs(3))
    (seen,) = ours.list_instances().instances
    assert (seen.node_id, seen.launch_id, seen.offering) == ("n0", "l", LAST.offering)
    again = ours.launch("l", RESOURCE, specs(3))
    assert again[0].instance_id == seen.instance_id
    assert len(ours.list_instances().instances) == len(again) == 3


def test_a_lost_reply_of_the_others_is_settled_like_any(site: Ec2Site) -> None:
    site.faults.append(Fault("RunInstances", "lost", times=1))
    ours = cloud(site)
    with pytest.raises(UnknownOutcomeError):
        ours.launch("l", RESOURCE, specs(3))
    assert len(ours.launch("l", RESOURCE, specs(3))) == 3
    assert len(ours.list_instances().instances) == 3


CELLS: dict[str, tuple[str, type[DynamicClusterError]]] = {
    "quota": ("VcpuLimitExceeded", QuotaError),
    "a template that is not there": ("InvalidLaunchTemplateName.NotFoundException", TransientError),
    "a name that EC2 does not take": ("InvalidLaunchTemplateName.MalformedException", BadConfigError),
    "throttle": ("RequestLimitExceeded", ThrottledError),
    "auth": ("UnauthorizedOperation", AuthError),
    "no role": ("AuthFailure.ServiceLinkedRoleCreationNotPermitted", AuthError),
    "5xx": ("InternalError", UnknownOutcomeError),
    "unheard of": ("InvalidParameterCombination", BadConfigError),
    "another request": ("IdempotentParameterMismatch", UnknownOutcomeError),
}


@pytest.mark.parametrize("name", list(CELLS))
def test_what_the_adapter_raises_of_a_fleet(site: Ec2Site, name: str) -> None:
    code, expected = CELLS[name]
    site.faults.append(Fault("CreateFleet", code, times=1))
    with pytest.raises(expected) as raised:
        cloud(site).launch("l", RESOURCE, specs(2))
    assert type(raised.value) is expected
    assert getattr(raised.value, "offering", "") == FIRST.offering
    assert not described(site)
    if expected is AuthError:
        assert "AWSServiceRoleForEC2Spot" in str(raised.value)


DENIED = ("UnauthorizedOperation", "AuthFailure.ServiceLinkedRoleCreationNotPermitted")


@pytest.mark.parametrize("action", ["CreateLaunchTemplate", "CreateFleet"])
@pytest.mark.parametrize("code", DENIED)
def test_who_may_not_use_fleets_and_has_not_asked_for_them_launches_as_before(
    site: Ec2Site, caplog: pytest.LogCaptureFixture, action: str, code: str
) -> None:
    site.faults.append(Fault(action, code))
    clock = HandClock(time.time())
    ours = cloud(site, clock, launch_by=None)
    with caplog.at_level(logging.WARNING):
        made = ours.launch("l", RESOURCE, specs(3))
        assert ours.launch("m", RESOURCE, specs(1))
    assert [(one.node_id, one.offering) for one in made] == [(spec.node_id, FIRST.offering) for spec in specs(3)]
    assert site.calls[action] == 1, "it is not asked for again at once"
    (said,) = [one.getMessage() for one in caplog.records if "RunInstances instead" in one.getMessage()]
    assert "ec2:CreateFleet" in said
    clock.at += DENIED_FOR_S
    site.faults.clear()
    ours.launch("n", RESOURCE, specs(1))
    assert site.calls["CreateFleet"] >= 1, "the permission may have come"


def test_what_a_pool_may_not_have_is_a_matter_of_permission_too(site: Ec2Site) -> None:
    site.faults += [
        Fault("CreateFleet", "UnauthorizedOperation", instance_type=one.instance_type, zone=one.zone, times=1)
        for one in OFFERS
    ]
    assert cloud(site, launch_by=None).launch("l", RESOURCE, specs(1))


def test_what_ec2_does_not_take_as_a_fleet_it_may_take_otherwise(site: Ec2Site) -> None:
    site.faults.append(Fault("CreateFleet", "InvalidFleetConfiguration", times=1))
    ours = cloud(site, launch_by=None)
    assert len(ours.launch("l", RESOURCE, specs(3))) == 3
    ours.launch("m", RESOURCE, specs(1))
    assert (site.calls["CreateFleet"], site.calls["RunInstances"]) == (2, 1), "the next may be better"


def test_what_every_pool_refuses_may_be_the_fault_of_the_fleet(site: Ec2Site) -> None:
    site.deepest = ("us-east-1b/m5.large",)
    site.faults += [
        Fault("CreateFleet", "InvalidParameterValue", instance_type=one.instance_type, zone=one.zone, times=1)
        for one in OFFERS
    ]
    (made,) = cloud(site, launch_by=None).launch("l", RESOURCE, specs(1))
    assert made.offering == FIRST.offering


def test_an_offer_that_is_wrong_is_wrong_either_way(site: Ec2Site) -> None:
    site.faults += [
        Fault("RunInstances", "InvalidParameterValue", instance_type=one.instance_type, zone=one.zone) for one in OFFERS
    ]
    with pytest.raises(BadConfigError) as raised:
        cloud(site, launch_by=None).launch("l", RESOURCE, specs(1))
    assert raised.value.offering == FIRST.offering


def test_who_is_not_known_launches_in_no_way(site: Ec2Site) -> None:
    site.faults.append(Fault("CreateFleet", "AuthFailure"))
    with pytest.raises(AuthError):
        cloud(site, launch_by=None).launch("l", RESOURCE, specs(1))
    assert "RunInstances" not in site.calls


@pytest.mark.parametrize(
    ("code", "expected"),
    [("UnauthorizedOperation", AuthError), ("InternalError", TransientError), ("RequestLimitExceeded", ThrottledError)],
)
def test_a_template_that_cannot_be_made_launches_nothing(
    site: Ec2Site, code: str, expected: type[DynamicClusterError]
) -> None:
    site.faults.append(Fault("CreateLaunchTemplate", code, times=1))
    ours = cloud(site)
    with pytest.raises(expected) as raised:
        ours.launch("l", RESOURCE, specs(1))
    assert type(raised.value) is expected, "certainly nothing, whatever became of the template"
    assert ours.launch("l", RESOURCE, specs(1))


def error(code: str, one: Offer | None = FIRST) -> dict[str, Any]:
    said: dict[str, Any] = {"ErrorCode": code, "ErrorMessage": "m"}
    if one is not None:
        override = {"InstanceType": one.instance_type, "AvailabilityZone": one.zone}
        said["LaunchTemplateAndOverrides"] = {"Overrides": override}
    return said


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        (["InsufficientInstanceCapacity", "InvalidParameterValue"], CapacityError),
        (["InsufficientInstanceCapacity", "MaxSpotInstanceCountExceeded"], QuotaError),
        (["InsufficientInstanceCapacity", "UnauthorizedOperation"], AuthError),
        (["InsufficientInstanceCapacity", "RequestLimitExceeded"], ThrottledError),
        (["InvalidFleetConfiguration"], BadConfigError),
        (["InternalError", "InvalidFleetConfiguration"], TransientError),
        (["SpotMaxPriceTooLow"], CapacityError),
        ([], UnknownOutcomeError),
    ],
)
def test_the_gravest_of_several_errors_counts(codes: list[str], expected: type[DynamicClusterError]) -> None:
    reply = {"FleetId": "f", "Errors": [error(code, one) for code, one in zip(codes, OFFERS, strict=False)]}
    raised = nothing(refused_by(reply, config(), OFFERS, "t"), OFFERS)
    assert type(raised) is expected


def test_what_is_wrong_with_one_offer_is_not_laid_to_another() -> None:
    reply = {"FleetId": "f", "Errors": [error("InvalidParameterValue", OTHER)]}
    raised = nothing(refused_by(reply, config(), OFFERS, "t"), OFFERS)
    assert isinstance(raised, BadConfigError)
    assert raised.offering == OTHER.offering


def test_the_adapter_says_which_offer_is_wrong(site: Ec2Site) -> None:
    site.faults.append(Fault("RunInstances", "InvalidParameterValue", instance_type="c5.large", zone="us-east-1b"))
    with pytest.raises(BadConfigError) as raised:
        cloud(site).launch("l", replace(RESOURCE, any_of=(FIRST, THERE)[1:], offering=FIRST.offering), specs(1))
    assert raised.value.offering == THERE.offering


def test_a_fleet_names_no_pool_twice() -> None:
    keys = config(subnet_id="subnet-1")
    more: dict[str, Any] = {"template": "n", "token": "t", "tags": {"dynamiccluster:cluster": "c"}, "user_data": ""}
    overrides = create_fleet(keys, OFFERS, **more)["LaunchTemplateConfigs"][0]["Overrides"]
    assert [one["InstanceType"] for one in overrides] == ["c5.large", "m5.large"], "EC2 refuses the whole otherwise"


def test_errors_and_machines_are_told_by_zone_or_subnet_or_not_at_all() -> None:
    keys = config(subnets={"us-east-1a": "subnet-1", "us-east-1b": "subnet-2"})
    by_subnet = {"Overrides": {"InstanceType": "m5.large", "SubnetId": "subnet-2"}}
    item = {"InstanceIds": ["i-1"], "InstanceType": "m5.large", "LaunchTemplateAndOverrides": by_subnet}
    assert made_of({"Instances": [item]}, keys, OFFERS, "t") == ("i-1", LAST.offering)
    assert made_of({"Instances": [{"InstanceIds": ["i-1"]}]}, keys, OFFERS, "t") == ("i-1", "")
    assert made_of({"Instances": [{"InstanceIds": []}]}, keys, OFFERS, "t") == ("", "")
    assert list(refused_by({"Errors": [error("InsufficientInstanceCapacity", None)]}, keys, OFFERS, "t")) == [""]


# -- where fleets are of no use -------------------------------------------------------------------------------


def test_a_script_that_differs_from_node_to_node_is_launched_as_before(site: Ec2Site, tmp_path: Any) -> None:
    (tmp_path / "script").write_text("echo {{ host_name }}\n", "utf-8")
    script = UserData(str(tmp_path / "script"), "c1")
    made = cloud(site, script=script).launch("l", RESOURCE, specs(2))
    assert {one.offering for one in made} == {FIRST.offering}
    assert "CreateFleet" not in site.calls


def test_nodes_of_one_job_are_launched_together_of_one_offer(site: Ec2Site) -> None:
    made = cloud(site).launch_whole("l", replace(RESOURCE, any_of=()), specs(2))
    assert {one.offering for one in made} == {FIRST.offering}
    assert "CreateFleet" not in site.calls


def test_an_sdk_that_knows_no_user_data_of_fleets(
    site: Ec2Site, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("dynamiccluster.clouds.aws.fleets.USER_DATA", "SomethingNewer")
    (tmp_path / "script").write_text("echo all\n", "utf-8")
    script = UserData(str(tmp_path / "script"), "c1")
    assert cloud(site, script=script).launch("l", RESOURCE, specs(1))
    assert "CreateFleet" not in site.calls
    assert "boto3" in caplog.text
    assert cloud(site).launch("m", RESOURCE, specs(1))
    assert site.calls["CreateFleet"] == 1, "without user data it need not know them"
