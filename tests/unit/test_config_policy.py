"""What the decision code gets to know of a configuration."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import get_args

import pytest
from config_files import SMALL, loaded, problems, small

from dynamiccluster.api.settings import ApiSettings
from dynamiccluster.config.schema_cloud_common import ResourceTimers
from dynamiccluster.config.schema_cloud_local import LocalResource
from dynamiccluster.config.schema_cloud_simulated import MishapSection, SimulatedCloudConfig
from dynamiccluster.config.schema_cluster_simulated import Workload
from dynamiccluster.config.schema_cluster_slurm import SlurmCluster
from dynamiccluster.config.schema_general import AdminServer, FailureSection, GeneralTimers, LimitsSection
from dynamiccluster.embedded.demo import DEMO_HABITS
from dynamiccluster.embedded.machines import Kind, Mishap, TenancyLimits
from dynamiccluster.embedded.workload import Habits
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.policy import DeadJobs, FailurePolicy, Limits, Policy
from dynamiccluster.model.resource import Timers


@pytest.mark.parametrize(("section", "model"), [(LimitsSection, Limits), (FailureSection, FailurePolicy)])
def test_sections_have_the_keys_and_defaults_of_the_model(
    section: type[LimitsSection | FailureSection], model: type[Limits | FailurePolicy]
) -> None:
    assert section().model_dump() == {field.name: field.default for field in fields(model)}


def test_timers_have_the_keys_of_the_model() -> None:
    known = {field.name for field in fields(Timers)}
    assert set(ResourceTimers.model_fields) - {"queue_idle_s"} == known
    common = set(GeneralTimers.model_fields) - {"queue_idle_s"}
    assert common == known - {"idle_s", "down_s", "launch_s"}
    for field in fields(Timers):
        if field.name in common and GeneralTimers.model_fields[field.name].default is not None:
            assert GeneralTimers.model_fields[field.name].default == field.default


def test_mishaps_are_those_that_the_embedded_cloud_can_play() -> None:
    assert set(get_args(MishapSection.model_fields["mishap"].annotation)) == {mishap.value for mishap in Mishap}


def test_the_embedded_site_and_the_server_are_given_what_they_know() -> None:
    assert Workload().model_dump() == {field.name: getattr(DEMO_HABITS, field.name) for field in fields(Habits)}
    cloud = SimulatedCloudConfig().model_dump()
    assert cloud.items() >= {field.name: field.default for field in fields(Kind)}.items()
    assert cloud.items() >= {field.name: field.default for field in fields(TenancyLimits)}.items()
    server = AdminServer().model_dump()
    server["address"], server["socket_path"] = server.pop("bind_address"), server.pop("socket")
    assert (server.pop("proxy"), server.pop("pam")) == (None, None)  # nobody is let in by others unless it is said
    plain = {field.name: field.default for field in fields(ApiSettings) if field.name in server}
    assert server == plain | {"socket_path": "/run/dynamiccluster/api.sock"}
    left = {field.name for field in fields(ApiSettings)} - server.keys()
    assert {name for name in left if not name.startswith(("proxy_", "pam_"))} == {
        "proxies",
        "series_file",
        "static_folder",
    }


def test_the_smallest_file_gives_the_models_own_defaults(tmp_path: Path) -> None:
    policy = loaded(tmp_path, SMALL).policy
    for field in fields(Policy):
        if field.name in ("cluster_id", "resources"):
            continue
        default = field.default if field.default_factory is MISSING else field.default_factory()
        assert getattr(policy, field.name) == default, field.name
    resource = policy.resources["small"]
    assert resource.timers == Timers()
    assert (resource.tenancy, resource.name_prefix, resource.capacity) == ("simulated", "small", Capacity(4))


def test_general_settings(tmp_path: Path) -> None:
    text = small(
        general="observe_first: false\ndead_jobs: delete\nnomination_s: 7\ntombstone_s: 8\n"
        "limits: {max_nodes: 9, budget_per_month: 10.5}\nfailure: {settle_polls: 11}\n"
        "timers: {first_job_s: 12, queue_idle_s: {a: 13, b: 14}}"
    )
    policy = loaded(tmp_path, text).policy
    assert (policy.observe_first, policy.dead_jobs, policy.nomination_s, policy.tombstone_s) == (
        False,
        DeadJobs.DELETE,
        7,
        8,
    )
    assert policy.limits == Limits(max_nodes=9, budget_per_month=10.5)
    assert policy.failure == FailurePolicy(settle_polls=11)
    assert policy.resources["small"].timers == Timers(first_job_s=12)
    assert policy.resources["small"].queue_idle_s == (("a", 13.0), ("b", 14.0))


def test_a_resource_overrides(tmp_path: Path) -> None:
    text = small(
        "timers: {idle_s: 1, down_s: 2, down_hard_s: 3, launch_s: 5, boot_s: 4, first_job_s: 6, min_lifetime_s: 7,\n"
        "         terminate_s: 8, queue_idle_s: {b: 15}}\n"
        "price_per_hour: 0.5\nfeatures: [x, y]\nqueues: [a, b]\ntenancy: mine\nmax_starting: 3\noffering: zone\n"
        "drain_at_risk: true\n"
        "reservation: {property: z, account: acc}\npriority: -1",
        general="timers: {queue_idle_s: {a: 13, b: 14}}",
    ).replace("cores: 4", "cores: 4, memory_mib: 5, gpus: 1, gpu_type: t4")
    resource = loaded(tmp_path, text).policy.resources["small"]
    assert resource.timers == Timers(1, 2, 3, 5, 4, 6, 7, 8)
    assert resource.queue_idle_s == (("a", 13.0), ("b", 15.0))
    assert resource.features == {"x", "y", "z"}
    assert resource.queues == {"a", "b"}
    assert (resource.tenancy, resource.offering, resource.max_starting) == ("mine", "zone", 3)
    assert resource.drain_at_risk
    assert (resource.price_per_hour, resource.priority, resource.gpu_type) == (0.5, -1, "t4")
    assert resource.capacity == Capacity(4, 5, 1)


def test_limits_that_were_not_given_follow_those_that_were(tmp_path: Path) -> None:
    timers = (
        loaded(tmp_path, small(general="max_launch_time: 60\nmax_down_time: 7200")).policy.resources["small"].timers
    )
    assert (timers.boot_s, timers.launch_s) == (60, 60)
    assert (timers.down_s, timers.down_hard_s) == (7200, 7200)


@pytest.mark.parametrize(
    ("general", "join", "forget"),
    [
        ("names: already", (ActionKind.HOST_ADD,), ()),
        ("names: hosts_file", (ActionKind.NAME_ADD, ActionKind.HOST_ADD), (ActionKind.NAME_REMOVE,)),
        (
            "names: {method: script, add_command: 'a {0} {1}', remove_command: 'b {0}'}\npost_vm_destroy_command: c",
            (ActionKind.NAME_ADD, ActionKind.HOST_ADD),
            (ActionKind.NAME_REMOVE, ActionKind.HOOK_VM_DESTROYED),
        ),
        (
            "config-checker: {plugin: {name: a.B}}\nnames: hosts_file\npost_vm_provision_command: c",
            (ActionKind.HOOK_VM_PROVISIONED, ActionKind.NAME_ADD, ActionKind.CHECK, ActionKind.HOST_ADD),
            (ActionKind.NAME_REMOVE,),
        ),
    ],
)
def test_steps_follow_from_what_is_configured(
    tmp_path: Path, general: str, join: tuple[ActionKind, ...], forget: tuple[ActionKind, ...]
) -> None:
    policy = loaded(tmp_path, small(general=general)).policy
    assert (policy.join_steps, policy.forget_steps) == (join, forget)
    assert policy.remove_steps == (ActionKind.HOST_REMOVE,)


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("os_res.1", "os-res-1"), ("9", "wn-9"), ("..", "wn"), ("a" * 64, "a" * 54), ("Big", "Big")],
)
def test_name_prefixes_made_from_resource_names_fit_into_host_names(tmp_path: Path, name: str, prefix: str) -> None:
    resource = loaded(tmp_path, SMALL.replace("  small:", f"  {name}:")).policy.resources[name]
    assert resource.name_prefix == prefix
    assert len(f"{resource.name_prefix}-12345678") <= 63


def test_relative_paths_count_from_the_file(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path, small(general="store: {path: x/y.db}\nadmin-server: {socket: /run/s, tokens_file: ''}")
    ).settings
    assert settings.general.store.path == str(tmp_path / "x/y.db")
    assert settings.general.admin_server.socket == "/run/s"
    assert settings.general.admin_server.tokens_file == ""


@pytest.mark.parametrize("mode", ["0660", "660", '"0o660"', '"660"'])
def test_a_socket_mode_is_octal_however_it_is_written(tmp_path: Path, mode: str) -> None:
    server = loaded(tmp_path, small(general=f"api: {{socket_mode: {mode}}}")).settings.general.admin_server
    assert server.socket_mode == 0o660


def slurm(config: str) -> str:
    return SMALL.replace("type: simulated\ncloud", f"type: slurm\n  config: {{{config}}}\ncloud")


def test_slurm_commands_are_words_however_they_are_written(tmp_path: Path) -> None:
    text = slurm("squeue_command: 'sudo \"a b\" squeue', scontrol_command: [/x/scontrol, 3], slurm_conf: s/slurm.conf")
    cluster = loaded(tmp_path, text).settings.cluster
    assert isinstance(cluster, SlurmCluster)
    assert cluster.config.squeue_command == ("sudo", "a b", "squeue")
    assert cluster.config.scontrol_command == ("/x/scontrol", "3")
    assert cluster.config.scancel_command == ("scancel",)
    assert cluster.config.slurm_conf == str(tmp_path / "s/slurm.conf")


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("'a \"b'", "not balanced"),
        ("[]", "empty"),
        ("['', x]", "empty"),
        ('["a\\0b"]', "NUL"),
        ("{a: b}", "not a valid"),
    ],
)
def test_commands_that_cannot_be_run(tmp_path: Path, value: str, complaint: str) -> None:
    (problem,) = problems(tmp_path, slurm(f"squeue_command: {value}"))
    assert problem.key == "cluster.config.squeue_command"
    assert complaint in problem.problem


def test_a_worker_command_has_named_placeholders(tmp_path: Path) -> None:
    rest = (
        "  l:\n    type: local\n    quantity: {max: 1}\n    capacity: {cores: 1}\n"
        '    config: {worker_command: "w -N {name} {{x}} {cores}"}\n'
    )
    resource = loaded(tmp_path, small(rest=rest)).settings.cloud["l"]
    assert isinstance(resource, LocalResource)
    assert resource.config.worker_command == ("w", "-N", "{name}", "{{x}}", "{cores}")
    (problem,) = problems(tmp_path, small(rest=rest.replace("{cores}", "{cores")))
    assert "braces are not balanced" in problem.problem
