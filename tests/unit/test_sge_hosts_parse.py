"""Hosts as ``qhost -q -j -xml`` prints them."""

from __future__ import annotations

import random

import pytest
from sge_recorded import recorded

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.schedulers.sge.hosts_parse import Hosts, Naming, parse_hosts
from dynamiccluster.schedulers.sge.marks import Note, read_note
from dynamiccluster.schedulers.sge.states import QUEUE_LETTERS

NAMING = Naming("dynamiccluster:contract:", ("h_vmem",), ("gpu",), frozenset({"fast", "bigmem"}))


def read(name: str) -> Hosts:
    hosts = parse_hosts(recorded(name), NAMING)
    assert not hosts.dropped
    return hosts


def host(
    letters: str = "",
    *,
    other: str | None = None,
    slots: int = 4,
    used: int = 0,
    values: str = "",
    name: str = "n1",
    heard: bool = True,
) -> Host:
    return parse_hosts(
        written(letters, other=other, slots=slots, used=used, values=values, name=name, heard=heard), NAMING
    ).hosts[0]


def written(
    letters: str = "",
    *,
    other: str | None = None,
    slots: int = 4,
    used: int = 0,
    values: str = "",
    name: str = "n1",
    heard: bool = True,
) -> str:
    queues = {"main": letters} if other is None else {"main": letters, "long": other}
    lines = [f" <host name='{name}'>", f"   <hostvalue name='arch_string'>{'lx-amd64' if heard else '-'}</hostvalue>"]
    lines.append("   <hostvalue name='mem_total'>23.5G</hostvalue>" + values)
    for queue, state in queues.items():
        lines += [
            f" <queue name='{queue}'>",
            f"   <queuevalue qname='{queue}' name='slots_used'>{used}</queuevalue>",
            f"   <queuevalue qname='{queue}' name='slots'>{slots}</queuevalue>",
            f"   <queuevalue qname='{queue}' name='state_string'>{state}</queuevalue>",
            " </queue>",
        ]
    body = "\n".join([*lines, " </host>"])
    return f"<?xml version='1.0'?>\n<qhost xmlns:xsd=\"x\">\n <host name='global'>\n </host>\n{body}\n</qhost>\n"


def attribute(value: str, name: str = "dynamiccluster", how: str = "hf") -> str:
    return f"\n   <resourcevalue name='{name}' dominance='{how}'>{value}</resourcevalue>"


# -- recordings --------------------------------------------------------------------------------------------


def test_the_recording_of_hosts_of_ours() -> None:
    hosts = read("ours_qhost.xml")
    by_name = {one.name: one for one in hosts.hosts}
    assert {name: one.state for name, one in by_name.items()} == {
        "sgemaster": HostState.JOINING,
        "physics-1": HostState.JOINING,
        "small-1": HostState.UP,
        "small-2": HostState.UP,
        "small-3": HostState.UP,
        "small-4": HostState.UP,
        "small-5": HostState.JOINING,
    }
    assert [one.name for one in hosts.hosts if one.template] == ["sgemaster"]
    assert by_name["small-1"].hold == Hold("dynamiccluster:contract:n1", ours=True)
    assert by_name["small-2"].hold == Hold("dynamiccluster:other:x9", ours=False)
    assert by_name["small-3"].hold == Hold("disabled", ours=False)
    assert by_name["small-4"].hold is None
    assert by_name["small-1"].jobs == ("1",)
    assert by_name["small-1"].busy
    assert (by_name["small-1"].total, by_name["small-1"].used) == (Capacity(4, 4000), Capacity(1, 100))
    assert set(by_name["small-4"].jobs) == {"2.1", "2.2", "11", "14"}
    assert by_name["small-4"].used.cores == 4
    assert by_name["small-4"].address.startswith("10.78.7.")
    assert by_name["small-5"].used == Capacity()
    assert by_name["physics-1"].queues == {"physics"}
    assert by_name["small-1"].features == {"fast"}
    assert hosts.shared == {"matlab": 1.0}
    assert hosts.places["2.2"] == ("small-4",)


def test_the_recording_of_an_empty_cluster() -> None:
    hosts = read("ours-empty_qhost.xml")
    assert [(one.name, one.template) for one in hosts.hosts] == [("sgemaster", True)]
    assert hosts.instances["sgemaster"] >= {"main", "long"}


def test_the_recording_of_five_kinds_of_hosts() -> None:
    states = {one.name: one.state for one in read("nodes-5kinds_qhost-q-j.xml").hosts}
    assert (states["node005"], states["node050"]) == (HostState.DOWN, HostState.JOINING)
    assert {states[f"node00{at}"] for at in (1, 2, 3, 4, 6)} == {HostState.UP}


def test_the_recording_of_error_and_silence() -> None:
    by_name = {one.name: one for one in read("nodes-mixed_qhost-q-j.xml").hosts}
    assert by_name["node001"].hold == Hold("disabled", ours=False)
    assert by_name["node003"].state is HostState.DOWN  # in error, and nothing runs there
    assert by_name["node004"].state is HostState.DOWN
    assert by_name["node004"].jobs == ("3", "6")
    assert by_name["node004"].hold == Hold("disabled", ours=False)
    assert "its daemon cannot be reached" in by_name["node004"].detail
    assert by_name["node002"].jobs == ("3", "4.1")


def test_a_parallel_job_is_on_all_its_hosts_once() -> None:
    hosts = read("pe-placement_qhost-q-j.xml")
    assert hosts.places["50050"] == ("node001", "node002", "node003")
    assert {one.name: one.used.cores for one in hosts.hosts}["node004"] == 4
    assert read("pe-job_is_first_task-FALSE_qhost.xml").places == {"1005": ("node003",)}  # its master comes on top


def test_a_suspended_queue_is_somebodys_hold() -> None:
    by_name = {one.name: one for one in read("states_suspended_qhost.xml").hosts}
    assert by_name["node002"].hold == Hold("s: suspended", ours=False)


def test_one_host_and_an_old_list() -> None:
    assert [one.name for one in read("qhost-q-j-h.xml").hosts] == ["node002"]
    assert len(read("empty_qhost-q-j.xml").hosts) == 4


# -- states ------------------------------------------------------------------------------------------------

TAKES = {"": True, "a": True, "A": True}
HELD = {letter: "d" not in letter for letter in ("C", "s", "S", "D", "c", "o", "P")}


@pytest.mark.parametrize("letter", sorted(QUEUE_LETTERS))
def test_every_letter_of_a_queue(letter: str) -> None:
    one = host(letter)
    if letter == "u" or letter == "E":
        assert (one.state, one.hold) == (HostState.DOWN, None)
    elif letter == "d":
        assert (one.state, one.hold) == (HostState.UP, Hold("disabled", ours=False))
    elif letter in TAKES:
        assert (one.state, one.hold) == (HostState.UP, None)
    else:
        assert letter in HELD
        assert one.state is HostState.UP
        assert one.hold is not None
        assert not one.hold.ours
    assert one.detail


@pytest.mark.parametrize(
    ("letters", "heard", "used", "state"),
    [
        ("au", True, 0, HostState.DOWN),
        ("u", True, 2, HostState.DOWN),
        ("uo", True, 0, HostState.DOWN),
        ("adu", True, 0, HostState.DOWN),
        ("auE", True, 0, HostState.DOWN),
        ("au", False, 0, HostState.JOINING),
        ("u", False, 0, HostState.JOINING),
        ("E", True, 1, HostState.UNKNOWN),  # its job goes on
        ("dE", True, 0, HostState.DOWN),
        ("x", True, 0, HostState.UNKNOWN),
        ("", True, 0, HostState.UP),
    ],
)
def test_letters_come_together(letters: str, heard: bool, used: int, state: HostState) -> None:
    assert host(letters, heard=heard, used=used).state is state


def test_a_host_is_held_when_none_of_its_queues_takes_jobs() -> None:
    assert host("d", other="").hold is None
    assert host("d", other="").queues == {"main", "long"} - {"main"}
    assert host("d", other="d").hold == Hold("disabled", ours=False)
    assert host("d", other="s").hold == Hold("disabled", ours=False)
    assert host("E", other="").state is HostState.UP
    assert host("E", other="E").state is HostState.DOWN


def test_queues_without_slots_do_not_matter() -> None:
    text = written("d", other="").replace("qname='long' name='slots'>4", "qname='long' name='slots'>0")
    one = parse_hosts(text, NAMING).hosts[0]
    assert one.hold == Hold("disabled", ours=False)
    assert one.queues == {"main"}


# -- our attribute -----------------------------------------------------------------------------------------


def test_a_mark_counts_only_while_the_host_is_disabled() -> None:
    value = attribute("4/4000/0/10.0.0.5/dynamiccluster:contract:n1")
    assert host("", values=value).hold is None
    assert host("d", values=value).hold == Hold("dynamiccluster:contract:n1", ours=True)
    assert host("s", values=value).hold == Hold("s: suspended", ours=False)
    assert host("d", other="", values=value).hold is None
    other = attribute("4/4000/0/10.0.0.5/dynamiccluster:contract2:n1")
    assert host("d", values=other).hold == Hold("dynamiccluster:contract2:n1", ours=False)


@pytest.mark.parametrize(
    "note",
    [
        Note(),
        Note(Capacity(4, 4000, 2), "10.0.0.5", "dynamiccluster:c1:n1"),
        Note(Capacity(4, 4000), "2001:db8::5", ""),
        Note(Capacity(1, 0), "", "dynamiccluster:c1:n1"),
        Note(None, "", "dynamiccluster:c1:n1"),
        Note(placeholder=True),
    ],
)
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    assert read_note(note.text()) == note


@pytest.mark.parametrize("text", ["", "x", "4", "4/x/0", "4/4000", "a/b/c/d/e/f", "NONE"])
def test_what_others_write_there_is_no_note(text: str) -> None:
    assert read_note(text) == Note()


def test_a_host_of_ours_has_what_it_was_made_known_with() -> None:
    values = (
        attribute("8/16000/1/10.0.0.5") + attribute("5.000000", "slots", "hc") + attribute("14.648G", "h_vmem", "hc")
    )
    one = host("", used=3, slots=8, values=values + attribute("0.000000", "gpu", "hc"))
    assert (one.total, one.used) == (Capacity(8, 16000, 1), Capacity(3, 1000, 1))
    assert one.address == "10.0.0.5"
    idle = host("", slots=8, values=values)
    assert idle.used == Capacity()  # the list is rounded


def test_a_host_of_ours_that_no_queue_has_is_not_up() -> None:
    assert host("", slots=0, values=attribute("4/4000/0")).state is HostState.UNKNOWN


def test_a_host_of_the_site_has_what_the_list_says() -> None:
    assert host("", slots=4).total == Capacity(4, 24064)
    with_limit = host("", slots=4, used=1, values=attribute("1.000000", "slots", "hc"))
    assert with_limit.total.cores == 2
    shared = attribute("1.000G", "h_vmem", "gc")
    assert host("", used=1, values=shared).used.memory_mib == 0  # the cluster's, not the host's


def test_properties_are_true_ones() -> None:
    values = attribute("1.000000", "fast") + attribute("0.000000", "bigmem") + attribute("1.000000", "other")
    assert host("", values=values).features == {"fast"}


# -- hostile, damaged --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["$(reboot)", "a b", "-x", "n1;id", "", "n%lt;1"])
def test_a_host_with_an_odd_name_drops_only_itself(name: str) -> None:
    good = written("", name="good").partition("</host>\n")[2].removesuffix("</qhost>\n")
    hosts = parse_hosts(written("", name=name).replace("</qhost>", f"{good}</qhost>"), NAMING)
    assert [one.name for one in hosts.hosts] == ["good"]
    assert len(hosts.dropped) == 1
    assert "was left out" in hosts.dropped[0]


@pytest.mark.parametrize(("old", "new"), [(">4<", ">four<"), (">0<", "><"), (">4<", ">4,0<")])
def test_a_damaged_host_drops_only_itself(old: str, new: str) -> None:
    good = written("", name="good", slots=3, used=1).partition("</host>\n")[2].removesuffix("</qhost>\n")
    hosts = parse_hosts(written("").replace(old, new).replace("</qhost>", f"{good}</qhost>"), NAMING)
    assert [one.name for one in hosts.hosts] == ["good"]
    assert "n1" in hosts.dropped[0]


def test_a_cut_list_is_a_failure() -> None:
    whole = recorded("ours_qhost.xml")
    for text in ("", "error", whole[: len(whole) // 2], whole.rstrip()[:-1], "<job_info></job_info>"):
        with pytest.raises(ValueError, match=r"\w"):
            parse_hosts(text, NAMING)


def test_rubbish_raises_nothing_else() -> None:
    rng = random.Random(5)
    whole = recorded("ours_qhost.xml")
    for _ in range(150):
        text = list(whole)
        for _ in range(rng.randint(1, 60)):
            at = rng.randrange(len(text))
            text[at : at + rng.randint(0, 40)] = rng.choice(("", "<", ">", "&", "\0", "'", "</host>", "9" * 400))
        try:
            parse_hosts("".join(text), NAMING)
        except ValueError:
            continue
