"""Physical machines by `scripts/clouds/ipmi`: the contract, and what goes wrong in machine rooms."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cloud_suite import MOST, RESOURCE, CloudSuite, Harness, specs

from dynamiccluster.clouds.command.adapter import CommandCloud, Parameters, Scripts
from dynamiccluster.errors import BadConfigError, CapacityError, DynamicClusterError, TransientError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.model.action import LaunchedInstance
from dynamiccluster.model.instance import Instance, InstanceState

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/clouds/ipmi"
FAKE = Path(__file__).with_name("fake_ipmitool")
NAMES = [f"blade{number}" for number in range(1, MOST + 1)]


def machine(made: Instance | LaunchedInstance) -> str:
    """The site's name of it."""
    return made.instance_id.partition("+")[0]


class Room:
    """Blades, all off; two installations that use them."""

    def __init__(self, place: Path, machines: list[dict[str, Any]] | None = None, **settings: Any) -> None:
        self.place = place
        self.bmcs = place / "bmcs"
        self.bmcs.mkdir()
        (place / "password").write_text("hunter2")
        for name in NAMES:
            (self.bmcs / name).write_text("off\n")
        self.settings = {
            "state_dir": str(place / "state"),
            "names": "given",
            "start_s": 30.0,
            "seen_after_s": 0.1,
            **settings,
        }
        self.defaults: dict[str, Any] = {
            "ipmitool": ["env", f"BMCS={self.bmcs}", str(FAKE)],
            "user": "admin",
            "password_file": str(place / "password"),
            "timeout_s": 30.0,
        }
        self.machines = machines or [
            {"name": name, "bmc": name, "address": f"10.0.0.{i}"} for i, name in enumerate(NAMES)
        ]
        self.write()
        self.cloud = self.of("ours")
        self.other = self.of("theirs")

    def write(self) -> None:
        """TOML takes JSON's texts, numbers and lists for its own."""

        def lines(table: dict[str, Any]) -> str:
            return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())

        text = lines(self.settings) + "[defaults]\n" + lines(self.defaults)
        text += "".join("[[machine]]\n" + lines(one) for one in self.machines)
        (self.place / "ipmi.toml").write_text(text)

    def of(self, cluster_id: str) -> CommandCloud:
        command = (sys.executable, "-S", str(SCRIPT), "--config", str(self.place / "ipmi.toml"))
        scripts = Scripts(*((*command, verb) for verb in ("list", "launch", "terminate")))
        return CommandCloud(
            SubprocessRunner(), SystemClock(), cluster_id, "t", scripts, {"small": Parameters()}, idempotent=True
        )

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def on(self) -> list[str]:
        return [name for name in NAMES if (self.bmcs / name).read_text().strip() == "on"]

    def instance(self, name: str) -> Instance:
        (found,) = (one for one in self.cloud.list_instances().instances if machine(one) == name)
        return found

    def state(self, name: str) -> InstanceState:
        return self.instance(name).state

    def terminate(self, name: str) -> None:
        self.cloud.terminate([self.instance(name).instance_id])

    def end(self, name: str) -> None:
        self.terminate(name)
        for _ in range(5):
            if self.state(name) is InstanceState.GONE:
                return
        raise AssertionError(self.cloud.list_instances())


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


class TestIpmi(CloudSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Harness:
        return Room(tmp_path)

    def test_the_console_of_a_running_machine_says_something(self, harness: Harness) -> None:
        (made,) = harness.cloud.launch("launch-1", RESOURCE, specs("small-a"))
        assert harness.cloud.console_tail(made.instance_id) == ""  # Serial over LAN is not for looking back


def test_passwords_stand_on_no_command_line(room: Room) -> None:
    room.cloud.launch("l1", RESOURCE, specs("small-a"))
    log = (room.bmcs / "log").read_text()
    assert f"-f {room.place}/password chassis power on" in log
    assert "hunter2" not in log


def test_machines_may_keep_their_own_names(tmp_path: Path) -> None:
    room = Room(tmp_path, names="own")
    (made,) = room.cloud.launch("l1", RESOURCE, specs("small-a"))
    assert (made.host_name, made.address, made.node_id) == ("blade1", "10.0.0.0", "id-small-a")
    (instance,) = room.cloud.list_instances().instances
    assert instance.host_name == "blade1"


def test_one_dead_controller_leaves_the_list_whole(room: Room) -> None:
    room.cloud.launch("l1", RESOURCE, specs("small-a", "small-b"))
    (room.bmcs / "blade1.fault").write_text("Error: Unable to establish IPMI v2 / RMCP+ session")
    instances = {machine(one): one for one in room.cloud.list_instances().instances}
    assert instances["blade1"].state is InstanceState.UNKNOWN
    assert instances["blade2"].state is InstanceState.ACTIVE


def test_controllers_are_asked_at_the_same_time_and_late_ones_are_not_waited_for(tmp_path: Path) -> None:
    room = Room(tmp_path)
    room.cloud.launch("l1", RESOURCE, specs("a", "b", "c", "d"))
    room.defaults["timeout_s"] = 3.0
    room.write()
    for name in NAMES:
        (room.bmcs / f"{name}.late").touch()
    began = time.monotonic()
    states = {one.state for one in room.cloud.list_instances().instances}
    assert states == {InstanceState.UNKNOWN}
    assert time.monotonic() - began < 11.0  # one after the other would be 12


def test_a_machine_that_was_asked_too_late_stays_in_use(room: Room) -> None:
    """It came on: giving it away again would give it to two."""
    room.defaults["timeout_s"] = 3.0
    wrapper = room.place / "late-on"
    late = f'case "$*" in *" on") touch {room.bmcs}/blade1.late;; esac'
    wrapper.write_text(f'#!/bin/sh\n{late}\nexec {" ".join(room.defaults["ipmitool"])} "$@"\n')
    wrapper.chmod(0o755)
    room.defaults["ipmitool"] = [str(wrapper)]
    room.write()
    (made,) = room.cloud.launch("l2", RESOURCE, specs("small-a"))
    assert (machine(made), room.on()) == ("blade1", ["blade1"])
    assert room.state("blade1") is InstanceState.UNKNOWN
    (again,) = room.cloud.launch("l2", RESOURCE, specs("small-a"))
    assert machine(again) == "blade1"


def on_fails(room: Room, does: str) -> None:
    """``ipmitool chassis power on`` says that its session is lost; before, it ``does`` something."""
    wrapper = room.place / "on-fails"
    real = " ".join(room.defaults["ipmitool"])
    lost = f'{does}; echo "Close Session command failed" >&2; exit 1'
    wrapper.write_text(f'#!/bin/sh\ncase "$*" in *" on") {lost};; esac\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    room.defaults["ipmitool"] = [str(wrapper)]
    room.write()


def test_a_machine_that_came_on_though_the_reply_was_lost_stays_in_use(room: Room) -> None:
    on_fails(room, f'{" ".join(room.defaults["ipmitool"])} "$@"')
    (made,) = room.cloud.launch("l1", RESOURCE, specs("small-a"))
    assert (made.node_id, room.on()) == ("id-small-a", ["blade1"])
    room.end("blade1")
    assert room.on() == []


def test_a_machine_whose_controller_is_lost_with_the_reply_stays_in_use(room: Room) -> None:
    on_fails(room, f"echo on >{room.bmcs}/blade1; echo timeout >{room.bmcs}/blade1.fault")
    room.cloud.launch("l1", RESOURCE, specs("small-a"))
    assert room.state("blade1") is InstanceState.UNKNOWN


def test_a_machine_that_is_seen_off_after_a_failure_is_free_again(room: Room) -> None:
    on_fails(room, ":")
    with pytest.raises(TransientError, match="Close Session"):
        room.cloud.launch("l1", RESOURCE, specs("small-a"))
    assert room.cloud.list_instances().instances == ()


def test_machines_that_are_on_without_us_are_somebodys(room: Room) -> None:
    (room.bmcs / "blade1").write_text("on\n")
    (room.bmcs / "blade2.fault").write_text("Error: Unable to establish session")
    launched = room.cloud.launch("l1", RESOURCE, specs("a", "b", "c", "d"))
    assert [machine(made) for made in launched] == ["blade3", "blade4"]
    room.cloud.terminate(["blade1"])
    assert "blade1" in room.on()
    with pytest.raises(CapacityError, match="none of the 4 machines"):
        room.cloud.launch("l2", RESOURCE, specs("e"))


def test_a_machine_that_somebody_switches_on_after_its_end_is_his(room: Room) -> None:
    room.cloud.launch("l1", RESOURCE, specs("small-a"))
    room.end("blade1")
    (room.bmcs / "blade1").write_text("on\n")
    assert room.state("blade1") is InstanceState.GONE
    room.terminate("blade1")
    assert room.on() == ["blade1"]


def test_what_does_not_shut_down_loses_its_power(tmp_path: Path) -> None:
    room = Room(tmp_path, soft_s=0.3)
    room.cloud.launch("l1", RESOURCE, specs("small-a"))
    (room.bmcs / "blade1.deaf").touch()
    room.terminate("blade1")
    assert room.state("blade1") is InstanceState.TERMINATING
    time.sleep(0.3)
    room.terminate("blade1")
    assert room.state("blade1") is InstanceState.GONE
    verbs = [line.split()[-1] for line in (room.bmcs / "log").read_text().splitlines()]
    assert [verb for verb in verbs if verb not in ("status", "on")] == ["soft", "off"]


def test_a_machine_is_given_to_the_next_when_it_is_gone(room: Room) -> None:
    room.cloud.launch("l1", RESOURCE, specs("a", "b", "c", "d"))
    room.terminate("blade2")
    with pytest.raises(CapacityError):
        room.cloud.launch("l2", RESOURCE, specs("e"))
    room.end("blade2")
    (made,) = room.other.launch("l3", RESOURCE, specs("e"))
    assert machine(made) == "blade2"


def test_who_ends_the_former_node_of_a_machine_does_not_end_the_next(room: Room) -> None:
    (former,) = room.cloud.launch("l1", RESOURCE, specs("a"))
    room.end("blade1")
    (latter,) = room.cloud.launch("l2", RESOURCE, specs("b"))
    assert machine(former) == machine(latter) == "blade1"
    room.cloud.terminate([former.instance_id])
    assert room.on() == ["blade1"]
    assert room.state("blade1") is InstanceState.ACTIVE


def test_a_launch_that_is_repeated_after_its_end_starts_nothing(room: Room) -> None:
    room.cloud.launch("l1", RESOURCE, specs("a"))
    room.end("blade1")
    (made,) = room.cloud.launch("l1", RESOURCE, specs("a"))
    assert machine(made) == "blade1"
    assert room.on() == []


def test_a_machine_that_was_switched_off_by_others_is_stopped(tmp_path: Path) -> None:
    room = Room(tmp_path, start_s=0.0)
    room.cloud.launch("l1", RESOURCE, specs("a"))
    (room.bmcs / "blade1").write_text("off\n")
    assert room.state("blade1") is InstanceState.STOPPED


def test_machines_serve_the_resources_they_are_for(tmp_path: Path) -> None:
    machines = [{"name": "blade1", "bmc": "blade1", "resources": ["big"]}, {"name": "blade2", "bmc": "blade2"}]
    room = Room(tmp_path, machines)
    assert [machine(made) for made in room.cloud.launch("l1", RESOURCE, specs("a", "b"))] == ["blade2"]


@pytest.mark.parametrize("name", ["../x", "-x", "a b", "", "a\nb"])
def test_names_that_are_none_switch_nothing_on(room: Room, name: str) -> None:
    wish = {"protocol": 1, "verb": "launch", "cluster_id": "c", "launch_id": "l", "resource": {"name": "small"}}
    told = json.dumps(wish | {"nodes": [{"node_id": "n", "host_name": name}]})
    argv = (sys.executable, str(SCRIPT), "--config", str(room.place / "ipmi.toml"), "launch")
    done = SubprocessRunner().run(argv, timeout_s=20.0, stdin=told)
    assert json.loads(done.stdout)["error"]["class"] == "bad-config"
    assert room.on() == []


def test_a_full_disk_switches_nothing_on(room: Room) -> None:
    (room.place / "state").mkdir()
    (room.place / "state/machines.json.new").mkdir()  # as good as a full disk: it cannot be written
    with pytest.raises(CapacityError):
        room.cloud.launch("l1", RESOURCE, specs("a"))
    assert room.on() == []


def test_a_damaged_state_file_is_no_empty_cloud(room: Room) -> None:
    room.cloud.launch("l1", RESOURCE, specs("a"))
    (room.place / "state/machines.json").write_text('{"blade1":')
    with pytest.raises(TransientError, match=r"machines\.json"):
        room.cloud.list_instances()


@pytest.mark.parametrize(
    ("machines", "kind", "said"),
    [
        ([{"name": "a"}], BadConfigError, "setting bmc is missing"),
        ([{"name": "../a", "bmc": "x"}], BadConfigError, "cannot be a host name"),
        ([{"name": "a", "bmc": "x"}, {"name": "a", "bmc": "y"}], BadConfigError, "two machines"),
        ([{"name": "a", "power": "magic"}], BadConfigError, "power is ipmi"),
        ([{"name": "a", "bmc": "x", "ipmitool": ["/nowhere"]}], CapacityError, "none of the 1 machines"),
    ],
)
def test_odd_settings(
    tmp_path: Path, machines: list[dict[str, Any]], kind: type[DynamicClusterError], said: str
) -> None:
    with pytest.raises(kind, match=said):
        Room(tmp_path, machines).cloud.launch("l1", RESOURCE, specs("n"))


def test_wake_on_lan(tmp_path: Path) -> None:
    """Woken by a packet, ended by a command of the site; on while a port answers, if nothing else tells."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear, socket.socket() as port:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(10.0)
        port.bind(("127.0.0.1", 0))

        def wake() -> None:
            heard.append(ear.recv(1000))
            port.listen()

        desk = {
            "name": "desk1",
            "power": "wake-on-lan",
            "mac": "02:00:00:00:00:07",
            "address": "127.0.0.1",
            "status_command": ["echo", "off"],
            "probe_port": port.getsockname()[1],
            "broadcast": "127.0.0.1",
            "wake_port": ear.getsockname()[1],
            "off_command": ["/bin/sh", "-c", f'echo "$0 $1" >{tmp_path}/ended', "{name}", "{address}"],
        }
        sleeper = threading.Thread(target=wake)
        sleeper.start()
        room = Room(tmp_path, [desk])
        (launched,) = room.cloud.launch("l1", RESOURCE, specs("small-a"))
        sleeper.join()
        assert heard == [b"\xff" * 6 + bytes.fromhex("020000000007") * 16]
        assert machine(launched) == "desk1"
        del room.machines[0]["status_command"]
        room.write()
        assert room.state("desk1") is InstanceState.ACTIVE
        room.terminate("desk1")
        assert (tmp_path / "ended").read_text() == "desk1 127.0.0.1\n"
        assert room.state("desk1") is InstanceState.TERMINATING
