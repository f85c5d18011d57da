"""The contract of clouds on OpenStack, as its double has it; ``tests/system`` has the same on a real nova."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from cloud_suite import MOST, RESOURCE, CloudSuite, Harness, specs
from nova_cloud import cloud
from nova_site import Fault, NovaSite, nova_site

from dynamiccluster.clouds.base import Cloud
from dynamiccluster.errors import TransientError, UnknownOutcomeError
from dynamiccluster.model.instance import InstanceState


@pytest.fixture
def site() -> Iterator[NovaSite]:
    with nova_site() as running:
        yield running


class NovaHarness:
    def __init__(self, site: NovaSite) -> None:
        site.boot_s, site.stop_s, site.most = 0.2, 0.2, MOST
        self.cloud: Cloud = cloud(site, "ours")
        self.other: Cloud = cloud(site, "theirs")

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class TestOpenstack(CloudSuite):
    @pytest.fixture
    def harness(self, site: NovaSite) -> Harness:
        return NovaHarness(site)


def test_a_lost_reply_is_an_unknown_outcome_and_the_list_has_its_machine(site: NovaSite) -> None:
    ours = cloud(site)
    site.faults.append(Fault("POST", "/servers$", "lost", times=1))
    with pytest.raises(UnknownOutcomeError):
        ours.launch("l", RESOURCE, specs("a-1"))
    (found,) = ours.list_instances().instances
    assert (found.launch_id, found.node_id, found.host_name) == ("l", "id-a-1", "a-1")


def test_the_names_of_stopped_and_failed_machines_are_ours_until_they_go(site: NovaSite) -> None:
    ours = cloud(site, availability_zone="az-broken")
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    (found,) = ours.list_instances().instances
    assert (found.state, found.instance_id) == (InstanceState.ERROR, machine.instance_id)
    assert "aborted" in found.fault
    ours.terminate([machine.instance_id])
    assert not ours.list_instances().instances


def test_a_list_without_neutron_is_no_empty_list(site: NovaSite) -> None:
    ours = cloud(site)
    ours.launch("l", RESOURCE, specs("a-1"))
    site.faults.append(Fault("GET", "/servers/detail", "exc_down_neutron_list"))
    with pytest.raises(TransientError):
        ours.list_instances()


def test_pages_are_followed_to_the_end(site: NovaSite) -> None:
    site.page = 2
    ours = cloud(site)
    ours.launch("l", RESOURCE, specs("a-1", "a-2", "a-3", "a-4", "a-5"))
    assert len(ours.list_instances().instances) == 5


def test_servers_of_a_cell_that_does_not_answer_are_not_gone(site: NovaSite) -> None:
    site.silent_cell = True
    with pytest.raises(TransientError, match="cell"):
        cloud(site).list_instances()


def test_a_machine_that_is_being_ended_is_said_to_be(site: NovaSite) -> None:
    site.stop_s = 60.0
    ours = cloud(site)
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    ours.terminate([machine.instance_id])
    assert [one.state for one in ours.list_instances().instances] == [InstanceState.TERMINATING]


def test_ids_that_are_none_are_asked_of_nobody(site: NovaSite) -> None:
    ours = cloud(site)
    ours.terminate(["", "../../etc", "no-such-machine", "a" * 3000])
    assert ours.console_tail("../servers") == ""
    assert not site.asked
