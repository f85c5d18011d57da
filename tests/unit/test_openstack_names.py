"""Names of images, networks, flavors and groups, as an operator writes them, and the ids that nova wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from nova_cloud import RESOURCE, cloud, specs
from nova_neighbours import IMAGE, NETWORK, stamp
from nova_site import FLAVOR_IDS, Fault, NovaSite, nova_site

from dynamiccluster.errors import BadConfigError


@pytest.fixture
def site() -> Iterator[NovaSite]:
    with nova_site() as running:
        yield running


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image_uuid": NETWORK}, "Can not find requested image"),
        ({"image_uuid": "nope"}, "no image 'nope'"),
        ({"flavor": "nope"}, "there is no flavor 'nope'"),
        ({"key_name": "nope"}, "Invalid key_name"),
        ({"availability_zone": "nope"}, "availability zone is not available"),
        ({"networks": [IMAGE]}, "could not be found"),
        ({"networks": ["nope"]}, "no network 'nope'"),
        ({"server_group": "nope"}, "no server group 'nope'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_names_that_stand_for_nothing_are_a_matter_of_configuration(
    site: NovaSite, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadConfigError, match=said):
        cloud(site, **wrong).launch("l", RESOURCE, specs("a-1"))
    assert not site.servers


def test_names_become_ids_and_are_asked_once(site: NovaSite) -> None:
    ours = cloud(site, server_group="spread", flavor_id=FLAVOR_IDS["t.gpu"])
    ours.launch("l", RESOURCE, specs("a-1", "a-2"))
    ours.launch("m", RESOURCE, specs("a-3"))
    for body in site.bodies:
        assert body["server"]["imageRef"] == IMAGE
        assert body["server"]["networks"] == [{"uuid": NETWORK}]
        assert body["server"]["flavorRef"] == FLAVOR_IDS["t.gpu"]
        assert body["os:scheduler_hints"]["group"]
    assert [path for method, path in site.asked if "images" in path] == ["/image/v2/images"]
    assert [path for method, path in site.asked if "networks" in path] == ["/network/v2.0/networks"]


def test_of_several_images_with_a_name_the_newest_counts_and_several_networks_are_too_many(site: NovaSite) -> None:
    older = {"id": NETWORK, "name": "tiny", "status": "active", "created_at": stamp(-1.0)}
    site.also = {"images": [older], "networks": [{"id": IMAGE, "name": "private"}]}
    with pytest.raises(BadConfigError, match="several of the name 'private'"):
        cloud(site).launch("l", RESOURCE, specs("a-1"))
    assert len(cloud(site, networks=[NETWORK]).launch("l", RESOURCE, specs("a-1"))) == 1
    assert site.bodies[0]["server"]["imageRef"] == IMAGE


@pytest.mark.parametrize("first", ["private", NETWORK])
def test_the_address_is_that_of_the_first_network_by_name_or_id(site: NovaSite, first: str) -> None:
    ours = cloud(site)
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    ours.list_instances()
    inside = site.servers[machine.instance_id]["addresses"]["private"]
    entry = inside[0] | {"addr": "10.9.9.9"}
    site.servers[machine.instance_id]["addresses"] = {"another": [entry], "private": inside}
    (found,) = cloud(site, networks=[first, "another"]).list_instances().instances
    assert found.address == inside[0]["addr"] != "10.9.9.9"


def test_names_are_asked_again_after_a_refusal_as_somebody_may_have_replaced_what_they_stand_for(
    site: NovaSite,
) -> None:
    ours = cloud(site)
    site.faults.append(Fault("POST", "/servers$", (400, "Can not find requested image"), times=1))
    with pytest.raises(BadConfigError):
        ours.launch("l", RESOURCE, specs("a-1"))
    assert len(ours.launch("m", RESOURCE, specs("a-2"))) == 1
    assert site.asked.count(("GET", "/image/v2/images")) == 2
