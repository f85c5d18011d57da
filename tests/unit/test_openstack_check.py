"""``check-cloud`` on OpenStack: each thing that a launch needs, there and not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from nova_cloud import RESOURCE, keys
from nova_site import Fault, NovaSite, nova_site

from dynamiccluster.cli.main import main
from dynamiccluster.clouds.openstack.check import check
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.check import Finding, FindingState


@pytest.fixture
def site() -> Iterator[NovaSite]:
    with nova_site() as running:
        yield running


def looked(site: NovaSite, **more: Any) -> dict[str, Finding]:
    return {finding.subject: finding for finding in check(RESOURCE, keys(site.url, **more), "ours")}


WHOLE = {
    "floating_network": "public",
    "security_groups": ["nodes"],
    "key_name": "scaler",
    "availability_zone": "az1",
    "server_group": "spread",
    "boot_volume_gb": 10,
    "boot_volume_type": "ssd",
}


def test_all_is_well_and_nothing_was_changed(site: NovaSite) -> None:
    found = looked(site, **WHOLE)
    assert {finding.state for finding in found.values()} == {FindingState.OK}
    assert list(found) == [
        "credentials",
        "flavor t.nano",
        "image tiny",
        "network private",
        "network public",
        "security group nodes",
        "key pair scaler",
        "zone az1",
        "server group spread",
        "boot volume",
        "quota",
    ]
    assert found["flavor t.nano"].message == "1 core, 1536 MiB, 0 GPUs for jobs"
    assert {method for method, path in site.asked if "tokens" not in path} == {"GET"}


@pytest.mark.parametrize(
    ("more", "subject", "said"),
    [
        ({"flavor": "nope"}, "flavor nope", "there is no flavor"),
        ({"image_uuid": "nope"}, "image nope", "no image"),
        ({"networks": ["nope"]}, "network nope", "no network"),
        ({"floating_network": "private"}, "network private", "is no external network"),
        ({"security_groups": ["nope"]}, "security group nope", "there is none"),
        ({"key_name": "nope"}, "key pair nope", "could not be found"),
        ({"availability_zone": "nope"}, "zone nope", "there are az-broken, az-off, az1"),
        ({"server_group": "nope"}, "server group nope", "no server group"),
        ({"boot_volume_gb": 10, "boot_volume_type": "nope"}, "boot volume", "there is no type"),
        ({"userdata_file": "/nonexistent"}, "user data", "cannot be read"),
    ],
)
def test_what_is_not_there_is_told_with_what_to_do(
    site: NovaSite, more: dict[str, Any], subject: str, said: str
) -> None:
    finding = looked(site, **more)[subject]
    assert finding.state is FindingState.WRONG
    assert said in finding.message
    assert finding.fix


def test_images_that_do_not_fit(site: NovaSite) -> None:
    for image, said in (({"status": "queued"}, "not active"), ({"min_disk": 99}, "99 GB"), ({"min_ram": 9999}, "9999")):
        site.image = image
        finding = looked(site)["image tiny"]
        assert (finding.state, said in finding.message) == (FindingState.WRONG, True)


def test_a_flavor_that_is_smaller_than_what_is_promised_to_jobs(site: NovaSite) -> None:
    larger = replace(RESOURCE, capacity=Capacity(64, 1000))
    found = {finding.subject: finding for finding in check(larger, keys(site.url), "ours")}
    assert "less than the configured capacity" in found["flavor t.nano"].message


def test_a_full_quota_and_a_zone_that_is_off(site: NovaSite) -> None:
    site.most = 0
    assert "0 of 0 instances" in looked(site)["quota"].message
    assert looked(site, availability_zone="az-off")["zone az-off"].state is FindingState.UNKNOWN


def test_without_a_choice_of_networks_there_must_be_one(site: NovaSite) -> None:
    assert looked(site, networks=[])["network"].message == "private"


def test_wrong_credentials_end_it(site: NovaSite) -> None:
    found = looked(site, password="wrong")
    assert [(finding.subject, finding.state) for finding in found.values()] == [("credentials", FindingState.DENIED)]
    assert "right" not in repr(found)


def test_what_cannot_be_looked_at_is_not_called_wrong(site: NovaSite) -> None:
    site.faults += [Fault("GET", "/limits", 500), Fault("GET", "/os-keypairs", "exc_forbidden_admin_call")]
    found = looked(site, key_name="scaler")
    assert found["quota"].state is FindingState.UNKNOWN
    assert found["key pair scaler"].state is FindingState.DENIED


def test_the_verb(site: NovaSite, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "dynamic-cluster: {cluster_id: test}\ncluster: {type: simulated}\n"
        "cloud:\n  burst:\n    type: openstack\n    quantity: {max: 1}\n    config: {username: hpc, password: right, "
        f"project: burst, auth_url: '{site.url}/identity/v3', image_uuid: tiny, flavor: t.nano, networks: [nope]}}\n"
    )
    result = CliRunner().invoke(main, ["check-cloud", "burst", "-c", str(file), "-o", "json"])
    (resource,) = json.loads(result.stdout)["resources"]
    wrong = [finding["subject"] for finding in resource["findings"] if finding["state"] != "ok"]
    assert (result.exit_code != 0, wrong) == (True, ["network nope"])
