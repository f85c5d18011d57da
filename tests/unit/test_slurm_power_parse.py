"""Slurm's power saving: what its words mean, and which words it takes. The fake's manners were seen with 22.05.8."""

from __future__ import annotations

from typing import Any

import pytest
from fake_slurm import TOKEN, FakeNode, FakeSlurm

from dynamiccluster.errors import BadConfigError, BusyError, TransientError
from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, Power
from dynamiccluster.model.resource import Provisioning, Resource
from dynamiccluster.schedulers.base import PowerSaving
from dynamiccluster.schedulers.slurm.adapter import SlurmScheduler
from dynamiccluster.schedulers.slurm.nodes_parse import parse_nodes
from dynamiccluster.schedulers.slurm.power_parse import parse_power_config
from dynamiccluster.schedulers.slurm.shape_parse import host_names
from dynamiccluster.testing.runner import Call

OURS = "dynamiccluster:c1:sold-out"
PC = Resource("pc", "x", "t", Capacity(2, 2000), max_nodes=3, provisioning=Provisioning.SCHEDULER)
SMALL = Resource("small", "x", "t", Capacity(4, 4000), max_nodes=2)
POWER_CONFIG = (
    "PrivateData             = accounts,cloud\nResumeProgram           = /x/resume\n"
    "SuspendProgram          = /x/suspend\nSuspendTime             = 31536000 sec\n"
)


class FixedClock:
    def now(self) -> float:
        return 1_800_000_000.0

    def monotonic(self) -> float:
        return 0.0


class FakePower(FakeSlurm):
    """A Slurm whose nodes of slurm.conf are switched on and off."""

    def __init__(self, *states: str, config: str = POWER_CONFIG) -> None:
        super().__init__()
        self.power_config = config
        self.between: list[tuple[str, str]] = []  # node and state that come about before the next list of nodes
        for number, state in enumerate(states or ["IDLE+CLOUD+POWERED_DOWN"] * 3, 1):
            self.switch(f"pc-{number:04d}", state)

    def switch(self, name: str, state: str, reason: str = "") -> None:
        base, *flags = state.split("+")
        used = 2 if base in ("MIXED", "ALLOCATED") else 0
        self.nodes[name] = FakeNode(name, 2, 2000, base=base, flags=set(flags), used=used, reason=reason)

    def state(self, number: int) -> str:
        node = self.nodes[f"pc-{number:04d}"]
        return "+".join([node.base, *sorted(node.flags)])

    def _show(self, call: Call, words: list[str], named: dict[str, str]) -> Completed | str:
        if words[1] == "config":
            return f"{super()._show(call, words, named)}{self.power_config}"
        if self.between and len(words) == 2:
            self.switch(*self.between.pop(0))
        return super()._show(call, words, named)

    def _update(self, call: Call, words: list[str], named: dict[str, str]) -> Completed | str:
        if "state" not in named:
            return super()._update(call, words, named)
        complaint = ""
        for name in host_names(named["nodename"]):
            node = self.nodes[name]
            off = "POWERED_DOWN" in node.flags
            match named["state"]:
                case "DRAIN":
                    node.flags.add("DRAIN")
                    node.reason = named["reason"]
                    if "POWERING_UP" in node.flags or off:
                        node.base, node.used = node.base if node.base == "DOWN" else "IDLE", 0
                case "POWER_DOWN_FORCE":
                    node.base, node.used = ("DOWN" if node.base == "DOWN" else "IDLE"), 0
                    node.flags = {"CLOUD", "POWERING_DOWN"}
                case "IDLE" if node.base in ("IDLE", "DOWN"):
                    node.base = "IDLE"
                    node.flags.discard("DRAIN")
                case _:
                    complaint = "slurm_update error: Invalid node state specified\n"
        return Completed(call.argv, 1, "", complaint, 0.0) if complaint else ""


def adapter(slurm: FakeSlurm) -> SlurmScheduler:
    return SlurmScheduler(slurm.runner, FixedClock(), "c1", new_token=lambda: TOKEN)


def told(slurm: FakeSlurm) -> list[tuple[str, ...]]:
    return [argv[2:] for argv in slurm.changes()]


# -- reading ------------------------------------------------------------------------------------------


def parsed(state: str, reason: str = "", cores_used: int = 0) -> Host:
    base, *flags = state.split("+")
    node = FakeNode("pc-0001", 2, 2000, base=base, flags=set(flags), used=cores_used, reason=reason)
    line = node.show().replace("+".join([base, *sorted(flags)]), state)
    return parse_nodes(line, lambda mark: mark.startswith("dynamiccluster:c1:"), "dc-template").hosts[0]


@pytest.mark.parametrize(
    ("state", "power"),
    [
        ("IDLE+CLOUD+POWERED_DOWN", Power.OFF),
        ("ALLOCATED+CLOUD+POWERED_DOWN", Power.WANTED),
        ("MIXED+CLOUD+POWERED_DOWN+NOT_RESPONDING", Power.WANTED),
        ("IDLE+CLOUD+POWER_UP+POWERED_DOWN", Power.WANTED),
        ("MIXED+CLOUD+NOT_RESPONDING+POWERING_UP", Power.WANTED),
        ("IDLE+CLOUD+NOT_RESPONDING+POWERING_UP", Power.WANTED),
        ("ALLOCATED+CLOUD+POWER_DOWN+NOT_RESPONDING+POWERING_UP", Power.WANTED),
        ("IDLE+CLOUD+DRAIN+POWER_DOWN+NOT_RESPONDING+POWERING_UP", Power.LEAVING),
        ("MIXED+CLOUD", Power.ON),
        ("IDLE+CLOUD", Power.ON),
        ("IDLE+CLOUD+POWER_DOWN", Power.ON),
        ("DOWN+CLOUD+NOT_RESPONDING", Power.ON),
        ("IDLE+CLOUD+POWERING_DOWN", Power.LEAVING),
        ("IDLE+CLOUD+DRAIN+POWERING_DOWN", Power.LEAVING),
        ("DOWN+CLOUD+POWERING_DOWN", Power.LEAVING),
        ("IDLE+CLOUD+DRAIN+POWERED_DOWN+NOT_RESPONDING", Power.OFF),
        ("IDLE+CLOUD+POWERED_DOWN+NOT_RESPONDING", Power.GIVEN_UP),
        ("DOWN+CLOUD+POWERED_DOWN+NOT_RESPONDING", Power.GIVEN_UP),
        ("IDLE+CLOUD+DYNAMIC_NORM+POWERED_DOWN", None),
        ("IDLE", None),
        ("FUTURE+CLOUD+DYNAMIC_NORM", None),
    ],
)
def test_what_a_state_says_of_the_power(state, power) -> None:
    assert parsed(state).power is power


@pytest.mark.parametrize(
    ("reason", "power"),
    [
        ("ResumeTimeout reached", Power.GIVEN_UP),
        ("Not responding", Power.GIVEN_UP),
        ("Low RealMemory", Power.GIVEN_UP),
        ("dynamiccluster:c1:dead", Power.GIVEN_UP),
        ("dynamiccluster:other:dead", Power.OFF),
        ("disk is broken", Power.OFF),
    ],
)
def test_an_administrators_word_outlives_the_machine_and_slurms_own_does_not(reason, power) -> None:
    seen = parsed("DOWN+CLOUD+POWERED_DOWN", reason)
    assert seen.power is power
    if power is Power.OFF:
        assert seen.hold is not None
        assert (seen.hold.mark, seen.hold.ours, seen.hold.who) == (reason, False, "root")
    else:
        assert seen.hold is None


def test_settings_without_which_power_saving_does_not_work() -> None:
    assert parse_power_config(POWER_CONFIG) == []
    assert "PrivateData=cloud" in parse_power_config(POWER_CONFIG.replace(",cloud", ""))[0]
    silent = POWER_CONFIG.replace(",cloud", "") + "SLURM_VERSION           = {}\n"
    assert "PrivateData=cloud" in parse_power_config(silent.format("22.05.8"))[0]
    assert "PrivateData=cloud" in parse_power_config(silent.format("odd"))[0]
    assert parse_power_config(silent.format("23.02.0")) == parse_power_config(silent.format("24.11.5")) == []
    for broken in ("SuspendTime             = INFINITE", "SuspendTime = NONE"):
        text = POWER_CONFIG.replace("SuspendTime             = 31536000 sec", broken)
        assert "SuspendTime" in parse_power_config(text)[0]
    assert "ResumeProgram, SuspendProgram" in parse_power_config("PrivateData = cloud\nSuspendTime = 9 sec\n")[0]


# -- declaring, adding, removing ----------------------------------------------------------------------


def test_declared_resources_need_no_templates_but_their_nodes() -> None:
    slurm = FakePower()
    adapter(slurm).declare([SMALL, PC])
    assert len([name for name in slurm.nodes if name.startswith("dc-template")]) == SMALL.max_nodes


def test_nodes_that_slurm_conf_lacks_are_named_after_the_templates_are_made() -> None:
    slurm = FakePower()
    slurm.nodes["pc-0002"].flags = {"DYNAMIC_NORM"}
    del slurm.nodes["pc-0003"]
    with pytest.raises(BadConfigError, match=r"lacks 2 of the 3 nodes of pc .* pc-0002.*slurm-config"):
        adapter(slurm).declare([SMALL, PC])
    assert [name for name in slurm.nodes if name.startswith("dc-template")]
    hidden = FakePower(config=POWER_CONFIG.replace("cloud", "jobs"))
    with pytest.raises(BadConfigError, match="PrivateData=cloud"):
        adapter(hidden).declare([PC])


def test_adding_says_only_where_the_machine_is() -> None:
    slurm = FakePower("MIXED+CLOUD+NOT_RESPONDING+POWERING_UP", "DOWN+CLOUD")
    adapter(slurm).add("pc-0001", "10.0.0.7", PC)
    adapter(slurm).add("pc-0002", "10.0.0.8", PC)
    assert told(slurm) == [("nodename=pc-0001", "nodeaddr=10.0.0.7"), ("nodename=pc-0002", "nodeaddr=10.0.0.8")]


@pytest.mark.parametrize("name", ["pc-0009", "small-1"])
def test_what_stands_not_in_slurm_conf_is_not_added(name) -> None:
    slurm = FakePower()
    slurm.nodes["small-1"] = FakeNode("small-1")
    with pytest.raises(BadConfigError, match="State=CLOUD"):
        adapter(slurm).add(name, "10.0.0.7", PC)
    assert not slurm.changes()


def test_removing_never_deletes() -> None:
    states = ("IDLE+CLOUD", "IDLE+CLOUD+POWERING_DOWN", "DOWN+CLOUD+NOT_RESPONDING")
    slurm = FakePower(*states)
    for number in (1, 2, 3):
        adapter(slurm).remove(f"pc-{number:04d}")
    assert not any("delete" in argv for argv in slurm.runner.argvs)
    assert slurm.state(1) == "IDLE+CLOUD+POWERING_DOWN"
    assert slurm.state(2) == "IDLE+CLOUD+DRAIN+POWERING_DOWN"
    assert slurm.state(3) == "DOWN+CLOUD+POWERING_DOWN"
    adapter(slurm).remove("pc-0009")  # not known: nothing to do


# -- withdrawing and offering -------------------------------------------------------------------------


def test_the_adapter_can_save_power() -> None:
    assert isinstance(adapter(FakePower()), PowerSaving)


def test_hosts_that_are_off_are_withdrawn_in_one_word() -> None:
    slurm = FakePower()
    adapter(slurm).withdraw(["pc-0001", "pc-0003", "pc-0099"], OURS)
    assert told(slurm) == [("nodename=pc-0001,pc-0003", "state=DRAIN", f"reason={OURS}")]
    adapter(slurm).withdraw(["pc-0001", "pc-0003"], OURS)
    assert len(told(slurm)) == 1  # they are drained already


def test_a_host_that_is_awaited_gives_its_jobs_back_and_goes_off() -> None:
    slurm = FakePower("MIXED+CLOUD+NOT_RESPONDING+POWERING_UP", "IDLE+CLOUD+POWERED_DOWN")
    adapter(slurm).withdraw(["pc-0001", "pc-0002"], OURS)
    assert [words[:2] for words in told(slurm)] == [
        ("nodename=pc-0001,pc-0002", "state=DRAIN"),
        ("nodename=pc-0001", "state=POWER_DOWN_FORCE"),
    ]


def test_a_job_that_runs_in_the_meantime_is_not_ended() -> None:
    slurm = FakePower("MIXED+CLOUD+NOT_RESPONDING+POWERING_UP", "MIXED+CLOUD+NOT_RESPONDING+POWERING_UP")
    slurm.between = [("pc-0001", "MIXED+CLOUD+NOT_RESPONDING+POWERING_UP"), ("pc-0001", "MIXED+CLOUD+DRAIN")]
    with pytest.raises(BusyError, match="pc-0001"):
        adapter(slurm).withdraw(["pc-0001", "pc-0002"], OURS)
    assert told(slurm)[-1][:2] == ("nodename=pc-0002", "state=POWER_DOWN_FORCE")


def test_an_administrators_hold_is_kept() -> None:
    slurm = FakePower()
    slurm.switch("pc-0001", "IDLE+CLOUD+DRAIN+POWERED_DOWN", "broken")
    adapter(slurm).withdraw(["pc-0001"], OURS)
    adapter(slurm).offer(["pc-0001"])
    assert not told(slurm)


def test_a_window_alone_keeps_no_job_away() -> None:
    """A node that a reservation keeps may be given to the reservation's own job at any moment."""
    slurm = FakePower("IDLE+CLOUD+MAINTENANCE+RESERVED+POWERING_UP")
    adapter(slurm).withdraw(["pc-0001"], OURS)
    assert [words[1] for words in told(slurm)] == ["state=DRAIN", "state=POWER_DOWN_FORCE"]


def test_offering_undoes_our_drain_and_slurms_own_judgement() -> None:
    slurm = FakePower()
    slurm.switch("pc-0001", "IDLE+CLOUD+DRAIN+POWERED_DOWN", OURS)
    slurm.switch("pc-0002", "DOWN+CLOUD+POWERED_DOWN", "Not responding")
    adapter(slurm).offer(["pc-0001", "pc-0002", "pc-0003"])
    assert told(slurm) == [("nodename=pc-0001,pc-0002", "state=IDLE")]
    assert slurm.state(1) == slurm.state(2) == slurm.state(3) == "IDLE+CLOUD+POWERED_DOWN"


def test_what_is_called_not_responding_is_suspended_once_more() -> None:
    slurm = FakePower()
    slurm.switch("pc-0001", "DOWN+CLOUD+NOT_RESPONDING+POWERED_DOWN", "ResumeTimeout reached")
    slurm.switch("pc-0002", "IDLE+CLOUD+DRAIN+NOT_RESPONDING+POWERED_DOWN", OURS)
    adapter(slurm).offer(["pc-0001", "pc-0002"])
    assert told(slurm) == [("nodename=pc-0001,pc-0002", "state=POWER_DOWN_FORCE")]


@pytest.mark.parametrize(
    "state",
    ["MIXED+CLOUD+POWERED_DOWN", "IDLE+CLOUD+POWERING_UP", "IDLE+CLOUD", "IDLE+CLOUD+POWERING_DOWN", "MIXED+CLOUD"],
)
def test_what_is_not_off_any_more_is_not_offered(state) -> None:
    slurm = FakePower(state)
    adapter(slurm).offer(["pc-0001"])
    assert not told(slurm)


def test_a_state_that_changed_under_our_hands_is_tried_again() -> None:
    slurm = FakePower()
    slurm.complaints["update"] = "slurm_update error: Invalid node state specified\n"
    with pytest.raises(TransientError):
        adapter(slurm).withdraw(["pc-0001"], OURS)


@pytest.mark.parametrize("odd", ["ALL", "pc-[1-3]", "pc-0001 state=DOWN", "-x", ""])
def test_odd_names_and_marks_reach_no_command(odd) -> None:
    slurm = FakePower()
    words: list[Any] = []
    for call in (lambda: adapter(slurm).withdraw([odd], OURS), lambda: adapter(slurm).offer([odd])):
        try:
            call()
        except BadConfigError as error:
            words.append(error)
    assert len(words) == (0 if odd == "ALL" else 2)
    with pytest.raises(BadConfigError):
        adapter(slurm).withdraw(["pc-0001"], "a mark\nof two lines")
    assert not told(slurm)
