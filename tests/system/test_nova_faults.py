"""What a real OpenStack answers when something is wrong, and what the adapter makes of it."""

from __future__ import annotations

import pytest
from openstack_site import BROKEN, FULL, SMALL, cloud, launch, until

from dynamiccluster.clouds.openstack import calls
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    DynamicClusterError,
    ErrorClass,
    QuotaError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.clock import pause
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.testing.openstack_bed import OpenstackBed

pytestmark = [pytest.mark.system, pytest.mark.openstack, pytest.mark.timeout(1500)]
NOBODY = "00000000-0000-0000-0000-000000000000"
WRONG = {
    "image_uuid": NOBODY,
    "flavor": "no-such-flavor",
    "networks": [NOBODY],
    "key_name": "nobody",
    "security_groups": ["nobody"],
    "availability_zone": "nowhere",
    "server_group": NOBODY,
}


def test_a_full_host_is_an_error_of_capacity_that_counts_against_the_quota(openstack: OpenstackBed) -> None:
    openstack.quota(instances=3)
    ours = cloud(openstack, **FULL)
    assert len(launch(ours, "a-1", "a-2", "a-3")) == 3  # nova accepts all of them: room is looked for later
    openstack.until(
        lambda: all(one.state is not InstanceState.PENDING for one in ours.list_instances().instances), "all settled"
    )
    view = ours.list_instances()
    failed = [one for one in view.instances if one.state is InstanceState.ERROR]
    assert failed
    for one in failed:
        assert (one.fault_class, one.node_id) == (ErrorClass.CAPACITY, f"id-{one.host_name}")
        assert "No valid host" in one.fault
    assert (view.quota.used_instances, view.quota.max_instances) == (3, 3)
    with pytest.raises(QuotaError):
        launch(ours, "a-4")
    ours.terminate([one.instance_id for one in failed])
    openstack.until(lambda: ours.list_instances().quota.used_instances == 3 - len(failed), "their places are free")


def test_a_build_that_is_aborted_says_why(openstack: OpenstackBed) -> None:
    ours = cloud(openstack, **BROKEN)
    launch(ours, "a-1")
    (failed,) = until(openstack, ours, InstanceState.ERROR)
    assert "a broken host of the test bed" in failed.fault
    assert failed.fault_class is not ErrorClass.QUOTA


@pytest.mark.parametrize("key", list(WRONG))
def test_what_does_not_exist_is_a_matter_of_the_configuration(openstack: OpenstackBed, key: str) -> None:
    """Nova's 400, where one would look for a 404."""
    with pytest.raises(BadConfigError):
        launch(cloud(openstack, **{key: WRONG[key]}), "a-1")
    assert not openstack.servers()


def test_quotas_of_cores_and_memory_refuse_at_once(openstack: OpenstackBed) -> None:
    ours = cloud(openstack)
    for limit in ({"cores": 1}, {"ram": 1000}):
        openstack.quota(**limit)
        with pytest.raises(QuotaError):
            launch(ours, "a-1")
    assert not openstack.servers()
    openstack.quota(cores=7)
    quota = ours.list_instances().quota
    assert (quota.max_cores, quota.used_cores) == (7, 0)


def test_a_burst_goes_past_the_quota_and_what_was_too_much_fails_later(openstack: OpenstackBed) -> None:
    """Nova counts what its conductor has written down; while that is behind, requests do not see each other."""
    openstack.quota(instances=2)
    ours = cloud(openstack)
    with openstack.frozen("conductor"):
        accepted = launch(ours, "a-1", "a-2", "a-3", "a-4")
    assert len(accepted) == 4
    settled = {InstanceState.ACTIVE, InstanceState.ERROR}  # or all in error: each may have been counted with the others
    openstack.until(lambda: {one.state for one in ours.list_instances().instances} <= settled, "all are settled")
    view = ours.list_instances()
    failed = [one for one in view.instances if one.state is InstanceState.ERROR]
    assert {one.instance_id for one in view.instances} == {one.instance_id for one in accepted}
    assert len(failed) >= 2
    assert {one.fault_class for one in failed} == {ErrorClass.QUOTA}
    assert view.quota.used_instances == 4
    ours.terminate([one.instance_id for one in failed])
    openstack.until(lambda: len(ours.list_instances().instances) == 4 - len(failed), "those that failed are gone")


def test_build_for_ever_is_pending_and_can_be_ended(openstack: OpenstackBed) -> None:
    ours = cloud(openstack)
    with openstack.frozen("scheduler"):
        (made,) = launch(ours, "a-1")
        pause(3)
        (waits,) = ours.list_instances().instances
        assert (waits.instance_id, waits.state, waits.fault) == (made.instance_id, InstanceState.PENDING, "")
        ours.terminate([made.instance_id])
        openstack.until(lambda: not openstack.servers(), "it is gone though nobody builds it")
    pause(2)
    assert not openstack.servers()  # the request that lay in the queue brings nothing back


def test_without_neutron_the_list_fails_and_is_never_empty(openstack: OpenstackBed) -> None:
    ours = cloud(openstack)
    launch(ours, "a-1")
    until(openstack, ours, InstanceState.ACTIVE)
    with openstack.without("neutron"):
        with pytest.raises(TransientError):
            ours.list_instances()
        with pytest.raises(DynamicClusterError) as refused:
            launch(ours, "a-2")
        assert refused.value.error_class in (ErrorClass.TRANSIENT, ErrorClass.UNKNOWN_OUTCOME)
    names = {one.host_name for one in ours.list_instances().instances}
    assert "a-1" in names
    if refused.value.error_class is ErrorClass.TRANSIENT:
        assert names == {"a-1"}


def test_without_nova_or_keystone_nothing_is_concluded(openstack: OpenstackBed) -> None:
    ours = cloud(openstack)
    launch(ours, "a-1")
    with openstack.without("nova"):
        with pytest.raises(TransientError):
            ours.list_instances()
        with pytest.raises(TransientError):
            launch(ours, "a-2")  # no connection came about: nothing was sent
    with openstack.without("keystone"), pytest.raises(TransientError):
        cloud(openstack).list_instances()
    assert {one.host_name for one in ours.list_instances().instances} == {"a-1"}


def test_a_reply_that_does_not_come_is_an_unknown_outcome_whose_machine_is_found(
    openstack: OpenstackBed, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = cloud(openstack)
    launch(ours, "a-1")  # all that a launch needs to know is known
    monkeypatch.setattr(calls, "READ_TIMEOUT_S", 2.0)
    with openstack.frozen("nova"), pytest.raises(UnknownOutcomeError):
        launch(ours, "a-2")
    monkeypatch.undo()
    found = {}

    def seen() -> bool:
        found.update({one.host_name: one for one in ours.list_instances().instances})
        return "a-2" in found

    openstack.until(seen, "nova has done what it was asked before it was silent")
    assert (found["a-2"].launch_id, found["a-2"].node_id) == ("launch-a-2", "id-a-2")


def test_expired_tokens_are_renewed_without_a_word(openstack: OpenstackBed) -> None:
    ours = cloud(openstack)
    launch(ours, "a-1")
    openstack.expire_tokens()
    pause(6)  # until then nova believes what it was told before
    assert {one.host_name for one in ours.list_instances().instances} == {"a-1"}
    openstack.expire_tokens()
    pause(6)
    assert len(launch(ours, "a-2")) == 1
    assert {one.host_name for one in ours.list_instances().instances} == {"a-1", "a-2"}


def test_a_password_that_changes_is_a_matter_of_credentials_until_it_is_right_again(openstack: OpenstackBed) -> None:
    ours = cloud(openstack)
    openstack.password("another")
    try:
        with pytest.raises(AuthError):
            ours.list_instances()
        with pytest.raises(AuthError):
            launch(ours, "a-1")
    finally:
        openstack.password(openstack.facts["password"])
    assert not ours.list_instances().instances


def test_application_credentials(openstack: OpenstackBed) -> None:
    credential = openstack.application_credential()
    ours = cloud(openstack, username=None, password=None, project=None, **credential)
    assert ours.list_instances().quota.used_instances == 0


def test_a_filter_that_nova_does_not_know_is_dropped_so_none_is_sent(openstack: OpenstackBed) -> None:
    """In the versions of its API before 2.75; later ones answer 400."""
    launch(cloud(openstack, "theirs"), "theirs-1")
    for query in ("tags_any=nobody", "metadata=%7B%22dynamiccluster:cluster%22:%22ours%22%7D"):
        shown = openstack.ask("compute", "GET", f"/servers/detail?{query}", nova="2.69")["servers"]
        assert [one["name"] for one in shown] == ["theirs-1"], "nova would have had to leave it out"
    view = cloud(openstack, "ours").list_instances()
    assert (view.instances, view.strangers) == ((), 1)


def test_the_size_of_a_machine_is_nova_s_own(openstack: OpenstackBed) -> None:
    offers = cloud(openstack).list_instances().offers
    assert [(one.resource, one.capacity.cores) for one in offers] == [(SMALL.name, 2)]
