"""Files of the original load as they are, with the documented meanings."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from config_files import SGE, SMALL, TORQUE, loaded, problems, small

from dynamiccluster.config.check import adapter_gaps, check, render, require_adapters
from dynamiccluster.config.legacy import CLASS_PATHS
from dynamiccluster.config.problems import ConfigProblems
from dynamiccluster.config.schema_cloud_aws import AwsResource
from dynamiccluster.config.schema_cloud_openstack import OpenstackResource
from dynamiccluster.config.schema_cluster_sge import SgeCluster
from dynamiccluster.config.schema_cluster_torque import TorqueCluster
from dynamiccluster.config.to_policy import hook_commands
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.resource import Reservation


def test_a_complete_torque_file_loads_with_every_value_as_written(tmp_path: Path) -> None:
    result = loaded(tmp_path, TORQUE)
    written: dict[str, Any] = yaml.safe_load(TORQUE)
    got = result.settings.model_dump(by_alias=True)
    written["cloud"]["os-res"]["config"]["password"] = got["cloud"]["os-res"]["config"]["password"]
    for key in ("access_key_id", "secret_access_key"):
        written["cloud"]["aws-res"]["config"][key] = got["cloud"]["aws-res"]["config"][key]
    written["plugins"]["graphite"]["class_name"] = "dynamiccluster.plugins.graphite.GraphiteReporter"
    assert_contains(got, written)


def assert_contains(got: Any, written: Any, path: str = "") -> None:
    if isinstance(written, dict):
        for key, value in written.items():
            if value is not None:
                assert_contains(got[key], value, f"{path}.{key}")
    elif isinstance(written, list):
        assert list(got) == written, path
    else:
        assert got == written, path


def test_passwords_that_look_like_numbers_are_taken_as_written(tmp_path: Path) -> None:
    resource = loaded(tmp_path, TORQUE).settings.cloud["os-res"]
    assert isinstance(resource, OpenstackResource)
    assert resource.config.password is not None
    assert resource.config.password.get_secret_value() == "0123456"


def test_the_policy_of_a_torque_file(tmp_path: Path) -> None:
    policy = loaded(tmp_path, TORQUE).policy
    assert (policy.scheduler_poll_s, policy.cloud_poll_s, policy.provision_interval_s) == (11, 21, 61)
    assert policy.auto_mode is False
    assert policy.queues == ("short", "long")
    openstack, aws = policy.resources["os-res"], policy.resources["aws-res"]
    assert (openstack.min_nodes, openstack.max_nodes, openstack.priority, openstack.name_prefix) == (1, 5, 1, "oswn")
    assert openstack.reservation == Reservation(queue="short")
    assert openstack.queues == {"short"}
    assert aws.reservation == Reservation(account="physics", property="bigmem")
    assert aws.features == {"bigmem"}
    assert openstack.tenancy == "openstack:burst:keystone.example.org"
    assert aws.tenancy == "aws:ap-southeast-2"
    assert aws.offering == "aws:ap-southeast-2/ap-southeast-2a/m5.xlarge/spot"
    assert (aws.timers.idle_s, aws.timers.down_s, aws.timers.launch_s) == (700, 500, 1300)
    assert policy.join_steps == (
        ActionKind.HOOK_VM_PROVISIONED,
        ActionKind.CHECK,
        ActionKind.HOST_ADD,
        ActionKind.HOOK_NODE_ADDED,
    )
    assert policy.remove_steps == (ActionKind.HOST_REMOVE, ActionKind.HOOK_NODE_REMOVED)
    assert policy.forget_steps == (ActionKind.HOOK_VM_DESTROYED,)


def test_a_complete_sge_file_loads(tmp_path: Path) -> None:
    result = loaded(tmp_path, SGE)
    cluster = result.settings.cluster
    assert isinstance(cluster, SgeCluster)
    assert cluster.config.qhost_command == "/opt/ge/bin/qhost -q -j -xml {0} {1}"
    assert result.settings.general.worker_number == 4
    resource = result.settings.cloud["sa"]
    assert resource.type == "openstack"
    assert isinstance(resource, OpenstackResource)
    assert resource.config.flavor == "3"
    assert result.policy.resources["sa"].reservation == Reservation(queue="all.q", account="@burst")
    assert any(notice.key == "cluster.config.qstat_command" for notice in result.notices)


def test_documented_defaults(tmp_path: Path) -> None:
    result = loaded(tmp_path, SMALL)
    general = result.settings.general
    assert (general.max_idle_time, general.max_down_time, general.max_launch_time) == (600, 480, 1200)
    assert (general.cluster_poller_interval, general.cloud_poller_interval) == (10, 20)
    assert (general.auto_provision_interval, general.auto_mode, general.admin_server.port) == (60, True, 8001)
    assert result.notices == ()


def test_torque_commands_default_to_the_documented_ones(tmp_path: Path) -> None:
    text = SMALL.replace("cluster:\n  type: simulated", "cluster:\n  type: torque")
    cluster = loaded(tmp_path, text).settings.cluster
    assert isinstance(cluster, TorqueCluster)
    assert cluster.config.pbsnodes_command == "/usr/bin/pbsnodes {0} {1}"
    assert cluster.config.queued_job_number_to_display == 30


@pytest.mark.parametrize("spelling", ["worker_number", "worker_thread_number", "worker_process_number"])
def test_every_spelling_of_the_worker_number(tmp_path: Path, spelling: str) -> None:
    assert loaded(tmp_path, small(general=f"{spelling}: 5")).settings.general.worker_number == 5
    flat = SMALL + f"{spelling}: 6\n"
    assert loaded(tmp_path, flat).settings.general.worker_number == 6


def test_general_and_logging_keys_may_stand_at_the_top_as_in_the_guide(tmp_path: Path) -> None:
    text = SMALL + (
        "max_idle_time: 90\nadmin-server:\n  port: 9001\nconfig-checker:\n  plugin:\n    name: site.checks.Ready\n"
        "post_vm_provision_command: /x {0} {1} {2}\nlog_level: 3\ngraphite:\n  class_name: a.B\n"
        "post_add_node_command: /y {0}\n"
    )
    settings = loaded(tmp_path, text).settings
    assert settings.general.max_idle_time == 90
    assert settings.general.cluster_id == "test"
    assert settings.general.admin_server.port == 9001
    assert settings.general.config_checker is not None
    assert settings.logging.log_level == 3
    assert settings.plugins["graphite"].class_name == "a.B"
    assert hook_commands(settings) == {
        ActionKind.HOOK_VM_PROVISIONED: "/x {0} {1} {2}",
        ActionKind.HOOK_NODE_ADDED: "/y {0}",
    }


def test_a_file_without_the_general_section_at_all(tmp_path: Path) -> None:
    text = SMALL.replace("dynamic-cluster:\n  cluster_id: test\n", "cluster_id: flat\nmax_down_time: 30\n")
    policy = loaded(tmp_path, text).policy
    assert policy.cluster_id == "flat"
    assert policy.resources["small"].timers.down_s == 30


def test_node_scripts_of_older_files_stand_in_the_general_section(tmp_path: Path) -> None:
    settings = loaded(tmp_path, small(general="post_remove_node_command: /gone {0} {1}")).settings
    assert settings.cluster.config.post_remove_node_command == "/gone {0} {1}"


def test_two_spellings_at_once_are_refused(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, small(general="worker_number: 2\nworker_thread_number: 3"))
    assert problem.key == "dynamic-cluster.worker_thread_number"
    assert problem.line == 4
    assert "dynamic-cluster.worker_number" in problem.problem
    (problem,) = problems(tmp_path, small(general="max_idle_time: 2", rest="max_idle_time: 3\n"))
    assert problem.key == "max_idle_time"


def test_keys_without_a_meaning_any_more_are_accepted_and_mentioned(tmp_path: Path) -> None:
    (notice,) = loaded(tmp_path, small(general="admin-server:\n  port: 8001\n  debug: True")).notices
    assert (notice.key, notice.line) == ("dynamic-cluster.admin-server.debug", 5)


def test_a_missing_cluster_id_is_not_guessed(tmp_path: Path) -> None:
    result = loaded(tmp_path, TORQUE)
    assert result.policy.cluster_id == "dynamiccluster"
    assert any("two installations" in notice.text for notice in result.notices)


def test_classes_of_the_original_have_a_successor(tmp_path: Path) -> None:
    settings = loaded(tmp_path, TORQUE).settings
    assert settings.plugins["graphite"].class_name == "dynamiccluster.plugins.graphite.GraphiteReporter"
    for old in ("dynamiccluster.salt.SaltChecker", "dynamiccluster.saltclient.SaltChecker"):
        text = SGE.replace("dynamiccluster.salt.SaltChecker", old)
        checker = loaded(tmp_path, text).settings.general.config_checker
        assert checker is not None
        assert checker.plugin is not None
        assert checker.plugin.name == "dynamiccluster.checkers.salt.SaltChecker"
    assert not set(CLASS_PATHS) & set(CLASS_PATHS.values())


@pytest.mark.parametrize("path", sorted(set(CLASS_PATHS.values())))
def test_the_successors_are_there(path: str) -> None:
    module, _, name = path.rpartition(".")
    assert hasattr(importlib.import_module(module), name)


def test_types_without_an_adapter_are_notices_that_name_them(tmp_path: Path) -> None:
    result = loaded(tmp_path, TORQUE)
    gaps = adapter_gaps(result, {"slurm"}, {"aws"})
    sentence = "type {} is known but this release has no adapter for it yet, so the service does not start with it"
    assert [(gap.key, gap.text) for gap in gaps] == [
        ("cluster.type", sentence.format("torque")),
        ("cloud.os-res.type", sentence.format("openstack")),
    ]
    with pytest.raises(ConfigProblems, match="type torque is known but"):
        require_adapters(result, {"slurm"}, {"aws", "openstack"})
    require_adapters(result, {"torque"}, {"aws", "openstack"})
    assert gaps[0].line == TORQUE.splitlines().index("  type: torque") + 1
    assert adapter_gaps(result, {"torque"}, {"aws", "openstack"}) == ()


def test_check_reports_and_never_raises(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(SMALL.replace("cores", "corse"))
    found, notices = check(file)
    assert render(found, notices)[0].startswith(f"{file}:10: cloud.small.capacity.corse: is not a known key")
    assert render(found)[0].endswith("did you mean cores?")
    file.write_text(SMALL)
    found, notices = check(file, schedulers=set(), clouds={"simulated"})
    assert found == ()
    assert [notice.key for notice in notices] == ["cluster.type"]


def test_aws_without_spot_and_without_keys_uses_the_sdk_chain(tmp_path: Path) -> None:
    text = small(
        rest="  cloud2:\n    type: aws\n    quantity: {max: 1}\n"
        "    config: {image_id: ami-1, instance_type: t3.nano, region_name: eu-west-1}\n"
    )
    resource = loaded(tmp_path, text).settings.cloud["cloud2"]
    assert isinstance(resource, AwsResource)
    assert resource.config.access_key_id is None
    assert resource.config.validate_certs is True
