"""Nova's words as ours: what it recorded of refusals, faults, servers and flavors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from keystoneauth1 import exceptions as keystone
from nova_cloud import keys
from nova_neighbours import RECORDED, SECRET
from openstack import exceptions as sdk
from requests import exceptions as http
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from dynamiccluster.clouds.openstack.calls import of_sdk, region_options
from dynamiccluster.clouds.openstack.error_map import fault_of, mapped, message_in
from dynamiccluster.clouds.openstack.flavor_map import to_flavor
from dynamiccluster.clouds.openstack.request_map import USER_DATA_CHARACTERS, create_server
from dynamiccluster.clouds.openstack.server_map import metadata_of, seconds, to_instance
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    BusyError,
    CapacityError,
    DynamicClusterError,
    NotFoundError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.instance import InstanceState


def recording(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_text())


def refused(name: str, *, launching: bool = True) -> DynamicClusterError:
    said = recording(name)["http"]
    return mapped(said["status"], message_in(json.loads(said["body"])), launching=launching)


LAUNCHING = [
    ("exc_quota_instances", QuotaError),
    ("exc_quota_instances_multi", QuotaError),
    ("exc_quota_cores", QuotaError),
    ("exc_quota_ram", QuotaError),
    ("exc_quota_ports", QuotaError),
    ("exc_forbidden_admin_call", AuthError),
    ("exc_az_details_as_member", AuthError),
    ("exc_metadata_too_many", BadConfigError),
    ("exc_metadata_too_long", BadConfigError),
    ("exc_flavor_not_found", BadConfigError),
    ("exc_image_not_found", BadConfigError),
    ("exc_network_not_found", BadConfigError),
    ("exc_keypair_not_found", BadConfigError),
    ("exc_sg_not_found", BadConfigError),
    ("exc_server_group_bad", BadConfigError),
    ("exc_az_not_found", BadConfigError),
    ("exc_bad_name", BadConfigError),
    ("exc_user_data_not_b64", BadConfigError),
    ("exc_microversion_too_high", BadConfigError),
    ("exc_down_neutron_create", UnknownOutcomeError),
]


@pytest.mark.parametrize(("name", "kind"), LAUNCHING)
def test_each_recorded_refusal_of_a_launch_has_one_class(name: str, kind: type[DynamicClusterError]) -> None:
    error = refused(name)
    assert type(error) is kind
    assert str(recording(name)["http"]["status"]) in str(error)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("exc_down_neutron_list", TransientError),
        ("exc_get_deleted", NotFoundError),
        ("exc_delete_twice_ignore_missing_false", NotFoundError),
    ],
)
def test_each_recorded_refusal_of_a_question_has_one_class(name: str, kind: type[DynamicClusterError]) -> None:
    assert type(refused(name, launching=False)) is kind


@pytest.mark.parametrize(
    ("status", "text", "launching", "kind"),
    [
        (401, "", True, AuthError),
        (413, "This request was rate-limited.", True, ThrottledError),
        (429, "", True, ThrottledError),
        (503, "", False, TransientError),
        (503, "", True, UnknownOutcomeError),
        (504, "", True, UnknownOutcomeError),
        (404, "The resource could not be found.", True, BadConfigError),
        (409, "Quota exceeded for resources: ['floatingip'].", False, QuotaError),
        (409, "No more IP addresses available on network x.", True, CapacityError),
        (409, "Multiple possible networks found, use a Network ID to be more specific.", True, BadConfigError),
        (409, "Instance x is locked", False, BusyError),
        (400, "No valid host was found. There are not enough hosts available.", True, CapacityError),
    ],
)
def test_other_statuses(status: int, text: str, launching: bool, kind: type[DynamicClusterError]) -> None:
    assert type(mapped(status, text, launching=launching)) is kind


def test_user_data_that_nova_quotes_is_not_repeated() -> None:
    error = refused("exc_user_data_not_b64")
    assert "user_data" in str(error)
    assert "not base64" not in str(error)


@pytest.mark.parametrize("body", [None, [], "x", {}, {"badRequest": "x"}, {"badRequest": {"message": 3}}])
def test_odd_bodies_say_nothing(body: object) -> None:
    assert message_in(body) == ""


def test_neutrons_own_form_of_refusal() -> None:
    assert message_in({"NeutronError": {"type": "OverQuota", "message": "Quota exceeded", "detail": ""}}) == (
        "Quota exceeded"
    )


# -- what the SDK raises -----------------------------------------------------------------------------------------


def raised_over(below: Exception, above: Exception) -> Exception:
    """As the SDK raises: its own error, with the cause in the context only."""
    above.__context__ = below
    return above


def connecting(reason: Exception) -> Exception:
    return raised_over(http.ConnectionError(reason), keystone.ConnectFailure("no connection"))


def timed_out(below: Exception) -> Exception:
    return raised_over(below, keystone.ConnectTimeout("Request timed out"))


REFUSED = MaxRetryError(None, "/", NewConnectionError(None, "refused"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (connecting(REFUSED), TransientError),
        (connecting(ProtocolError("Connection aborted.")), UnknownOutcomeError),
        (timed_out(http.ConnectTimeout("connect")), TransientError),
        (timed_out(http.ReadTimeout("read")), UnknownOutcomeError),
        (
            keystone.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
            BadConfigError,
        ),
        (keystone.SSLError("SSL exception: record layer failure"), UnknownOutcomeError),
        (keystone.Unauthorized("The request you have made requires authentication."), AuthError),
        (keystone.NotFound("Could not find Application Credential"), AuthError),
        (keystone.ServiceUnavailable("Keystone"), TransientError),
        (keystone.TooManyRequests("Keystone"), ThrottledError),
        (keystone.MissingRequiredOptions([]), AuthError),
        (keystone.EndpointNotFound("compute"), BadConfigError),
        (keystone.DiscoveryFailure("Could not find versioned identity endpoints"), TransientError),
        (sdk.ConfigException("Cloud no-such-cloud was not found."), BadConfigError),
        (sdk.ServiceDisabledException("compute"), BadConfigError),
        (FileNotFoundError("ca.pem"), BadConfigError),
        (ValueError("bad URL"), BadConfigError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_what_the_sdk_raises_has_one_class(error: Exception, kind: type[DynamicClusterError]) -> None:
    assert type(of_sdk(error, launching=True)) is kind


def test_a_question_that_got_no_reply_is_asked_again() -> None:
    assert type(of_sdk(connecting(ProtocolError("aborted")), launching=False)) is TransientError


def test_credentials_become_options_of_the_sdk() -> None:
    more = {"project": "burst", "user_domain_name": "people", "project_domain_name": "projects"}
    given = keys("http://k", auth_url="https://k:5000/v2.0/", region_name="r", ca_file="/ca.pem", interface="internal")
    made = region_options(given | more)
    assert (made["auth_type"], made["load_yaml_config"], made["region_name"]) == ("password", False, "r")
    assert made["auth"] == {
        "auth_url": "https://k:5000/v3",
        "username": "hpc",
        "password": SECRET,
        "project_name": "burst",
        "user_domain_name": "people",
        "project_domain_name": "projects",
    }
    assert (made["cacert"], made["interface"]) == ("/ca.pem", "internal")
    assert region_options(given)["auth"]["user_domain_name"] == "Default"
    credential = keys("http://k", application_credential_id="a", application_credential_secret="s", username=None)
    assert region_options(credential)["auth"] == {
        "application_credential_id": "a",
        "application_credential_secret": "s",
        "auth_url": "http://k/identity/v3",
    }
    named = keys("http://k", cloud="burst", username=None, password=None, auth_url=None, project=None)
    assert {"cloud": "burst"}.items() <= region_options(named).items()
    assert not {"auth", "auth_type", "load_yaml_config"} & region_options(named).keys()


# -- servers -----------------------------------------------------------------------------------------------------


def test_a_recorded_server() -> None:
    server = recording("server_active")["raw"]["body"]["server"]
    metadata = metadata_of("c", "l", "small", "t/az2/t.nano", NodeSpec("n", "xc-a-0001"), {"owner": "hpc"})
    found = to_instance({**server, "metadata": metadata})
    assert (found.instance_id, found.state) == ("ae2283ba-46eb-4cff-b5c1-cfa5ebea2a5a", InstanceState.ACTIVE)
    assert (found.launch_id, found.node_id, found.resource, found.offering) == ("l", "n", "small", "t/az2/t.nano")
    assert (found.name, found.host_name, found.address) == ("xc-a-0001", "xc-a-0001", "10.20.3.209")
    assert found.created_at == 1795160207.0
    assert metadata["owner"] == "hpc"


def test_the_operators_metadata_cannot_replace_ours() -> None:
    made = metadata_of("c", "l", "r", "", NodeSpec("n", "h"), {"dynamiccluster:cluster": "theirs"})
    assert made["dynamiccluster:cluster"] == "c"
    assert "dynamiccluster:offering" not in made


@pytest.mark.parametrize(
    ("status", "task", "state"),
    [
        ("BUILD", "spawning", InstanceState.PENDING),
        ("ACTIVE", None, InstanceState.ACTIVE),
        ("ACTIVE", "deleting", InstanceState.TERMINATING),
        ("ERROR", "deleting", InstanceState.TERMINATING),
        ("ERROR", None, InstanceState.ERROR),
        ("DELETED", None, InstanceState.GONE),
        ("SHUTOFF", None, InstanceState.STOPPED),
        ("SHELVED_OFFLOADED", None, InstanceState.STOPPED),
        ("HARD_REBOOT", None, InstanceState.UNKNOWN),
        ("", None, InstanceState.UNKNOWN),
    ],
)
def test_states(status: str, task: str | None, state: InstanceState) -> None:
    assert to_instance({"id": "a", "status": status, "OS-EXT-STS:task_state": task}).state is state


def test_the_address_is_that_of_the_first_network_and_of_the_right_kind() -> None:
    def entry(addr: str, version: int = 4, kind: str = "fixed") -> dict[str, object]:
        return {"addr": addr, "version": version, "OS-EXT-IPS:type": kind}

    both = [entry("fd00::1", 6), entry("10.0.0.1"), entry("192.0.2.1", kind="floating")]
    server = {"id": "a", "status": "ACTIVE", "addresses": {"other": [entry("10.1.0.1")], "mine": both}}
    assert to_instance(server, ["mine"]).address == "10.0.0.1"
    assert to_instance(server).address == "10.1.0.1"
    assert to_instance(server, floating="").address == "192.0.2.1"
    del both[2]
    assert to_instance(server, floating="192.0.2.2").address == "192.0.2.2"
    waiting = to_instance(server, floating="")
    assert (waiting.address, waiting.state) == ("", InstanceState.PENDING)
    assert to_instance({"id": "a", "addresses": {"mine": both[:1]}}).address == "fd00::1"


@pytest.mark.parametrize(
    ("text", "at"),
    [("2026-11-20T07:36:47Z", 1795160207.0), ("2026-11-20T07:36:47.000000", 1795160207.0), ("soon", 0.0), (None, 0.0)],
)
def test_times(text: object, at: float) -> None:
    assert seconds(text) == at


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("No valid host was found. ", "capacity"),
        ("Exceeded maximum number of retries. Exhausted all hosts available for retrying build failures", "capacity"),
        ("Quota exceeded for instances: Requested 1, but already used 3 of 3 instances", "quota"),
        ("Build of instance x aborted: Volume did not finish being created", ""),
        ("", ""),
    ],
)
def test_faults_tell_why(text: str, word: str) -> None:
    assert fault_of({"fault": {"code": 500, "message": text}})[1] == word
    assert fault_of({"fault": None}) == ("", "")


def test_recorded_faults() -> None:
    aborted = recording("error_buildabort")["fault"]
    assert fault_of({"fault": aborted}) == (aborted["message"], "")
    assert fault_of({"fault": recording("error_novalidhost")["raw_fault"]})[1] == "capacity"
    (over,) = [one for one in recording("quota_burst_overshoot")["servers"] if one["fault"]]
    assert fault_of({"fault": {"message": over["fault"]}})[1] == "quota"


# -- flavors and requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flavor", "capacity", "gpu_type"),
    [
        ({"vcpus": 4, "ram": 8192}, (4, 7680, 0), ""),
        ({"vcpus": 64, "ram": 262144}, (64, 254279, 0), ""),
        ({"vcpus": 1, "ram": 64}, (1, 48, 0), ""),
        ({"vcpus": 8, "ram": 65536, "extra_specs": {"pci_passthrough:alias": "a100:2"}}, (8, 63569, 2), "a100"),
        ({"vcpus": 8, "ram": 65536, "extra_specs": {"pci_passthrough:alias": "nic:1"}}, (8, 63569, 0), ""),
        ({"vcpus": 8, "ram": 65536, "extra_specs": {"resources:VGPU": "1"}}, (8, 63569, 1), ""),
    ],
)
def test_flavors(flavor: dict[str, Any], capacity: tuple[int, int, int], gpu_type: str) -> None:
    found = to_flavor({"id": "f", "name": "x", **flavor})
    assert (found.capacity.cores, found.capacity.memory_mib, found.capacity.gpus) == capacity
    assert found.gpu_type == gpu_type


def body(**more: Any) -> dict[str, Any]:
    return create_server(
        keys("http://k", **more),
        name="a-1",
        metadata={"k": "v"},
        user_data="#!/bin/sh",
        flavor="F",
        image="I",
        networks=["N"],
        server_group=more.get("server_group") or "",
    )


def test_every_key_reaches_the_request() -> None:
    made = body(
        key_name="scaler",
        security_groups=["nodes", "default"],
        availability_zone="az1",
        config_drive=True,
        server_group="G",
        scheduler_hints={"different_cell": "slow", "same_host": ["a", "b"]},
    )
    assert made["server"] == {
        "name": "a-1",
        "metadata": {"k": "v"},
        "flavorRef": "F",
        "imageRef": "I",
        "networks": [{"uuid": "N"}],
        "key_name": "scaler",
        "availability_zone": "az1",
        "security_groups": [{"name": "nodes"}, {"name": "default"}],
        "user_data": "IyEvYmluL3No",
        "config_drive": True,
    }
    assert made["os:scheduler_hints"] == {"different_cell": "slow", "same_host": ["a", "b"], "group": "G"}


def test_a_boot_volume_is_made_of_the_image_and_goes_with_the_machine() -> None:
    made = body(boot_volume_gb=20, boot_volume_type="ssd")["server"]
    assert made["imageRef"] == ""
    assert made["block_device_mapping_v2"] == [
        {
            "boot_index": 0,
            "uuid": "I",
            "source_type": "image",
            "destination_type": "volume",
            "volume_size": 20,
            "delete_on_termination": True,
            "volume_type": "ssd",
        }
    ]


def test_too_much_user_data_is_refused_before_it_is_sent() -> None:
    longest = USER_DATA_CHARACTERS * 3 // 4
    for size, good in ((longest - 3, True), (longest + 3, False)):
        call = {"name": "a", "metadata": {}, "flavor": "F", "image": "I", "networks": []}
        if good:
            assert create_server(keys("http://k"), user_data="x" * size, **call)["server"]["networks"] == "auto"
        else:
            with pytest.raises(BadConfigError, match="longer than"):
                create_server(keys("http://k"), user_data="x" * size, **call)
