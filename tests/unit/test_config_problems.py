"""Bad values and contradictions: each with its line, its key, what was expected, and the nearest known key."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_files import SMALL, loaded, problems, small

from dynamiccluster.config import remarks
from dynamiccluster.config.problems import Notice, Problem

AWS = (
    "  {name}:\n    type: aws\n    quantity: {{max: 1}}\n"
    "    config: {{image_id: i, instance_type: t, region_name: r{more}}}\n"
)
OPENSTACK = "  {name}:\n    type: openstack\n    quantity: {{max: 1}}\n    config: {{image_uuid: i, flavor: f{more}}}\n"
LOCAL = (
    "  {name}:\n    type: local\n    quantity: {{max: 1}}\n    capacity: {{cores: 1}}\n"
    '    config: {{worker_command: "w {{name}}"{more}}}\n'
)


def keys(found: tuple[Problem, ...]) -> list[str]:
    return [problem.key for problem in found]


def test_one_line_per_problem() -> None:
    assert (
        str(Problem("f", 3, "a.b", "is wrong", "right", "c")) == "f:3: a.b: is wrong; expected right; did you mean c?"
    )
    assert str(Problem("f", 0, "", "is empty")) == "f: is empty"
    assert str(Notice("f", 2, "k", "careful")) == "f:2: k: notice: careful"


@pytest.mark.parametrize(
    ("text", "key", "nearest"),
    [
        (small(general="max_idle_tme: 3"), "dynamic-cluster.max_idle_tme", "max_idle_time"),
        (small(general="admin_server: {}"), "dynamic-cluster.admin_server", "admin-server"),
        (small(general="worker_thread_numbr: 3"), "dynamic-cluster.worker_thread_numbr", "worker_thread_number"),
        (small(cluster="queues_to_monitor: [a]"), "cluster.config.queues_to_monitor", "queue_to_monitor"),
        (small("priorty: 3"), "cloud.small.priorty", "priority"),
        (small(rest="queue_to_monitor: [a]\n"), "queue_to_monitor", "cluster.config.queue_to_monitor"),
        (small("cores: 3"), "cloud.small.cores", "cloud.<name>.capacity.cores"),
        (small(rest="pluggins: {}\n"), "pluggins", "plugins"),
        (SMALL.replace("type: simulated\ncloud", "type: slurn\ncloud"), "cluster.type", "slurm"),
        (SMALL.replace("    type: simulated", "    type: amazon"), "cloud.small.type", ""),
    ],
)
def test_nearest_known_key(tmp_path: Path, text: str, key: str, nearest: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert (problem.key, problem.nearest) == (key, nearest)
    wrong = next(word for word in ("amazon", "slurn", key.rsplit(".", 1)[-1]) if word in text)
    assert problem.line == max(number for number, line in enumerate(text.splitlines(), 1) if wrong in line)


@pytest.mark.parametrize(
    ("text", "key", "types"),
    [
        (
            small(cluster="slurm_conf: /etc/slurm.conf").replace("type: simulated\ncloud", "type: torque\ncloud", 1),
            "cluster.config.slurm_conf",
            "slurm",
        ),
        ("cloud:\n" + OPENSTACK.format(name="o", more=", network: 10.0.0.0/8"), "cloud.o.config.network", "local"),
        (
            "cloud:\n" + LOCAL.format(name="l", more=", region_name: r"),
            "cloud.l.config.region_name",
            "openstack or aws or xspot",
        ),
    ],
)
def test_a_key_of_another_type_is_told_to_be_one(tmp_path: Path, text: str, key: str, types: str) -> None:
    (problem,) = [problem for problem in problems(tmp_path, text) if problem.key == key]
    assert problem.problem == f"is not a key of this type; it belongs to type {types}"
    assert problem.nearest != key


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        (small(general="max_idle_time: soon"), "max_idle_time", "seconds, 0 or more"),
        (small(general="max_idle_time: -1"), "max_idle_time", "seconds, 0 or more"),
        (small(general="max_idle_time: true"), "max_idle_time", "seconds"),
        (small(general="max_idle_time: .inf"), "max_idle_time", "seconds"),
        (small(general="cloud_poller_interval: 0"), "cloud_poller_interval", "more than 0"),
        (small(general="auto_mode: maybe"), "auto_mode", "true or false"),
        (small(general="worker_number: 1.5"), "worker_number", "a whole number"),
        (small(general="dead_jobs: bury"), "dead_jobs", "requeue or delete"),
        (SMALL.replace("id: test", "id: a:b"), "cluster_id", "a plain name"),
        (small(general="admin-server: {port: 70000}"), "port", "0 to 65535"),
        (small(general="admin-server: {socket_mode: 0666}"), "socket_mode", "octal"),
        (small(general="admin-server: {socket_mode: 89}"), "socket_mode", "octal"),
        (small(general="admin-server: yes"), "admin-server", ""),
        (small(general="post_vm_provision_command: 'x {0} {4}'"), "post_vm_provision_command", "{0} to {3}"),
        (small(general='post_vm_provision_command: "x \'"'), "post_vm_provision_command", "a command"),
        (small(general="post_vm_provision_command: ''"), "post_vm_provision_command", "a command"),
        (small(general="config-checker: {port: {number: 0}}"), "number", "1 to 65535"),
        (small(general="names: hosts"), "method", "already, hosts_file or script"),
        (small(general="failure: {breaker_failures: 0}"), "breaker_failures", "1 or more"),
        (small("quantity2: 1"), "quantity2", ""),
        (small("features: [a b]"), "features[0]", "a plain name"),
        (small("reservation: {queue: 'a;b'}"), "queue", "a plain name"),
        (small("reservation: [a]"), "reservation", ""),
        (small("config: {instance_name_prefix: 9x}"), "instance_name_prefix", "the start of a host name"),
        (small("config: {boot_s: [9, 3]}"), "boot_s", "[least, most]"),
        (small("config: {mishaps: [{mishap: flood, from_s: 1, until_s: 2}]}"), "mishap", "sold out"),
        (small(rest="plugins: {x: {class_name: 9-Foo}}\n"), "class_name", "package.module.Class"),
        (small(rest="plugins: {'a b': {class_name: a.B}}\n"), "a b", ""),
        (small(rest="logging: {log_level: 5}\n"), "log_level", "at most 4"),
        (small(rest=LOCAL.format(name="l", more=", network: 8.8.8.0/24")), "network", "private"),
        (small(rest=LOCAL.format(name="l", more=", network: 10.0.0.1/24")), "network", "private"),
        (small(rest=LOCAL.replace("w {{name}}", "w {{nam}}").format(name="l", more="")), "worker_command", "{name}"),
        (small(rest=OPENSTACK.format(name="o", more=", auth_url: 'keystone:5000'")), "auth_url", "http"),
        (small(rest=OPENSTACK.format(name="o", more=", auth_url: 'http://[x'")), "auth_url", "http"),
    ],
)
def test_bad_values(tmp_path: Path, text: str, key: str, expected: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert problem.key.endswith(key)
    assert expected in problem.expected
    assert problem.line > 0


def test_cases_that_need_all_of_a_section(tmp_path: Path) -> None:
    assert keys(problems(tmp_path, "a: 1\n")) == ["cloud", "cluster", "a"]
    assert keys(problems(tmp_path, SMALL[: SMALL.index("  small:")])) == ["cloud"]
    assert keys(problems(tmp_path, SMALL.replace("    quantity: {max: 2}\n", ""))) == ["cloud.small.quantity"]
    assert keys(problems(tmp_path, SMALL.replace("max: 2", "min: 2"))) == ["cloud.small.quantity.max"]
    assert keys(problems(tmp_path, SMALL.replace("    type: simulated\n", ""))) == ["cloud.small.type"]
    (problem,) = problems(tmp_path, small(general="config-checker: {port: {number: 1}, plugin: {name: a.B}}"))
    assert "exactly one" in problem.problem
    (problem,) = problems(tmp_path, small(general="names: script"))
    assert "add_command" in problem.problem
    (problem,) = problems(tmp_path, small(general="failure: {backoff_s: 9, backoff_max_s: 3}"))
    assert "backoff_s is longer than backoff_max_s" in problem.problem


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (SMALL.replace("max: 2", "min: 3, max: 2"), "cloud.small.quantity.min"),
        (SMALL.replace("cores: 4", "memory_mib: 4"), "cloud.small.capacity.cores"),
        (SMALL.replace("max: 2", "min: 2, max: 2") + "limits: {max_nodes: 1}\n", "limits.max_nodes"),
        (small("timers: {boot_s: 99, launch_s: 98}"), "cloud.small.timers.boot_s"),
        (small(general="timers: {boot_s: 99999}"), "dynamic-cluster.timers.boot_s"),
        (small("timers: {down_s: 99, down_hard_s: 98}"), "cloud.small.timers.down_hard_s"),
        (small(general="timers: {down_hard_s: 9}"), "dynamic-cluster.timers.down_hard_s"),
        (
            small("config: {instance_name_prefix: l}", rest=LOCAL.format(name="l", more="")),
            "cloud.l.config.instance_name_prefix",
        ),
        (small("reservation: {queue: a}\nqueues: [b]"), "cloud.small.reservation.queue"),
        (small(rest=AWS.format(name="x", more=", access_key_id: a")), "cloud.x.config.secret_access_key"),
        (small(rest=AWS.format(name="x", more=", proxy_port: 3128")), "cloud.x.config.proxy"),
        (
            small(rest=OPENSTACK.format(name="x", more=", username: a, auth_url: 'http://k', project: p")),
            "cloud.x.config.password",
        ),
        (
            small(rest=OPENSTACK.format(name="x", more=", username: a, password: b, project: p")),
            "cloud.x.config.auth_url",
        ),
        (
            small(
                rest=AWS.format(name="x", more="")
                + AWS.format(name="y", more=", access_key_id: a, secret_access_key: b")
            ),
            "cloud.y.config.access_key_id",
        ),
        (
            small("tenancy: t", rest=AWS.format(name="x", more="").replace("type: aws", "type: aws\n    tenancy: t")),
            "cloud.x.tenancy",
        ),
        (
            small(rest=LOCAL.format(name="l", more="") + LOCAL.format(name="m", more=", network: 10.1.0.0/24")),
            "cloud.m.config.network",
        ),
        (small(general="admin-server: {bind_address: 0.0.0.0}"), "dynamic-cluster.admin-server.bind_address"),
        (
            SMALL.replace("type: simulated\ncloud", "type: slurm\n  config: {template_prefix: Small}\ncloud"),
            "cluster.config.template_prefix",
        ),
    ],
)
def test_contradictions(tmp_path: Path, text: str, key: str) -> None:
    found = problems(tmp_path, text)
    assert found[0].key == key
    assert found[0].expected
    assert found[0].line > 0
    assert {problem.key.rsplit(".", 1)[0] for problem in found} == {key.rsplit(".", 1)[0]}


def test_every_problem_at_once_bad_values_and_contradictions(tmp_path: Path) -> None:
    text = small(
        "reservation: {queue: a}\nqueues: [b]\npriorty: 4",
        "max_down_time: soon\nadmin-server: {bind_address: 10.0.0.1}",
        "queue_to_monitor: 'a b'",
        LOCAL.format(name="l", more=", state_dri: /x")
        + AWS.format(name="x", more=", secret_access_key: k").replace("image_id: i, ", ""),
    )
    assert keys(problems(tmp_path, text)) == [
        "dynamic-cluster.max_down_time",
        "dynamic-cluster.admin-server.bind_address",
        "cluster.config.queue_to_monitor[0]",
        "cloud.small.reservation.queue",
        "cloud.small.priorty",
        "cloud.l.config.state_dri",
        "cloud.x.config.access_key_id",
        "cloud.x.config.image_id",
    ]


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (small("reservation: {queue: a}", cluster="queue_to_monitor: [b]"), "cloud.small.reservation.queue"),
        (small("queues: [a, b]", cluster="queue_to_monitor: [b]"), "cloud.small.queues"),
        (small("timers: {queue_idle_s: {a: 1}}", cluster="queue_to_monitor: [b]"), "cloud.small.timers.queue_idle_s.a"),
        (
            small(general="timers: {queue_idle_s: {a: 1}}", cluster="queue_to_monitor: [b]"),
            "dynamic-cluster.timers.queue_idle_s.a",
        ),
        (small(general="limits: {budget_per_hour: 3}"), "cloud.small"),
        (small("config: {instance_name_prefix: a_b}"), "cloud.small.config.instance_name_prefix"),
        (small(rest=AWS.format(name="x", more=", validate_certs: no")), "cloud.x.config.validate_certs"),
        (small(rest=AWS.format(name="x", more=", userdata_file: none.sh")), "cloud.x.config.userdata_file"),
        (small(general="admin-server: {bind_address: '', socket: ''}"), "dynamic-cluster.admin-server"),
        (
            SMALL.replace("type: simulated\ncloud", "type: slurm\n  config: {slurm_conf: none.conf}\ncloud"),
            "cluster.config.slurm_conf",
        ),
        (SMALL.replace("  cluster_id: test\n", "  max_idle_time: 3\n"), "dynamic-cluster.cluster_id"),
    ],
)
def test_notices(tmp_path: Path, text: str, key: str) -> None:
    (notice,) = loaded(tmp_path, text).notices
    assert notice.key == key
    assert notice.line > 0


def test_an_unknown_type_hides_nothing_that_is_wrong_with_the_type_that_is_meant(tmp_path: Path) -> None:
    text = (
        "cluster:\n  type: slurn\n  config: {command_timeout_s: soon}\n"
        "cloud:\n  a:\n    type: locl\n    quantity: {min: 3, max: 2}\n    capacity: {cores: 1}\n"
        "    config: {netwrk: 1}\n"
    )
    found = problems(tmp_path, text)
    assert keys(found) == [
        "cluster.type",
        "cluster.config.command_timeout_s",
        "cloud.a.type",
        "cloud.a.quantity.min",
        "cloud.a.config.netwrk",
        "cloud.a.config.worker_command",
    ]
    assert [problem.nearest for problem in found] == ["slurm", "", "local", "", "network", ""]


@pytest.mark.parametrize("kind", ["type: amazon", "type: [a]", "priority: 1"])
def test_without_a_type_what_no_type_allows_is_told(tmp_path: Path, kind: str) -> None:
    text = SMALL + f"  b:\n    {kind}\n    quantity: {{max: many}}\n    capacity: {{cors: 3}}\n    config: {{x: 1}}\n"
    assert set(keys(problems(tmp_path, text))) == {"cloud.b.type", "cloud.b.quantity.max", "cloud.b.capacity.cors"}


def test_a_bridge_that_is_not_there_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remarks, "INTERFACES", tmp_path / "net")
    text = small(rest=LOCAL.format(name="l", more=", bridge: br7"))
    (notice,) = loaded(tmp_path, text).notices
    assert notice.key == "cloud.l.config.bridge"
    assert "no bridge br7 on this machine" in notice.text
    assert loaded(tmp_path, text.replace("br7", "br7, network_namespace: testbed")).notices == ()
    (tmp_path / "net" / "br7").mkdir(parents=True)
    assert loaded(tmp_path, text).notices == ()


def test_resources_of_a_command_cloud_share_their_scripts(tmp_path: Path) -> None:
    scripts = "list_command: ls, launch_command: {}, terminate_command: rm"
    resource = "  {}:\n    type: command\n    quantity: {{max: 1}}\n    capacity: {{cores: 1}}\n    config: {{{}}}\n"
    one, same = (resource.format(name, scripts.format("up")) for name in ("a", "b"))
    assert loaded(tmp_path, SMALL + one + same)
    other = resource.format("b", scripts.format("other"))
    assert keys(problems(tmp_path, SMALL + one + other)) == ["cloud.b.config.launch_command"]
