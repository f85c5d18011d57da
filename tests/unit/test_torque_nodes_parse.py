"""What Torque says of its nodes: recorded states, both formats of jobs, hostile names, notes."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import pytest

from dynamiccluster.errors import BadConfigError
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.schedulers.torque.marks import Note, require_mark
from dynamiccluster.schedulers.torque.nodes_parse import Node, parse_nodes, slots_by_job
from dynamiccluster.schedulers.torque.states import NODE_STATES, OTHER_HOLDS

RECORDED = Path(__file__).parents[1] / "recorded"
OURS = "dynamiccluster:c1:"
STATUS = "<status>opsys=linux,uname=Linux a=b c,physmem=4096000kb,ncpus=2,state=free,jobs=0.h 1[2].h</status>"


def recorded(system: str, name: str) -> dict[str, Node]:
    found = parse_nodes((RECORDED / system / name).read_text(encoding="utf-8"), "dc-template")
    assert not found.dropped
    return {node.name: node for node in found.nodes}


def node(state: str = "free", name: str = "n1", more: str = STATUS) -> Node:
    text = f"<Data><Node><name>{name}</name><state>{state}</state><np>4</np>{more}</Node></Data>"
    (found,) = parse_nodes(text, "dc-template").nodes
    return found


def host(state: str = "free", name: str = "n1", more: str = STATUS) -> Host:
    return node(state, name, more).host(lambda mark: mark.startswith(OURS))


def test_the_recorded_nodes_of_6_1() -> None:
    nodes = recorded("torque", "s1_pbsnodes_x.xml")
    full = nodes["node01"]
    assert full.jobs == {"0.thn01": 1, "4[1].thn01": 1, "4[2].thn01": 1, "4[3].thn01": 1}
    assert (full.slots, full.memory_mib, full.state) == (4, 24105, HostState.UP)
    assert nodes["node02"].jobs == {"2.thn01": 2, "3.thn01": 2}
    assert nodes["node02"].properties == ("bigmem",)
    shown = nodes["node02"].host(lambda mark: False)
    assert (shown.total, shown.used, shown.busy) == (Capacity(4, 24105), Capacity(4), True)
    assert shown.jobs == ("2.thn01", "3.thn01")


def test_the_recorded_nodes_of_4_2() -> None:
    nodes = recorded("torque42", "s3_pbsnodes_x_running.xml")
    assert nodes["node02"].jobs == {"0.thn01": 1, "2.thn01": 2, "4[1].thn01": 1}
    assert nodes["node01"].state is HostState.UP
    fresh = recorded("torque42", "s0_pbsnodes_x_created_offline.xml")["node01"]
    assert fresh.offline
    assert fresh.host(lambda mark: True).hold is not None


def test_a_new_node_is_joining_and_under_nobodys_hold() -> None:
    new = recorded("torque", "s3_pbsnodes_x_node03_just_created.xml")["node03"]
    assert (new.state, new.unsent, new.offline) == (HostState.JOINING, True, False)
    shown = new.host(lambda mark: False)
    assert shown.hold is None
    assert shown.features == {"cloud", "dynamic"}


def test_a_dead_node_keeps_its_jobs() -> None:
    dead = recorded("torque", "s4_pbsnodes_x_node03_down.xml")["node03"]
    assert dead.state is HostState.DOWN
    assert list(dead.jobs) == ["7.thn01", "8.thn01"]


def test_recorded_holds_are_somebody_elses() -> None:
    draining = recorded("torque", "s2_pbsnodes_x_draining_node01.xml")["node01"].host(lambda mark: False)
    assert draining.hold is not None
    assert (draining.hold.mark, draining.hold.ours) == ("hpcx: draining", False)
    assert draining.state is HostState.UP
    bare = recorded("torque", "s5_pbsnodes_x_node04_offline_idle.xml")["node04"].host(lambda mark: False)
    assert bare.hold is not None
    assert bare.hold.mark == ""


@pytest.mark.parametrize("word", sorted(NODE_STATES))
def test_every_documented_state(word: str) -> None:
    found = host(escape(word))
    assert found.state is NODE_STATES[word]
    assert (found.hold is not None) == (word == "offline" or word in OTHER_HOLDS)


@pytest.mark.parametrize(
    ("state", "more", "wanted"),
    [
        ("down", "", HostState.JOINING),  # its MOM has never reported
        ("down,offline", "", HostState.JOINING),
        ("down,offline", STATUS, HostState.DOWN),
        ("offline,job-exclusive", STATUS, HostState.UP),
        ("down,offline,MOM-list-not-sent", STATUS, HostState.JOINING),
        ("job-exclusive,busy", STATUS, HostState.UP),
        ("something-new", STATUS, HostState.UNKNOWN),
        ("", STATUS, HostState.UNKNOWN),
        ("free", f"{STATUS}<power_state>Sleep</power_state>", HostState.UNKNOWN),
        ("down", f"{STATUS}<power_state>Sleep</power_state>", HostState.DOWN),
    ],
)
def test_states_together(state: str, more: str, wanted: HostState) -> None:
    assert host(state, more=more).state is wanted


def test_our_hold_is_the_first_word_of_the_note() -> None:
    found = host("offline", more=f"{STATUS}<note>{OURS}n1 reserve -a projX | rack 4</note>")
    assert found.hold is not None
    assert (found.hold.mark, found.hold.ours) == (f"{OURS}n1", True)
    appended = host("offline", more=f"{STATUS}<note>{OURS}n1 - ERROR: disk full</note>")
    assert appended.hold is not None
    assert appended.hold.mark == f"{OURS}n1"
    elsewhere = host("offline", more=f"{STATUS}<note>dynamiccluster:c2:n1</note>")
    assert elsewhere.hold is not None
    assert not elsewhere.hold.ours
    assert host("free", more=f"{STATUS}<note>{OURS}n1</note>").hold is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0-1/2.h,2-3/3.h", {"2.h": 2, "3.h": 2}),
        ("0/0.h,1/2.h,2/2.h", {"0.h": 1, "2.h": 2}),
        ("0/0.h, 1/4[2].h", {"0.h": 1, "4[2].h": 1}),
        ("0-1,3/2.h", {"2.h": 3}),
        ("", {}),
    ],
)
def test_both_formats_of_jobs(text: str, wanted: dict[str, int]) -> None:
    assert slots_by_job(text) == wanted


@pytest.mark.parametrize("text", ["0-1", "x/1.h", "3-1/1.h", "0-9999999/1.h"])
def test_jobs_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError):
        slots_by_job(text)


@pytest.mark.parametrize("name", ["$(reboot)", "a b", "-x", "a\nb", "", "a/b", "`id`"])
def test_a_host_of_a_hostile_name_drops_only_itself(name: str) -> None:
    good = "<Node><name>n2</name><state>free</state><np>2</np></Node>"
    bad = f"<Node><name>{escape(name)}</name><state>free</state><np>2</np></Node>"
    found = parse_nodes(f"<Data>{bad}{good}</Data>", "dc-template")
    assert [node.name for node in found.nodes] == ["n2"]
    (sentence,) = found.dropped
    assert "left out" in sentence


@pytest.mark.parametrize("bad", ["<np>many</np>", "", "<np>2</np><jobs>0</jobs>", "<np>2</np><gpus>some</gpus>"])
def test_a_malformed_node_drops_only_itself(bad: str) -> None:
    good = "<Node><name>n2</name><state>free</state><np>2</np></Node>"
    found = parse_nodes(f"<Data><Node><name>n1</name><state>free</state>{bad}</Node>{good}</Data>", "dc-template")
    assert [node.name for node in found.nodes] == ["n2"]
    assert "n1" in found.dropped[0]
    with pytest.raises(ValueError, match="none of 1 nodes"):
        parse_nodes(f"<Data><Node><name>n1</name><state>free</state>{bad}</Node></Data>", "dc-template")


def test_placeholders_by_shape() -> None:
    names = ["dc-template-aa-0001", "dc-template-aa-0002", "dc-template-bb-0001", "dc-templated", "n1"]
    records = "".join(f"<Node><name>{name}</name><state>down</state><np>2</np></Node>" for name in names)
    found = parse_nodes(f"<Data>{records}</Data>", "dc-template")
    assert [node.name for node in found.nodes if node.template] == names[:3]
    assert found.names == set(names)
    assert found.named("nowhere") is None


def test_gpus() -> None:
    assert host(more=f"{STATUS}<gpus>2</gpus>").total == Capacity(4, 4000, 2)


@pytest.mark.parametrize(
    "note",
    [
        Note(),
        Note(f"{OURS}n1"),
        Note(f"{OURS}n1", ("-a", "projX")),
        Note(f"{OURS}n1", ("-q", "long"), "rack 4"),
        Note(f"{OURS}n1", (), "rack 4 | two"),
        Note(rest="disk is dying"),
    ],
)
def test_notes_survive_writing_and_reading(note: Note) -> None:
    assert Note.read(str(note)) == note


def test_notes_fit_and_keep_to_one_line() -> None:
    text = str(Note(f"{OURS}n1", (), "a\nb" + "c" * 300))
    assert len(text) <= 250
    assert "\n" not in text
    assert Note.read("disk").under("dynamiccluster:c1:n9") == Note("dynamiccluster:c1:n9", (), "disk")


@pytest.mark.parametrize("mark", ["", "a b", "a'b", "a\nb", "a;b"])
def test_marks_are_one_plain_word(mark: str) -> None:
    with pytest.raises(BadConfigError):
        require_mark(mark)
