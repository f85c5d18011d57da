"""The local cloud on a bad day: full disks, damaged files, stubborn workers, restarts, neighbours."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamiccluster.clouds import local_records
from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.clouds.local_worker import boot_id, start_time
from dynamiccluster.errors import BadConfigError, CapacityError, QuotaError, TransientError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.resource import Resource

RESOURCE = Resource("small", "local", "t", Capacity(2, 2000))
SLEEP = ("/bin/sh", "-c", "echo {name}; exec sleep 60")
STUBBORN = ("/bin/sh", "-c", "trap '' TERM INT HUP; echo ready; for _ in 1 2 3 4 5 6 7 8 9; do sleep 5; done")


class House:
    """A state directory, and whoever uses it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.made: list[LocalCloud] = []

    def cloud(self, command: tuple[str, ...] = SLEEP, cluster_id: str = "c1", **options: Any) -> LocalCloud:
        where = {"state_dir": str(self.state), "worker_command": command}
        self.made.append(LocalCloud(SubprocessRunner(), SystemClock(), cluster_id, "t", **where, **options))  # type: ignore[arg-type]  # as typed there
        return self.made[-1]

    def file(self, machine: LaunchedInstance, kind: str) -> Path:
        return self.state / f"{machine.instance_id}.{kind}"

    def pid(self, machine: LaunchedInstance) -> int:
        return int(self.file(machine, "pid").read_text().split()[0])


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "state")
    yield house
    for cloud in house.made:
        cloud.terminate([instance.instance_id for instance in cloud.list_instances().instances])


def launch(cloud: LocalCloud, *names: str, launch_id: str = "l1") -> list[LaunchedInstance]:
    return list(cloud.launch(launch_id, RESOURCE, [NodeSpec(f"id-{name}", name) for name in names]))


def states(cloud: LocalCloud) -> dict[str, InstanceState]:
    return {instance.host_name: instance.state for instance in cloud.list_instances().instances}


def settle(cloud: LocalCloud, name: str, state: InstanceState) -> None:
    for _ in range(200):
        if states(cloud).get(name) is state:
            return
        time.sleep(0.05)
    raise AssertionError(states(cloud))


def lives(pid: int) -> bool:
    return bool(start_time(pid))


# -- full disks ----------------------------------------------------------------------------------------------------


def test_a_full_disk_starts_nothing_and_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = house.cloud()
    launch(cloud, "a")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local_records.os, "fsync", full)
    with pytest.raises(CapacityError, match="No space left"):
        launch(cloud, "b", launch_id="l2")
    assert set(states(cloud)) == {"a"}
    assert not list(house.state.glob("*.new"))


def test_a_worker_that_cannot_be_written_down_does_not_run(tmp_path: Path) -> None:
    """Nobody would find it again: neither the service nor whoever ends it."""
    beat = tmp_path / "beat"
    words = (str(tmp_path / "nowhere" / "x.pid"), str(tmp_path / "log"), "a", "", "/bin/sh", "-c", f"echo x >{beat}")
    done = SubprocessRunner().run((sys.executable, "-m", "dynamiccluster.clouds.local_worker", *words), timeout_s=20.0)
    assert done.returncode == 4
    assert "No such file or directory" in done.complaint
    time.sleep(0.3)
    assert not beat.exists()


def test_no_room_for_the_pid_is_want_of_capacity(house: House) -> None:
    cloud = house.cloud()
    house.state.mkdir()
    name = local_id(cloud, "a")
    (house.state / f"{name}.pid.new").mkdir()  # as good as a full disk: it cannot be written
    with pytest.raises(CapacityError, match="a cannot be started"):
        launch(cloud, "a")
    assert states(cloud) == {}
    (house.state / f"{name}.pid.new").rmdir()


def local_id(cloud: LocalCloud, name: str) -> str:
    return cloud._id("l1", NodeSpec(f"id-{name}", name))


def test_a_machine_ends_on_a_full_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = house.cloud()
    (machine,) = launch(cloud, "a")
    settle(cloud, "a", InstanceState.ACTIVE)
    pid = house.pid(machine)
    with monkeypatch.context() as patch:
        patch.setattr(local_records.os, "fsync", lambda _handle: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(TransientError, match="cannot be written down"):
            cloud.terminate([machine.instance_id])
    for _ in range(100):
        if not lives(pid):
            break
        time.sleep(0.05)
    assert not lives(pid)
    cloud.terminate([machine.instance_id])
    settle(cloud, "a", InstanceState.GONE)


# -- damaged files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", "\x00\x00", '{"instance_id": 3}', "whole, of another"],
)
def test_a_damaged_record_fails_the_list_and_holds_up_no_other(house: House, text: str) -> None:
    cloud = house.cloud()
    good, bad = launch(cloud, "good", "bad")
    settle(cloud, "good", InstanceState.ACTIVE)
    file = house.file(bad, "json")
    whole = file.read_text()
    file.write_text(house.file(good, "json").read_text() if text.startswith("whole") else text)
    with pytest.raises(TransientError, match="damaged"):
        cloud.list_instances()
    with pytest.raises(TransientError, match="damaged"):
        cloud.terminate([bad.instance_id, good.instance_id])
    file.write_text(whole)
    settle(cloud, "good", InstanceState.GONE)


def test_a_time_that_is_none_is_damage(house: House) -> None:
    cloud = house.cloud()
    (machine,) = launch(cloud, "a")
    file = house.file(machine, "json")
    whole = file.read_text()
    file.write_text(json.dumps({**json.loads(whole), "created_at": "yesterday"}))
    with pytest.raises(TransientError, match="damaged"):
        cloud.list_instances()
    file.write_text(whole)


@pytest.mark.parametrize("kind", ["pid", "ended"])
def test_a_damaged_file_beside_the_record_is_not_taken_for_an_end(house: House, kind: str) -> None:
    cloud = house.cloud()
    (machine,) = launch(cloud, "a")
    settle(cloud, "a", InstanceState.ACTIVE)
    whole = house.file(machine, "pid").read_text()
    house.file(machine, kind).write_text("x y z")
    with pytest.raises(TransientError, match="damaged"):
        (cloud.list_instances if kind == "pid" else lambda: launch(cloud, "b", launch_id="l2"))()
    house.file(machine, "pid").write_text(whole)
    house.file(machine, "ended").unlink(missing_ok=True)


def test_a_state_directory_that_comes_off_is_no_empty_cloud(house: House) -> None:
    cloud = house.cloud()
    launch(cloud, "a")
    aside = house.state.rename(house.state.with_name("aside"))
    with pytest.raises(TransientError, match="not there any more"):
        cloud.list_instances()
    house.state.write_text("a file")
    with pytest.raises(TransientError, match="Not a directory"):
        cloud.list_instances()
    house.state.unlink()
    aside.rename(house.state)
    settle(cloud, "a", InstanceState.ACTIVE)


def test_an_empty_directory_in_its_place_is_no_empty_cloud(house: House) -> None:
    """What remains when a file system comes off is the directory that it was mounted on."""
    cloud = house.cloud()
    launch(cloud, "a")
    aside = house.state.rename(house.state.with_name("aside"))
    house.state.mkdir()
    for act in (cloud.list_instances, lambda: launch(cloud, "b", launch_id="l2")):
        with pytest.raises(TransientError, match="another directory"):
            act()
    assert not list(house.state.iterdir())
    house.state.rmdir()
    aside.rename(house.state)
    settle(cloud, "a", InstanceState.ACTIVE)


# -- workers and processes -----------------------------------------------------------------------------------------


def test_a_worker_that_ignores_every_signal_it_may_goes(house: House) -> None:
    cloud = house.cloud(STUBBORN)
    (machine,) = launch(cloud, "a")
    for _ in range(100):
        if "ready" in cloud.console_tail(machine.instance_id):
            break
        time.sleep(0.05)
    os.kill(house.pid(machine), signal.SIGTERM)
    time.sleep(0.2)
    pid = house.pid(machine)
    cloud.terminate([machine.instance_id])
    settle(cloud, "a", InstanceState.GONE)
    assert not lives(pid)


def test_after_a_restart_of_the_machine_nobody_elses_process_is_taken(house: House) -> None:
    """The same pid and the same ticks since boot, but another life: early daemons get the same ones each time."""
    cloud = house.cloud()
    (machine,) = launch(cloud, "a")
    settle(cloud, "a", InstanceState.ACTIVE)
    worker = house.pid(machine)
    somebody = subprocess.Popen(["/bin/sleep", "600"], start_new_session=True)
    try:
        file = house.file(machine, "pid")
        whole = file.read_text()
        file.write_text(f"{somebody.pid} {start_time(somebody.pid)} 00000000-0000-4000-8000-000000000000\n")
        assert states(cloud) == {"a": InstanceState.STOPPED}
        cloud.terminate([machine.instance_id])
        assert somebody.poll() is None
        assert states(cloud) == {"a": InstanceState.GONE}
        file.write_text(whole)
        assert whole.split()[2] == boot_id()
    finally:
        somebody.kill()
        somebody.wait(10)
        os.kill(worker, signal.SIGKILL)


# -- neighbours ----------------------------------------------------------------------------------------------------


def test_two_services_in_one_directory_share_the_room_and_touch_nothing_of_each_other(house: House) -> None:
    clouds = [house.cloud(cluster_id=name, max_instances=4) for name in ("c1", "c2")]
    launched: dict[str, list[LaunchedInstance]] = {}

    def start(cloud: LocalCloud, name: str) -> None:
        for number in range(4):
            try:
                launched.setdefault(name, []).extend(launch(cloud, f"{name}-{number}", launch_id=f"l{number}"))
            except QuotaError:
                return

    threads = [threading.Thread(target=start, args=pair) for pair in zip(clouds, ("ann", "bob"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(len(each) for each in launched.values()) == 4
    assert len(list(house.state.glob("*.json"))) == 4
    mine, theirs = clouds[0].list_instances(), clouds[1].list_instances()
    assert (len(mine.instances), mine.strangers) == (theirs.strangers, len(theirs.instances))
    everything = [machine.instance_id for each in launched.values() for machine in each]
    clouds[0].terminate(everything)
    assert all(state is InstanceState.ACTIVE for state in states(clouds[1]).values())


def test_a_record_that_is_forgotten_while_others_list_makes_no_list_empty(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = house.cloud()
    launch(cloud, "a", "b")
    names = sorted([*os.listdir(house.state), "local-0000000000000000.json"])
    monkeypatch.setattr(local_records.os, "listdir", lambda _directory: names)
    assert set(states(cloud)) == {"a", "b"}


def test_what_an_interrupted_removal_left_is_swept(house: House) -> None:
    cloud = house.cloud()
    house.state.mkdir()
    old = house.state / "local-0123456789abcdef.log"
    others = [house.state / name for name in ("notes.log", "local-0123456789abcdef.txt")]
    for path in (old, *others):
        path.write_text("x")
    launch(cloud, "a")
    assert not old.exists()
    assert all(path.exists() for path in others)


@pytest.mark.parametrize("name", ["x" * 254, "a\nb", "a;reboot", "$(id)", "ä", "../../etc", "a/b", "{0}", "-v", " "])
def test_hostile_names_start_nothing(house: House, name: str) -> None:
    with pytest.raises(BadConfigError):
        launch(house.cloud(), name)
    assert not list(house.state.glob("local-*")) if house.state.exists() else True


def test_hostile_features_do_not_become_words_of_the_command(house: House) -> None:
    odd = Resource("small", "local", "t", Capacity(1, 1), features=frozenset({"a b; reboot"}))
    with pytest.raises(BadConfigError, match="cannot be put into the worker command"):
        house.cloud().launch("l1", odd, [NodeSpec("n", "a")])
    assert not list(house.state.glob("local-*"))
