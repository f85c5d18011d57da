"""What the local cloud does beyond the contract: its files, its processes, its networks, its failures."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.clouds.local_worker import start_time
from dynamiccluster.clouds.netns import BridgeNetwork
from dynamiccluster.clouds.registry import build_cloud
from dynamiccluster.config.schema_cluster_slurm import SlurmConfig
from dynamiccluster.errors import BadConfigError, CapacityError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.schedulers.registry import build_scheduler
from dynamiccluster.testing.runner import Call, FakeRunner

RESOURCE = Resource(
    "small", "local", "t", Capacity(2, 2000), features=frozenset({"b", "a"}), reservation=Reservation("", "", "big")
)
SLEEP = ("/bin/sh", "-c", "echo {name} {cores} {memory_mib} {features} [{address}]; exec sleep 600")


class SetClock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def world(tmp_path: Path) -> Any:
    clock = SetClock()
    made: list[LocalCloud] = []

    def cloud(command: tuple[str, ...] = SLEEP, runner: Any = None, **options: Any) -> LocalCloud:
        made.append(
            LocalCloud(
                runner or SubprocessRunner(),
                clock,
                "c1",
                "t",
                state_dir=str(tmp_path / "state"),
                worker_command=command,
                **options,
            )
        )
        return made[-1]

    yield SimpleNamespace(cloud=cloud, clock=clock, state=tmp_path / "state")
    if made and not isinstance(made[-1]._runner, FakeRunner):
        made[-1].terminate([instance.instance_id for instance in made[-1].list_instances().instances])


def spec(name: str) -> NodeSpec:
    return NodeSpec(f"id-{name}", name)


def states(cloud: LocalCloud) -> list[InstanceState]:
    return [instance.state for instance in cloud.list_instances().instances]


def settle(cloud: LocalCloud, state: InstanceState) -> None:
    for _ in range(100):
        if set(states(cloud)) == {state}:
            return
        time.sleep(0.05)
    raise AssertionError(cloud.list_instances())


def test_the_worker_is_given_what_the_resource_says(world: Any) -> None:
    cloud = world.cloud()
    (machine,) = cloud.launch("l1", RESOURCE, [spec("small-1")])
    settle(cloud, InstanceState.ACTIVE)
    for _ in range(100):
        if cloud.console_tail(machine.instance_id):
            break
        time.sleep(0.05)
    assert cloud.console_tail(machine.instance_id) == "small-1 2 2000 a,b,big []\n"


def test_a_restarted_service_finds_its_instances(world: Any) -> None:
    (machine,) = world.cloud().launch("l1", RESOURCE, [spec("small-1")])
    again = world.cloud()
    settle(again, InstanceState.ACTIVE)
    (instance,) = again.list_instances().instances
    assert (instance.instance_id, instance.launch_id, instance.node_id) == (machine.instance_id, "l1", "id-small-1")
    again.terminate([machine.instance_id])
    settle(again, InstanceState.GONE)


def test_a_clock_that_jumps_during_a_launch_makes_no_failed_launch(world: Any) -> None:
    seen: list[InstanceState] = []
    runner = FakeRunner()
    cloud = world.cloud(runner=runner)

    def start(call: Call) -> str:
        world.clock.time += 600.0
        seen.extend(states(cloud))
        return ""

    runner.on(lambda argv: "dynamiccluster.clouds.local_worker" in argv, start)
    cloud.launch("l1", RESOURCE, [spec("small-1")])
    assert seen == [InstanceState.PENDING]
    assert states(cloud) == [InstanceState.ERROR]  # its process was never written down, and no launch is under way


def test_a_worker_that_ends_leaves_a_stopped_instance(world: Any) -> None:
    cloud = world.cloud(("/bin/sh", "-c", "echo good bye; exit 3"))
    (machine,) = cloud.launch("l1", RESOURCE, [spec("small-1")])
    settle(cloud, InstanceState.STOPPED)
    assert "good bye" in cloud.console_tail(machine.instance_id)
    assert "ended with 3" in cloud.console_tail(machine.instance_id)
    assert cloud.list_instances().instances[0].fault


def test_everything_the_worker_started_ends_with_it(world: Any, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root for namespaces of processes")
    note = tmp_path / "beat"
    beat = f"(setsid sh -c 'while :; do date +%N >{note}; sleep 0.05; done' &) ; exec sleep 600"
    cloud = world.cloud(("/bin/sh", "-c", beat))
    (machine,) = cloud.launch("l1", RESOURCE, [spec("small-1")])
    while not note.exists():
        time.sleep(0.05)
    cloud.terminate([machine.instance_id])
    settle(cloud, InstanceState.GONE)
    last = note.read_text()
    time.sleep(0.3)
    assert note.read_text() == last


def test_a_pid_that_was_given_to_somebody_else_is_not_touched(world: Any) -> None:
    cloud = world.cloud()
    (machine,) = cloud.launch("l1", RESOURCE, [spec("small-1")])
    settle(cloud, InstanceState.ACTIVE)
    file = world.state / f"{machine.instance_id}.pid"
    pid, began, _ = file.read_text().split()
    file.write_text(f"{os.getpid()} {int(began) - 1}\n")
    assert states(cloud) == [InstanceState.STOPPED]
    cloud.terminate([machine.instance_id])
    assert start_time(os.getpid())
    os.kill(int(pid), signal.SIGKILL)


def test_an_interrupted_launch_is_pending_then_an_error_then_carried_on(world: Any) -> None:
    cloud = world.cloud()
    cloud.launch("l1", RESOURCE, [spec("small-1")])
    settle(cloud, InstanceState.ACTIVE)
    cloud.terminate([cloud.list_instances().instances[0].instance_id])
    settle(cloud, InstanceState.GONE)
    for path in world.state.glob("local-*"):
        if path.suffix != ".json":
            path.unlink()  # as if the service had died before it started the process
    assert states(cloud) == [InstanceState.PENDING]
    world.clock.time += 61
    assert states(cloud) == [InstanceState.ERROR]
    cloud.launch("l1", RESOURCE, [spec("small-1")])
    settle(cloud, InstanceState.ACTIVE)


def test_ended_instances_are_forgotten_after_a_while(world: Any) -> None:
    cloud = world.cloud()
    (machine,) = cloud.launch("l1", RESOURCE, [spec("small-1")])
    cloud.terminate([machine.instance_id])
    settle(cloud, InstanceState.GONE)
    cloud.launch("l2", RESOURCE, [spec("small-2")])
    assert len(states(cloud)) == 2
    world.clock.time += 700
    cloud.launch("l3", RESOURCE, [spec("small-3")])
    assert {instance.host_name for instance in cloud.list_instances().instances} == {"small-2", "small-3"}


def test_a_missing_program_is_a_configuration_error_and_leaves_nothing(world: Any) -> None:
    cloud = world.cloud(("/nowhere/slurmd", "-D"))
    with pytest.raises(BadConfigError, match="/nowhere/slurmd"):
        cloud.launch("l1", RESOURCE, [spec("small-1")])
    assert not list(world.state.glob("local-*"))


@pytest.mark.parametrize("command", [(), ("sleep", "{nodes}"), ("sleep", "{0}"), ("sleep", "{")])
def test_an_odd_worker_command(world: Any, command: tuple[str, ...]) -> None:
    with pytest.raises(BadConfigError, match="worker_command"):
        world.cloud(command).launch("l1", RESOURCE, [spec("small-1")])


def test_names_that_are_no_names_start_nothing(world: Any) -> None:
    cloud = world.cloud()
    for name in ("../x", "a b", "-x", ""):
        with pytest.raises(BadConfigError):
            cloud.launch("l1", RESOURCE, [spec(name)])
    assert not cloud.list_instances().instances


def test_a_damaged_record_makes_the_list_fail_not_shorter(world: Any) -> None:
    cloud = world.cloud()
    (machine,) = cloud.launch("l1", RESOURCE, [spec("small-1")])
    file = world.state / f"{machine.instance_id}.json"
    whole = file.read_text()
    file.write_text(whole[:20])
    with pytest.raises(TransientError, match="damaged"):
        cloud.list_instances()
    file.write_text(whole)


def test_a_state_directory_that_cannot_be_made(world: Any) -> None:
    world.state.write_text("a file")
    with pytest.raises(BadConfigError, match="state_dir"):
        world.cloud().launch("l1", RESOURCE, [spec("small-1")])
    world.state.unlink()


def ip_runner() -> FakeRunner:
    runner = FakeRunner()
    runner.on(["ip"], "")
    return runner


def test_a_network_gives_each_instance_an_address_and_takes_it_back(world: Any) -> None:
    runner = ip_runner()

    def start(call: Call) -> str:
        pid_file = next(word for word in call.argv if word.endswith(".pid"))
        Path(pid_file).write_text(f"{os.getpid()} 1\n")  # dead at once: the start time differs
        return ""

    runner.on(lambda argv: "dynamiccluster.clouds.local_worker" in argv, start)
    network = BridgeNetwork(runner, "10.9.0.0/29", namespace="head", first=4)
    cloud = world.cloud(runner=runner, network=network)
    assert cloud.list_instances().quota.max_instances == 3
    launched = cloud.launch("l1", RESOURCE, [spec("small-1"), spec("small-2")])
    assert [machine.address for machine in launched] == ["10.9.0.4", "10.9.0.5"]
    worker = next(argv for argv in runner.argvs if "dynamiccluster.clouds.local_worker" in argv)
    assert "/run/netns/head-small-1" in worker
    assert ("ip", "-n", "head", "link", "set", "dc0a090004", "master", "br0", "up") in runner.argvs
    cloud.terminate([launched[0].instance_id])
    assert runner.argvs[-1] == ("ip", "netns", "delete", "head-small-1")
    (third,) = cloud.launch("l2", RESOURCE, [spec("small-3")])
    assert third.address == "10.9.0.6"  # what is still sent to the first must not reach it
    (fourth,) = cloud.launch("l3", RESOURCE, [spec("small-4")])
    assert fourth.address == "10.9.0.4"


def test_an_instance_is_not_gone_before_its_network_is(world: Any, tmp_path: Path) -> None:
    """A service that was killed between the two would leave the namespace for ever."""
    runner = ip_runner()
    runner.on(["ip", "netns", "add"], lambda call: (tmp_path / call.argv[-1]).touch() or "")
    runner.on(
        lambda argv: "dynamiccluster.clouds.local_worker" in argv,
        lambda call: str(
            Path(next(word for word in call.argv if word.endswith(".pid"))).write_text(f"{os.getpid()} 1")
        ),
    )
    network = BridgeNetwork(runner, "10.9.0.0/29", namespace="head", first=4, directory=str(tmp_path))
    cloud = world.cloud(runner=runner, network=network)
    (machine,) = cloud.launch("l1", RESOURCE, [spec("small-1")])
    runner.on(["ip", "netns", "delete", "head-small-1"], UnknownOutcomeError("killed meanwhile"))
    with pytest.raises(TransientError):
        cloud.terminate([machine.instance_id])
    assert states(cloud) == [InstanceState.TERMINATING]
    (second,) = cloud.launch("l2", RESOURCE, [spec("small-2")])
    assert second.address != machine.address
    runner.on(
        ["ip", "netns", "delete", "head-small-1"], lambda call: (tmp_path / call.argv[-1]).unlink(missing_ok=True) or ""
    )
    cloud.terminate([machine.instance_id])
    assert states(cloud).count(InstanceState.GONE) == 1


def test_a_network_that_fails_leaves_nothing_and_says_what() -> None:
    runner = ip_runner()
    network = BridgeNetwork(runner, "10.9.0.0/24", namespace="head")
    runner.on(["ip", "-n", "head-a", "link", "add"], "", returncode=2, stderr="RTNETLINK answers: File exists")
    with pytest.raises(TransientError, match="File exists"):
        network.create("a", "10.9.0.10")
    assert runner.argvs[-1] == ("ip", "netns", "delete", "head-a")
    runner.on(
        ["ip", "netns", "add"], "", returncode=1, stderr='Cannot open "/proc/self/ns/net": Operation not permitted'
    )
    with pytest.raises(BadConfigError, match="root"):
        network.create("a", "10.9.0.10")
    runner.on(
        ["ip", "netns", "delete"], "", returncode=1, stderr="Cannot remove namespace file: No such file or directory"
    )
    network.delete("a", "10.9.0.10")
    runner.on(["ip", "netns", "delete"], UnknownOutcomeError("hangs"))
    with pytest.raises(TransientError):
        network.delete("a", "10.9.0.10")


def test_addresses_run_out() -> None:
    network = BridgeNetwork(FakeRunner(), "10.9.0.0/29", first=5)
    assert network.free_address({"10.9.0.5"}) == "10.9.0.6"
    with pytest.raises(CapacityError):
        network.free_address({"10.9.0.5", "10.9.0.6"})


def test_the_address_that_was_left_first_is_used_again_first() -> None:
    network = BridgeNetwork(FakeRunner(), "10.9.0.0/29", first=4)
    assert network.free_address((), ["10.9.0.4", "10.9.0.6", "10.9.0.5"]) == "10.9.0.4"
    assert network.free_address((), ["10.9.0.4", "10.9.0.6", "10.9.0.5", "10.9.0.4"]) == "10.9.0.6"
    assert network.free_address({"10.9.0.6"}, ["10.9.0.4", "10.9.0.6", "10.9.0.5", "10.9.0.4"]) == "10.9.0.5"


def test_records_are_whole_json(world: Any) -> None:
    cloud = world.cloud()
    (machine,) = cloud.launch("l1", RESOURCE, [spec("small-1")])
    record = json.loads((world.state / f"{machine.instance_id}.json").read_text())
    assert (record["cluster_id"], record["launch_id"], record["node_id"]) == ("c1", "l1", "id-small-1")
    assert not list(world.state.glob("*.new"))


def test_adapters_are_built_from_configuration(tmp_path: Path) -> None:
    shared = {
        "state_dir": str(tmp_path),
        "network": "10.9.0.0/24",
        "network_namespace": "",
        "bridge": "br0",
        "max_instances": 3,
        "worker_command": ("sleep", "1"),
    }
    common = {"cluster_id": "c1", "runner": FakeRunner(), "clock": SetClock()}
    cloud = build_cloud("local", "t", {"a": shared, "b": shared}, **common)  # type: ignore[arg-type]
    assert cloud.list_instances().quota.max_instances == 3
    with pytest.raises(BadConfigError, match="same bridge"):
        build_cloud("local", "t", {"a": shared, "b": {**shared, "bridge": "br1"}}, **common)  # type: ignore[arg-type]
    with pytest.raises(BadConfigError, match="no adapter for 'moon'"):
        build_cloud("moon", "t", {}, **common)  # type: ignore[arg-type]
    with pytest.raises(BadConfigError, match="no adapter for 'moon'"):
        build_scheduler("moon", {}, **common)  # type: ignore[arg-type]
    keys: dict[str, Any] = SlurmConfig().model_dump()
    scheduler = build_scheduler("slurm", keys, **common)  # type: ignore[arg-type]
    with pytest.raises(BadConfigError, match="no program 'scontrol'"):
        scheduler.poll()
