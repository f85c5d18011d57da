"""Virtual machines by `scripts/clouds/libvirt`: the contract, and what a libvirt host does wrong."""

from __future__ import annotations

import json
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from cloud_suite import MOST, RESOURCE, CloudSuite, Harness, specs

from dynamiccluster.clouds.command.adapter import CommandCloud, Parameters, Scripts
from dynamiccluster.clouds.userdata import UserData
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    CapacityError,
    DynamicClusterError,
    QuotaError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.model.instance import InstanceState

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/clouds/libvirt"
FAKE = Path(__file__).with_name("fake_virsh")
SOMEBODYS = "5f0c6f3e-0000-4000-8000-000000000001"


class Hypervisor:
    """A host without machines; two installations that use it."""

    def __init__(self, place: Path, **settings: Any) -> None:
        self.place = place
        self.host = place / "host"
        self.host.mkdir()
        self.settings = {
            "state_dir": str(place / "state"),
            "virsh": ["env", f"HOST={self.host}", str(FAKE)],
            "image": "debian-12.qcow2",
            "max_instances": MOST,
            "timeout_s": 30.0,
            **settings,
        }
        self.write()
        self.cloud = self.of("ours")
        self.other = self.of("theirs")

    def write(self) -> None:
        text = "".join(f"{key} = {json.dumps(value)}\n" for key, value in self.settings.items())
        (self.place / "libvirt.toml").write_text(text)

    def of(self, cluster_id: str, parameters: Parameters | None = None) -> CommandCloud:
        command = (sys.executable, "-S", str(SCRIPT), "--config", str(self.place / "libvirt.toml"))
        scripts = Scripts(
            *((*command, verb) for verb in ("list", "launch", "terminate")), console=(*command, "console")
        )
        resources = {"small": parameters or Parameters()}
        return CommandCloud(SubprocessRunner(), SystemClock(), cluster_id, "t", scripts, resources, idempotent=True)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def fault(self, name: str, text: str = "") -> None:
        (self.host / name).write_text(text)

    def left(self) -> list[str]:
        """What is there of machines, wherever."""
        places = [*(self.host / "domains").glob("*"), *(self.host / "volumes").glob("*")]
        places += [*(self.place / "state").glob("*.iso"), *(self.place / "state").glob("*.console")]
        return sorted(path.name for path in places)

    def xml(self) -> ET.Element:
        (path,) = (self.host / "domains").glob("*.xml")
        return ET.fromstring(path.read_text())  # noqa: S314 - what our own script wrote


@pytest.fixture
def site(tmp_path: Path) -> Hypervisor:
    return Hypervisor(tmp_path)


class TestLibvirt(CloudSuite):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Harness:
        return Hypervisor(tmp_path)


def test_what_a_machine_is_stands_in_its_definition(site: Hypervisor) -> None:
    (machine,) = site.cloud.launch("l1", RESOURCE, specs("small-a"))
    domain = site.xml()
    assert (domain.findtext("name"), domain.findtext("uuid")) == ("small-a", machine.instance_id)
    assert (domain.findtext("vcpu"), domain.findtext("memory")) == ("2", "2000")
    (instance,) = site.cloud.list_instances().instances
    assert (instance.state, instance.node_id) == (InstanceState.ACTIVE, "id-small-a")
    assert instance.address.startswith("192.168.122.")
    log = (site.host / "log").read_text()
    assert "--backing-vol debian-12.qcow2" in log


def test_nothing_is_left_of_a_machine_that_was_ended(site: Hypervisor) -> None:
    (machine,) = site.cloud.launch("l1", RESOURCE, specs("small-a"))
    assert len(site.left()) == 4  # definition, running, disk, console
    site.cloud.terminate([machine.instance_id])
    assert site.left() == []


def test_machines_of_the_site_are_counted_and_left_alone(site: Hypervisor) -> None:
    (site.host / "domains").mkdir()
    own = site.host / "domains" / f"{SOMEBODYS}.xml"
    own.write_text(f"<domain type='kvm'><name>mail; destroy</name><uuid>{SOMEBODYS}</uuid></domain>")
    view = site.cloud.list_instances()
    assert (view.instances, view.strangers, view.quota.used_instances) == ((), 1, 0)
    site.cloud.terminate([SOMEBODYS])
    assert own.exists()
    assert site.cloud.console_tail(SOMEBODYS) == ""


@pytest.mark.parametrize(
    ("verb", "said", "kind"),
    [
        ("vol-create-as", "cannot write: No space left on device", CapacityError),
        ("start", "internal error: cannot set up guest memory: Cannot allocate memory", CapacityError),
        ("start", "Network not found: no network with matching name 'lan'", BadConfigError),
        ("define", "authentication failed: access denied by policy", AuthError),
        ("define", "Failed to connect socket to '/run/libvirt/libvirt-sock'", TransientError),
    ],
)
def test_a_launch_that_fails_leaves_nothing(
    site: Hypervisor, verb: str, said: str, kind: type[DynamicClusterError]
) -> None:
    site.fault(f"fail-{verb}", said)
    with pytest.raises(kind):
        site.cloud.launch("l1", RESOURCE, specs("small-a"))
    assert site.left() == []


def test_what_does_not_answer_is_an_unknown_outcome_that_the_next_launch_settles(site: Hypervisor) -> None:
    site.settings["timeout_s"] = 4.0
    site.write()
    site.fault("late-define")
    with pytest.raises(UnknownOutcomeError):
        site.cloud.launch("l1", RESOURCE, specs("small-a"))
    site.settings["timeout_s"] = 30.0
    site.write()
    (instance,) = site.cloud.list_instances().instances
    assert (instance.state, instance.launch_id) == (InstanceState.PENDING, "l1")
    (site.host / "late-define").unlink()
    (machine,) = site.cloud.launch("l1", RESOURCE, specs("small-a"))
    (instance,) = site.cloud.list_instances().instances
    assert (instance.instance_id, instance.state) == (machine.instance_id, InstanceState.ACTIVE)


@pytest.mark.parametrize("verb", ["define", "start"])
def test_a_launch_whose_reply_is_lost_is_taken_away_again(site: Hypervisor, verb: str) -> None:
    site.fault(f"lost-{verb}")
    with pytest.raises(TransientError, match="Connection reset"):
        site.cloud.launch("l1", RESOURCE, specs("small-a"))
    assert site.left() == []


@pytest.mark.parametrize("verb", ["define", "start"])
def test_what_cannot_be_taken_away_again_is_an_unknown_outcome(site: Hypervisor, verb: str) -> None:
    """A machine that runs is not to be launched a second time elsewhere, also where another one has started."""
    site.cloud.launch("l1", RESOURCE, specs("a"))
    site.fault(f"lost-{verb}", "Failed to connect socket to '/run/libvirt/libvirt-sock'")
    with pytest.raises(UnknownOutcomeError, match="cannot be taken away"):
        site.cloud.launch("l1", RESOURCE, specs("a", "b"))
    assert len(list((site.host / "domains").glob("*.xml"))) == 2
    for name in (f"lost-{verb}", "broken"):
        (site.host / name).unlink()
    assert len(site.cloud.launch("l1", RESOURCE, specs("a", "b"))) == 2
    assert {one.state for one in site.cloud.list_instances().instances} == {InstanceState.ACTIVE}
    assert len(site.cloud.list_instances().instances) == 2


def test_an_interrupted_launch_is_seen_as_stopped_after_a_while(site: Hypervisor) -> None:
    site.settings["start_s"] = 0.0
    site.write()
    (machine,) = site.cloud.launch("l1", RESOURCE, specs("small-a"))
    (site.host / "domains" / f"{machine.instance_id}.on").unlink()
    (instance,) = site.cloud.list_instances().instances
    assert instance.state is InstanceState.STOPPED
    site.cloud.terminate([machine.instance_id])
    assert site.left() == []


@pytest.mark.parametrize("verb", ["list", "dumpxml", "net-dhcp-leases"])
def test_a_list_that_is_not_whole_fails(site: Hypervisor, verb: str) -> None:
    site.cloud.launch("l1", RESOURCE, specs("small-a"))
    site.fault(f"fail-{verb}", "Cannot recv data: Connection reset by peer")
    with pytest.raises(TransientError, match="Connection reset"):
        site.cloud.list_instances()


def test_a_machine_that_goes_while_it_is_listed_is_gone(site: Hypervisor) -> None:
    site.cloud.launch("l1", RESOURCE, specs("small-a"))
    site.fault("vanish")
    assert site.cloud.list_instances().instances == ()


def test_a_machine_that_is_listed_and_cannot_be_shown_is_not_gone(site: Hypervisor) -> None:
    site.cloud.launch("l1", RESOURCE, specs("small-a"))
    site.fault("fail-dumpxml", "failed to get domain '5f0c'")
    with pytest.raises(TransientError, match="cannot be shown"):
        site.cloud.list_instances()


def test_user_data_comes_on_a_medium_that_others_cannot_read(site: Hypervisor, tmp_path: Path) -> None:
    template = tmp_path / "user.sh"
    template.write_text("#!/bin/sh\n# {{ host_name }} {{ values.key }}\n")
    maker = tmp_path / "genisoimage"
    maker.write_text(
        '#!/bin/sh\nfor last; do :; done\nwhile [ "$1" != -output ]; do shift; done\ncat "$3" "$last" >"$2"\n'
    )
    maker.chmod(0o755)
    site.settings["seed_command"] = [str(maker)]
    site.write()
    cloud = site.of("ours", Parameters({}, UserData(str(template), "ours", {"key": "s3cret"})))
    (machine,) = cloud.launch("l1", RESOURCE, specs("small-a"))
    medium = site.place / "state" / f"{machine.instance_id}.iso"
    assert medium.stat().st_mode & 0o777 == 0o600
    assert "local-hostname: small-a" in medium.read_text()
    assert "# small-a s3cret" in medium.read_text()
    assert "s3cret" not in (site.host / "log").read_text()
    assert site.xml().find(f"devices/disk/source[@file='{medium}']") is not None
    cloud.terminate([machine.instance_id])
    assert site.left() == []


def test_parameters_of_a_resource_win_over_settings(site: Hypervisor) -> None:
    cloud = site.of("ours", Parameters({"image": "rocky-9.qcow2", "network": "lab", "disk_gib": "50"}))
    cloud.launch("l1", RESOURCE, specs("small-a"))
    assert "50G --format qcow2 --backing-vol rocky-9.qcow2" in (site.host / "log").read_text()
    source = site.xml().find("devices/interface/source")
    assert source is not None
    assert source.get("network") == "lab"


@pytest.mark.parametrize(
    "parameters", [{"image": "--delete"}, {"image": "a b"}, {"pool": "../x"}, {"pool": "none"}, {"disk_gib": "many"}]
)
def test_odd_parameters(site: Hypervisor, parameters: dict[str, str]) -> None:
    with pytest.raises(BadConfigError):
        site.of("ours", Parameters(parameters)).launch("l1", RESOURCE, specs("small-a"))
    assert site.left() == []


def test_hostile_words_stay_words(site: Hypervisor) -> None:
    hostile = "l1\"/><evil x='</metadata>&amp;$(reboot)"
    site.cloud.launch(hostile, RESOURCE, specs("small-a"))
    (instance,) = site.cloud.list_instances().instances
    assert instance.launch_id == hostile
    assert site.xml().find("evil") is None


def test_as_many_as_there_is_room_for(tmp_path: Path) -> None:
    site = Hypervisor(tmp_path, max_instances=1)
    assert len(site.cloud.launch("l1", RESOURCE, specs("a", "b"))) == 1
    with pytest.raises(QuotaError, match="all 1 machines"):
        site.other.launch("l2", RESOURCE, specs("c"))
