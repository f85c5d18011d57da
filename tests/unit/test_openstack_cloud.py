"""The traps of OpenStack, each met by the adapter on the double."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nova_cloud import RESOURCE, cloud, keys, specs
from nova_neighbours import IMAGE
from nova_site import Fault, NovaSite, nova_site

from dynamiccluster.clouds.openstack.build import build
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    DynamicClusterError,
    NotFoundError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.model.action import PartialLaunch
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import InstanceState


@pytest.fixture
def site() -> Iterator[NovaSite]:
    with nova_site() as running:
        yield running


class HandClock:
    """A clock that goes on by ``step`` whenever it is read."""

    def __init__(self, step: float = 0.0) -> None:
        self.at, self.step = 1_000_000.0, step

    def now(self) -> float:
        self.at += self.step
        return self.at

    monotonic = now


def posts(site: NovaSite) -> int:
    return sum(asked == ("POST", "/compute/v2.1/servers") for asked in site.asked)


# -- quota and capacity ------------------------------------------------------------------------------------------


def test_a_burst_is_accepted_and_fails_later_and_what_failed_is_in_the_way_until_it_is_ended(site: NovaSite) -> None:
    site.most, site.burst, site.boot_s = 2, True, 0.1
    ours = cloud(site)
    assert len(ours.launch("l", RESOURCE, specs("a-1", "a-2", "a-3"))) == 3
    quota = ours.list_instances().quota
    assert (quota.used_instances, quota.used_cores, quota.used_memory_mib) == (3, 3, 6144)  # nova's figures say 0 yet
    time.sleep(0.15)
    view = ours.list_instances()
    assert [one.state for one in view.instances].count(InstanceState.ERROR) == 1
    (failed,) = [one for one in view.instances if one.state is InstanceState.ERROR]
    assert (failed.fault_class, failed.fault[:14]) == ("quota", "Quota exceeded")
    assert (view.quota.max_instances, view.quota.used_instances) == (2, 3)
    with pytest.raises(QuotaError):
        ours.launch("m", RESOURCE, specs("a-4"))
    ours.terminate([failed.instance_id])
    assert ours.list_instances().quota.used_instances == 2


def test_no_valid_host_is_told_by_the_fault_of_a_server_that_was_accepted(site: NovaSite) -> None:
    """Nova's list leaves that fault out; the server is asked for once."""
    ours = cloud(site, flavor="t.impossible")
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    for _ in range(3):
        (found,) = ours.list_instances().instances
        assert (found.state, found.fault_class, found.fault) == (
            InstanceState.ERROR,
            "capacity",
            "No valid host was found.",
        )
    assert site.asked.count(("GET", f"/compute/v2.1/servers/{machine.instance_id}")) == 1


def test_a_fault_that_cannot_be_read_is_asked_for_again(site: NovaSite) -> None:
    ours = cloud(site, flavor="t.impossible")
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    site.faults.append(Fault("GET", f"/servers/{machine.instance_id}$", 500, times=1))
    assert [(one.state, one.fault) for one in ours.list_instances().instances] == [(InstanceState.ERROR, "")]
    assert [one.fault_class for one in ours.list_instances().instances] == ["capacity"]


def test_a_build_that_never_ends_is_pending_and_can_be_ended(site: NovaSite) -> None:
    site.stuck = True
    ours = cloud(site)
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    assert [one.state for one in ours.list_instances().instances] == [InstanceState.PENDING]
    ours.terminate([machine.instance_id])
    assert not ours.list_instances().instances


def test_unlimited_is_no_limit_and_forbidden_limits_are_none_known(site: NovaSite) -> None:
    ours = cloud(site)
    quota = ours.list_instances().quota
    assert (quota.max_instances, quota.max_cores, quota.max_memory_mib) == (None, None, None)
    site.faults.append(Fault("GET", "/limits", "exc_forbidden_admin_call"))
    ours.launch("l", RESOURCE, specs("a-1"))
    cloud(site, flavor="t.impossible").launch("m", RESOURCE, specs("a-2"))
    view = ours.list_instances()
    assert {one.state for one in view.instances} == {InstanceState.ACTIVE, InstanceState.ERROR}
    assert (view.quota.max_instances, view.quota.used_instances) == (None, 2)  # what is in ERROR counts


def test_what_nova_keeps_for_a_while_after_its_end_counts_no_more(site: NovaSite) -> None:
    ours = cloud(site)
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    (theirs,) = cloud(site, "theirs").launch("m", RESOURCE, specs("b-1"))
    site.faults.append(Fault("GET", "/limits", "exc_forbidden_admin_call"))
    assert (ours.list_instances().quota.used_instances, ours.list_instances().strangers) == (2, 1)
    for one in (machine, theirs):
        site.servers[one.instance_id]["status"] = "SOFT_DELETED"
    view = ours.list_instances()
    assert [one.state for one in view.instances] == [InstanceState.GONE]
    assert (view.quota.used_instances, view.strangers) == (0, 0)


def test_nova_s_own_figures_count_where_they_are_higher(site: NovaSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before microversion 2.47 its list does not tell sizes; and machines being resized count twice."""
    ours = cloud(site)
    ours.launch("l", RESOURCE, specs("a-1"))
    figures = {"totalInstancesUsed": 3, "totalCoresUsed": 70, "totalRAMUsed": 9000, "maxTotalCores": 80}
    monkeypatch.setattr(site, "_limits", lambda: figures)
    quota = ours.list_instances().quota
    assert (quota.used_instances, quota.used_cores, quota.used_memory_mib, quota.max_cores) == (3, 70, 9000, 80)


# -- launch ------------------------------------------------------------------------------------------------------


def test_metadata_of_the_site_s_own_reaches_the_machine(site: NovaSite) -> None:
    ours = cloud(site, metadata={"owner": "hpc"})
    ours.launch("l", RESOURCE, specs("a-1"))
    assert {"owner": "hpc"}.items() <= site.bodies[0]["server"]["metadata"].items()
    assert len(ours.list_instances().instances) == 1


FAULTS: list[tuple[str | int, type[DynamicClusterError]]] = [
    (500, UnknownOutcomeError),
    (503, UnknownOutcomeError),
    (202, UnknownOutcomeError),  # and no word of a server
    ("html", UnknownOutcomeError),
    ("lost", UnknownOutcomeError),
    ("exc_down_neutron_create", UnknownOutcomeError),
    (429, ThrottledError),
    ("exc_quota_cores", QuotaError),
    ("exc_forbidden_admin_call", AuthError),
]


@pytest.mark.parametrize(("says", "kind"), FAULTS)
def test_a_launch_that_fails_is_sent_once(site: NovaSite, says: str | int, kind: type[DynamicClusterError]) -> None:
    site.faults.append(Fault("POST", "/servers$", says))
    with pytest.raises(kind):
        cloud(site).launch("l", RESOURCE, specs("a-1", "a-2"))
    assert posts(site) == 1
    assert len(site.servers) == (1 if says == "lost" else 0)


def test_what_was_made_before_a_refusal_is_told_with_the_refusal(site: NovaSite) -> None:
    site.most = 2
    made = cloud(site).launch("l", RESOURCE, specs("a-1", "a-2", "a-3", "a-4"))
    assert [machine.host_name for machine in made] == ["a-1", "a-2"]
    assert posts(site) == 3
    assert isinstance(made, PartialLaunch)
    assert isinstance(made.error, QuotaError)


@pytest.mark.parametrize(("says", "kind"), [row for row in FAULTS if row[1] is not UnknownOutcomeError])
def test_a_refusal_after_the_first_machine_keeps_its_class(
    site: NovaSite, says: str | int, kind: type[DynamicClusterError]
) -> None:
    site.faults.append(Fault("POST", "/servers$", says, after=1))
    made = cloud(site).launch("l", RESOURCE, specs("a-1", "a-2"))
    assert [machine.host_name for machine in made] == ["a-1"]
    assert isinstance(made, PartialLaunch)
    assert type(made.error) is kind


def test_an_unknown_outcome_is_one_even_after_others_were_made(site: NovaSite) -> None:
    ours = cloud(site)
    ours.launch("l", RESOURCE, specs("a-1"))
    site.faults.append(Fault("POST", "/servers$", "lost"))
    with pytest.raises(UnknownOutcomeError):
        ours.launch("m", RESOURCE, specs("a-2"))
    assert {one.launch_id for one in ours.list_instances().instances} == {"l", "m"}


def test_a_slow_cloud_is_asked_for_fewer_in_the_time_there_is(site: NovaSite) -> None:
    made = cloud(site, clock=HandClock(step=50.0)).launch("l", RESOURCE, specs("a-1", "a-2", "a-3", "a-4", "a-5"))
    assert 1 <= len(made) < 5
    assert len(site.servers) == len(made)


@pytest.mark.parametrize("says", [503, "lost"])
def test_without_a_token_a_launch_certainly_did_nothing(site: NovaSite, says: str | int) -> None:
    ours = cloud(site)
    ours.list_instances()
    ours.launch("l", RESOURCE, specs("a-1"))  # all that a launch needs to know is known
    site.token_s = 10.0  # renewed 30 s before it ends, that is at each call
    site.tokens.clear()
    ours.list_instances()
    site.faults.append(Fault("POST", "/auth/tokens", says))
    with pytest.raises(TransientError):
        ours.launch("m", RESOURCE, specs("a-2"))
    assert posts(site) == 1


def test_host_names_that_are_none_never_leave(site: NovaSite) -> None:
    with pytest.raises(BadConfigError):
        cloud(site).launch("l", RESOURCE, specs("a-1", "../x"))
    assert not site.asked


def test_user_data_does_not_reach_the_log(site: NovaSite, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    template = tmp_path / "user.sh"
    template.write_text("s3cret")
    with caplog.at_level(logging.DEBUG):
        cloud(site, userdata_file=str(template)).launch("l", RESOURCE, specs("a-1"))
    assert "czNjcmV0" in str(site.bodies)
    assert "czNjcmV0" not in caplog.text


def test_user_data_reaches_the_machine(site: NovaSite, tmp_path: Path) -> None:
    template = tmp_path / "user.sh"
    template.write_text("#!/bin/sh\nhostname {{ host_name }}\n")
    ours = cloud(site, userdata_file=str(template))
    ours.launch("l", RESOURCE, specs("a-1", "a-2"))
    assert [body["server"]["user_data"] for body in site.bodies] == [
        "IyEvYmluL3NoCmhvc3RuYW1lIGEtMQo=",
        "IyEvYmluL3NoCmhvc3RuYW1lIGEtMgo=",
    ]


# -- lists -------------------------------------------------------------------------------------------------------


def test_a_page_that_fails_fails_the_list(site: NovaSite) -> None:
    site.page = 2
    ours = cloud(site)
    ours.launch("l", RESOURCE, specs("a-1", "a-2", "a-3"))
    assert len(ours.list_instances().instances) == 3
    pages = sum("servers/detail" in path for _, path in site.asked)
    site.faults.append(Fault("GET", "/servers/detail", 500, times=1))
    with pytest.raises(TransientError):
        ours.list_instances()
    assert sum("servers/detail" in path for _, path in site.asked) == pages + 1


@pytest.mark.parametrize("says", ["exc_down_neutron_list", 502, 503, "lost"])
def test_a_list_that_fails_is_never_an_empty_one(site: NovaSite, says: str | int) -> None:
    site.faults.append(Fault("GET", "/servers/detail", says, times=1))
    ours = cloud(site)
    with pytest.raises(TransientError):
        ours.list_instances()
    assert ours.list_instances().instances == ()


@pytest.mark.parametrize("says", [200, "html"])
def test_a_reply_that_is_no_list_is_never_an_empty_one(site: NovaSite, says: str | int) -> None:
    site.faults.append(Fault("GET", "/servers/detail", says))
    with pytest.raises(TransientError):
        cloud(site).list_instances()


@pytest.mark.timeout(20)
def test_pages_without_an_end_fail_the_list(site: NovaSite) -> None:
    site.page, site.circles = 1, True
    ours = cloud(site)
    ours.launch("l", RESOURCE, specs("a-1", "a-2"))
    with pytest.raises(TransientError, match="circles"):
        ours.list_instances()


def test_limits_that_fail_fail_the_list(site: NovaSite) -> None:
    site.faults.append(Fault("GET", "/limits", 500, times=1))
    with pytest.raises(TransientError):
        cloud(site).list_instances()


def test_an_old_nova_is_spoken_to_in_its_own_version(site: NovaSite) -> None:
    site.microversion = "2.42"
    ours = cloud(site)
    ours.launch("l", RESOURCE, specs("a-1"))
    assert len(ours.list_instances().instances) == 1


def test_metadata_is_compared_here_as_nova_filters_nothing_by_it(site: NovaSite) -> None:
    cloud(site, "theirs").launch("l", RESOURCE, specs("b-1"))
    ours = cloud(site)
    ours.launch("l", RESOURCE, specs("a-1"))
    view = ours.list_instances()
    assert [one.host_name for one in view.instances] == ["a-1"]
    assert view.strangers == 1


def test_offers_tell_size_and_gpus_and_hold_while_flavors_cannot_be_asked(site: NovaSite) -> None:
    clock = HandClock()
    configs = {"small": keys(site.url), "big": keys(site.url, flavor="t.gpu"), "none": keys(site.url, flavor="gone")}
    ours = build("t", configs, "ours", clock)
    for _ in range(2):
        offers = {offer.resource: offer for offer in ours.list_instances().offers}
        assert offers.keys() == {"small", "big"}
        assert (offers["small"].capacity.cores, offers["small"].capacity.memory_mib) == (1, 1536)
        assert (offers["big"].capacity.gpus, offers["big"].gpu_type) == (2, "a100")
        assert [offers[name].billed for name in ("small", "big")] == [Capacity(1, 2048), Capacity(8, 65536, 2)]
        site.faults.append(Fault("GET", "/flavors", 500))
        clock.at += 4000.0


# -- end ---------------------------------------------------------------------------------------------------------


def test_one_refusal_does_not_keep_the_other_machines(site: NovaSite) -> None:
    ours = cloud(site)
    first, second = ours.launch("l", RESOURCE, specs("a-1", "a-2"))
    site.faults.append(Fault("DELETE", first.instance_id, 409))
    with pytest.raises(TransientError):
        ours.terminate([first.instance_id, second.instance_id])
    assert [one.host_name for one in ours.list_instances().instances] == ["a-1"]


def test_a_machine_without_a_console_has_no_tail(site: NovaSite) -> None:
    ours = cloud(site)
    (machine,) = ours.launch("l", RESOURCE, specs("a-1"))
    for status in (404, 409):
        site.faults.append(Fault("POST", "/action", status, times=1))
        assert ours.console_tail(machine.instance_id) == ""
    assert "a-1" in ours.console_tail(machine.instance_id)


def test_a_missing_machine_is_said_to_be_missing(site: NovaSite) -> None:
    calls = cloud(site)._calls  # the error of the calls themselves, which the adapter takes for success
    with pytest.raises(NotFoundError):
        calls.get("compute", f"/servers/{IMAGE}")
