"""Cloud Scheduler's configuration made into ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from config_files import problems, small
from hypothesis import given
from hypothesis import strategies as st

from dynamiccluster.cli import exits
from dynamiccluster.cli.main import main
from dynamiccluster.config.cloud_resources import TO_FILL_IN, convert, parse_job
from dynamiccluster.config.load import load
from dynamiccluster.errors import BadConfigError

CONF = """
# two clouds and one that nobody has
[otter-container]
host: otter.example.org
auth_url: https://otter.example.org:5000/v3
cloud_type: OpenStackNative
regions: RegionOne
vm_slots: 10
cpu_cores: 16
tenant_name: hep
username: svc
password: planted-secret
security_group: default
key_name: cs
boot_timeout: 3600
priority: 0
vm_keep_alive: 5
enabled: true

[amazon]
host: ec2.example.org
cloud_type: AmazonEC2
regions: us-east-1,us-west-2
vm_slots: 4
access_key_id: planted-key
secret_access_key: planted-too
priority: 3
enabled: false

[old]
cloud_type: Nimbus
"""
JOB = """
Universe   = vanilla
Executable = script.sh
Requirements = VMType =?= "Centos7"
+VMType = "Centos7"
+VMAMI = "otter-container:c7.qcow2,amazon:ami-1,other"
+VMInstanceType = "amazon:m5.large,m1.small"
+VMCPUCores = "2"
+vmmem = "3072"
+VMMaximumPrice = "12"
Queue
"""
SECRETS = ("planted-secret", "planted-key", "planted-too")


def made(*jobs: str):
    return convert(CONF, [parse_job(job) for job in jobs], "/etc/dc/secrets", "hep")


def test_every_cloud_becomes_a_resource_with_the_words_of_the_job() -> None:
    cloud = made(JOB).document["cloud"]
    assert set(cloud) == {"otter-container", "amazon"}
    otter = cloud["otter-container"]
    assert otter["type"] == "openstack"
    assert otter["tenancy"] == "otter-container"
    assert otter["quantity"] == {"min": 0, "max": 10}
    assert otter["timers"] == {"idle_s": 300, "launch_s": 3600}
    assert otter["capacity"] == {"cores": 2, "memory_mib": 3072}
    assert otter["features"] == [
        "TargetClouds=otter-container",
        "VMAMI=c7.qcow2",
        "VMInstanceType=m1.small",
        "VMType=Centos7",
    ]
    assert otter["config"] == {
        "username": "svc",
        "project": "hep",
        "auth_url": "https://otter.example.org:5000/v3",
        "key_name": "cs",
        "region_name": "RegionOne",
        "security_groups": ["default"],
        "password": {"from_file": "/etc/dc/secrets/otter-container.password"},
        "image_uuid": "c7.qcow2",
        "flavor": "m1.small",
    }
    assert cloud["amazon"]["config"]["image_id"] == "ami-1"
    assert cloud["amazon"]["config"]["instance_type"] == "m5.large"
    assert cloud["amazon"]["config"]["spot_bid"] == 0.12
    assert cloud["amazon"]["quantity"]["max"] == 0


def test_what_is_lost_or_undecided_is_said() -> None:
    notices = "\n".join(made().notices)
    for word in ("[old] is left out", "cpu_cores: not carried over", "was not enabled", "which image?", "us-east-1"):
        assert word in notices
    assert made().document["cloud"]["otter-container"]["config"]["image_uuid"] == TO_FILL_IN


def test_what_is_still_to_be_filled_in_is_noticed(tmp_path: Path) -> None:
    target = tmp_path / "new"
    (tmp_path / "cloud_resources.conf").write_text(CONF)
    assert run("import", str(tmp_path / "cloud_resources.conf"), "--write", str(target)).exit_code == 0
    keys = {notice.key for notice in load(target / "dynamiccluster.yaml").notices if "filled in" in notice.text}
    assert {"cloud.otter-container.config.image_uuid", "cloud.otter-container.config.flavor"} <= keys


def test_kinds_of_job_become_resources_of_their_own_where_they_may_go() -> None:
    other = '+VMType = "big"\n+TargetClouds = "amazon"\n+VMAMI = "ami-9"\n+VMInstanceType = "c5.large"\n'
    cloud = made(JOB, other, JOB).document["cloud"]
    assert set(cloud) == {"otter-container", "amazon-Centos7", "amazon-big"}
    assert cloud["amazon-big"]["config"]["image_id"] == "ami-9"


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, catch_exceptions=False)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "cloud_resources.conf").write_text(CONF)
    (tmp_path / "try.job").write_text(JOB)
    return tmp_path


def test_what_is_written_is_a_configuration_and_the_secrets_are_nobody_elses(files: Path) -> None:
    target = files / "new"
    result = run("import", str(files / "cloud_resources.conf"), "--job", str(files / "try.job"), "--write", str(target))
    assert result.exit_code == 0, result.stderr
    secret = target / "secrets" / "otter-container.password"
    assert secret.read_text() == "planted-secret\n"
    assert oct(os.stat(secret).st_mode & 0o777) == "0o600"
    loaded = load(target / "dynamiccluster.yaml")
    assert set(loaded.settings.cloud) == {"otter-container", "amazon"}
    assert not [notice for notice in loaded.notices if "filled in" in notice.text]
    again = run("import", str(files / "cloud_resources.conf"), "--write", str(target))
    assert again.exit_code == exits.REFUSED


ONE_ACCOUNT = """
[east]
cloud_type: AmazonEC2
regions: us-east-1
vm_slots: 4
access_key_id: planted-key
secret_access_key: planted-too
[east-big]
cloud_type: AmazonEC2
regions: us-east-1
vm_slots: 2
access_key_id: planted-key
secret_access_key: planted-too
[west]
cloud_type: AmazonEC2
regions: us-west-2
vm_slots: 2
access_key_id: planted-key
secret_access_key: planted-too
[otter]
cloud_type: OpenStackNative
auth_url: https://otter.example.org:5000/v3
tenant_name: hep
username: svc
password: planted-secret
vm_slots: 2
[otter-too]
cloud_type: OpenStack
auth_url: https://otter.example.org:5000/v3/
tenant_name: hep
username: ann
password: planted-elsewhere
vm_slots: 2
"""


def test_clouds_of_one_account_are_one_tenancy(tmp_path: Path) -> None:
    """Two tenancies of one account would see and end each other's machines: such a configuration is refused."""
    (tmp_path / "cloud_resources.conf").write_text(ONE_ACCOUNT)
    target = tmp_path / "new"
    result = run("import", str(tmp_path / "cloud_resources.conf"), "--write", str(target))
    assert result.exit_code == 0, result.stderr
    settings = load(target / "dynamiccluster.yaml").settings  # refused, if anything is wrong
    tenancies = {name: item.tenancy for name, item in settings.cloud.items()}
    assert tenancies == {"east": "east", "east-big": "east", "west": "west", "otter": "otter", "otter-too": "otter"}
    assert settings.cloud["otter-too"].config.username == "svc"
    assert "[otter-too] username, password, auth_url: those of [otter] are used" in result.stderr
    assert "[east-big]" not in "".join(line for line in result.stderr.splitlines() if "are used" in line)
    kept = {path.name for path in (target / "secrets").iterdir()}
    assert kept == {f"{name}.{key}" for name in ("east", "west") for key in ("access_key_id", "secret_access_key")} | {
        "otter.password"
    }


def test_names_that_look_alike_keep_their_own_secrets() -> None:
    section = "[{0}]\ncloud_type: AmazonEC2\nregions: r\naccess_key_id: {1}\nsecret_access_key: {1}-too\n"
    both = convert(section.format("a b", "planted-one") + section.format("a-b", "planted-two"), [], "/s", "c")
    for entry, key in zip(both.document["cloud"].values(), ("planted-one", "planted-two"), strict=True):
        file = entry["config"]["access_key_id"]["from_file"].removeprefix("/s/")
        assert both.secrets[file] == key


def test_secrets_are_never_printed(files: Path) -> None:
    result = run("import", str(files / "cloud_resources.conf"), "--job", str(files / "try.job"))
    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout)["cloud"]
    assert not [secret for secret in SECRETS if secret in result.output]


@pytest.mark.parametrize(
    "text",
    ["", "password: planted-secret", "[a]\nplanted-secret", "[a]\nb: 1\nb: 2", "[a]\n[a]", "[a]\ncloud_type: Nimbus"],
)
def test_files_that_are_none_are_refused_without_repeating_them(files: Path, text: str) -> None:
    path = files / "bad.conf"
    path.write_text(text)
    result = run("import", str(path))
    assert result.exit_code == exits.BAD_CONFIG
    assert "bad.conf: " in result.stderr
    assert "planted" not in result.stderr


def test_words_with_values_are_for_htcondor_alone(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, small("features: [VMType=a]"))
    assert problem.key == "cloud.small.features"


@given(st.text(max_size=200))
def test_any_text_is_converted_or_refused(text: str) -> None:
    try:
        convert(text, [parse_job(text)], "/s", "c")
        convert(f"[x]\ncloud_type: openstack\n{text}", [parse_job(text)], "/s", "c")
    except BadConfigError:
        pass
