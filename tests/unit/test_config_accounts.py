"""One account in one place is one tenancy: two would end each other's machines."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_files import loaded, problems, small

from dynamiccluster.clouds import registry
from dynamiccluster.clouds.aws import build as aws
from dynamiccluster.clouds.command import build as command
from dynamiccluster.clouds.openstack import calls as openstack
from dynamiccluster.config.crosscheck import AGREED

AWS = (
    "  {name}:\n    type: aws\n    tenancy: {name}\n    quantity: {{max: 1}}\n"
    "    config: {{image_id: i, instance_type: t{more}}}\n"
)
OPENSTACK = (
    "  {name}:\n    type: openstack\n    tenancy: {name}\n    quantity: {{max: 1}}\n"
    "    config: {{image_uuid: i, flavor: f{more}}}\n"
)
COMMAND = (
    "  {name}:\n    type: command\n    tenancy: {name}\n    quantity: {{max: 1}}\n    capacity: {{cores: 1}}\n"
    "    config: {{list_command: /l, launch_command: /s, terminate_command: /t{more}}}\n"
)
R = ", region_name: r"
KEY = ", access_key_id: {0}, secret_access_key: {0}-secret"
PROFILE = ", profile_name: {0}"
KEYSTONE = ", auth_url: 'https://k.example.org:5000/v3{0}', project: {1}, username: {2}, password: {2}-password"
CREDENTIAL = ", os_cloud: c, application_credential_id: {0}, application_credential_secret: {0}-secret"


@pytest.mark.parametrize(
    ("cloud", "one", "other"),
    [
        (AWS, R, R),
        (AWS, R + KEY.format("k"), R + KEY.format("k")),
        (AWS, R + PROFILE.format("a"), R + PROFILE.format("a")),
        (AWS, R + KEY.format("k"), R + KEY.format("k") + PROFILE.format("a")),  # keys win over profiles
        (OPENSTACK, ", os_cloud: c", ", os_cloud: c"),
        (OPENSTACK, "", ""),
        (OPENSTACK, KEYSTONE.format("", "p", "ada"), KEYSTONE.format("/", "p", "bob")),
    ],
)
def test_two_tenancies_of_one_account_are_refused(tmp_path: Path, cloud: str, one: str, other: str) -> None:
    text = small(rest=cloud.format(name="a", more=one) + cloud.format(name="b", more=other))
    (problem,) = problems(tmp_path, text)
    assert problem.key == "cloud.b.tenancy"
    assert "'a'" in problem.problem
    assert "'a'" in problem.expected
    assert problem.line > 0
    assert "secret" not in str(problem)
    assert "password" not in str(problem)


@pytest.mark.parametrize(
    ("cloud", "one", "other"),
    [
        (AWS, R, ", region_name: s"),
        (AWS, R + KEY.format("k"), R + KEY.format("l")),
        (AWS, R, R + KEY.format("k")),
        (AWS, R, R + PROFILE.format("burst")),
        (AWS, R + PROFILE.format("a"), R + PROFILE.format("b")),
        (AWS, R, R + ", endpoint_url: 'https://ec2.example.org'"),
        (OPENSTACK, ", os_cloud: c", ", os_cloud: d"),
        (OPENSTACK, ", os_cloud: c", ", os_cloud: c, region_name: r"),
        (OPENSTACK, ", os_cloud: c, project: p", ", os_cloud: c, project: q"),
        (OPENSTACK, KEYSTONE.format("", "p", "ada"), KEYSTONE.format("", "q", "ada")),
        (OPENSTACK, CREDENTIAL.format("c"), CREDENTIAL.format("d")),
        (COMMAND, "", ""),
    ],
)
def test_accounts_that_differ_are_tenancies_of_their_own(tmp_path: Path, cloud: str, one: str, other: str) -> None:
    text = small(rest=cloud.format(name="a", more=one) + cloud.format(name="b", more=other))
    assert len(loaded(tmp_path, text).policy.resources) == 3


def test_each_tenancy_is_told_of_once(tmp_path: Path) -> None:
    names = [("a", "a"), ("b", "b"), ("c", "b"), ("d", "c")]
    entries = [AWS.format(name=name, more=R).replace(f"tenancy: {name}", f"tenancy: {one}") for name, one in names]
    found = problems(tmp_path, small(rest="".join(entries)))
    assert [problem.key for problem in found] == ["cloud.b.tenancy", "cloud.d.tenancy"]


@pytest.mark.parametrize(
    "key", ["profile_name: a", "endpoint_url: 'https://ec2.example.org'", "notices_queue_url: 'https://q'"]
)
def test_what_a_connection_is_made_of_is_the_same_in_a_tenancy(tmp_path: Path, key: str) -> None:
    entries = [AWS.format(name=name, more=R + more) for name, more in (("a", ""), ("b", f", {key}"))]
    text = small(rest="".join(entries).replace("tenancy: b", "tenancy: a"))
    (problem,) = problems(tmp_path, text)
    assert problem.key == f"cloud.b.config.{key.partition(':')[0]}"


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("aws", aws._SHARED),
        ("command", command._SHARED),
        ("local", registry._SHARED_BY_LOCAL),
        ("openstack", openstack.SHARED),
    ],
)
def test_a_configuration_that_passes_can_be_started(kind: str, needed: tuple[str, ...]) -> None:
    assert set(needed) <= set(AGREED[kind])
