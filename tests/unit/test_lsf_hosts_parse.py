"""What mbatchd and the LIM say of hosts, recorded from OpenLava 4.0 and from LSF's documentation."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.schedulers.lsf.hosts_parse import (
    ALIVE,
    BATCH_STATES,
    DEAD,
    HOLDS,
    BatchHost,
    Site,
    hold_of,
    make_hosts,
    read_bhosts_json,
    read_bhosts_long,
    read_lshosts,
    read_lsload,
    state_of,
)

RECORDED = Path(__file__).parents[1] / "recorded" / "openlava"
DOCUMENTED = Path(__file__).parents[1] / "documented" / "lsf"  # shapes from documentation, not recorded
PAGE = Path(__file__).parents[2] / "docs" / "schedulers" / "lsf.md"

CLOSED = ["Adm", "Busy", "cu_Excl", "EGO", "Excl", "Full", "LIM", "Lock", "LockM", "Wind", "RC"]
DOCUMENTED_STATUS = ["ok", "unavail", "unreach", "closed", *(f"closed_{why}" for why in CLOSED)]
DOCUMENTED_LOAD = ["ok", "-ok", "busy", "lockW", "lockU", "lockUW", "lockM", "unavail", "unlicensed"]


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def ours(mark: str) -> bool:
    return mark.startswith("dynamiccluster:c1:")


def test_a_cluster_at_rest() -> None:
    batch = read_bhosts_long(recorded("s1_bhosts_l.txt"))
    lims = read_lshosts(recorded("s1_lshosts_w.txt"))
    loads = read_lsload(recorded("s1_lsload_l.txt"))
    hosts = {host.name: host for host in make_hosts(batch.items, lims.items, loads.items, Site(ours))}
    assert not batch.dropped + lims.dropped + loads.dropped
    full = hosts["cn01"]
    assert (full.state, full.total, full.used) == (HostState.UP, Capacity(4, 24_105), Capacity(4))
    assert full.busy
    assert full.hold is None
    assert full.features == {"bigmem", "cs", "linux", "IntelI5"}
    assert full.detail == "closed_Full, LIM ok"
    assert "hn01" not in hosts  # MXJ 0: runs nothing


def test_short_lists_have_the_same_columns() -> None:
    lims = read_lshosts(recorded("s1_lshosts.txt"))
    assert lims.items["cn01"].cores == 2
    assert read_lsload(recorded("s1_lsload.txt")).items == {"cn01": "ok", "hn01": "ok"}


def test_a_host_that_was_added_is_on_its_way_until_its_lim_reports() -> None:
    lims = read_lshosts(recorded("s3_lshosts_after_add.txt"))
    loads = read_lsload(recorded("s3_lsload_after_start.txt"))
    batch = {name: BatchHost(name, status, 4, 0) for name, status in {"cn02": "ok", "cn03": "unreach"}.items()}
    hosts = {host.name: host for host in make_hosts(batch, lims.items, loads.items, Site(ours))}
    assert hosts["cn02"].state is HostState.JOINING  # mbatchd says ok, its LIM is not up: seen for half a minute
    assert hosts["cn03"].state is HostState.JOINING
    assert "cloudhost" in hosts["cn02"].features
    later = read_lshosts(recorded("s5_lshosts.txt")), read_lsload(recorded("s5_lsload.txt"))
    up = {host.name: host for host in make_hosts(batch, later[0].items, later[1].items, Site(ours))}
    assert up["cn02"].state is HostState.UP
    assert "cn03" not in up  # the LIM has forgotten it, and nothing runs there


@pytest.mark.parametrize(
    ("file", "mark", "jobs"),
    [("s4_bhosts_l_hclosed.txt", "hpcx draining", 0), ("s6_bhosts_l_drain.txt", "hpcx: shrink", 2)],
)
def test_the_comment_of_a_closed_host(file: str, mark: str, jobs: int) -> None:
    host = read_bhosts_long(recorded(file)).items["cn02"]
    assert (host.status, host.message, host.jobs) == ("closed_Adm", mark, jobs)
    hold = hold_of(host, ours)
    assert hold is not None
    assert (hold.mark, hold.ours) == (mark, False)
    mine = hold_of(BatchHost("cn02", "closed_Adm", 4, 0, "dynamiccluster:c1:n1"), ours)
    assert mine is not None
    assert mine.ours


def test_an_lsf_of_documentation() -> None:
    hosts = read_bhosts_json((DOCUMENTED / "bhosts_o_json.json").read_text()).items
    assert hosts["cn02"] == BatchHost("cn02", "closed_Adm", 4, 2, "hpcx: shrink")
    assert hosts["cn04"].slots is None
    text = '{"COMMAND":"bhosts","HOSTS":1,"RECORDS":[{"HOST_NAME":"a","STATUS":"ok","MAX":"4","NJOBS":"0"}]}'
    with pytest.raises(KeyError, match="COMMENTS"):
        read_bhosts_json(text)
    with_comment = " \n\n ADMIN ACTION COMMENT: disk dies\n"
    long = recorded("s4_bhosts_l_hclosed.txt").replace('ADMIN ACTION MESSAGE: "hpcx draining"\n', with_comment)
    assert read_bhosts_long(long).items["cn02"].message == "disk dies"


def test_slots_without_a_limit_are_the_cores() -> None:
    lims = read_lshosts(recorded("s1_lshosts_w.txt")).items
    (host,) = make_hosts({"cn01": BatchHost("cn01", "ok", None, 0)}, {"cn01": lims["cn01"]}, {"cn01": "ok"}, Site(ours))
    assert host.total.cores == 2


def test_reserved_memory_and_gpus_are_read() -> None:
    text = recorded("s1_bhosts_l.txt").replace("  0M    0M    0M\n", "  0M    0M  512M\n")
    text = text.replace("swp   mem\n Total", "swp   mem ngpus\n Total").replace("0M   19G\n", "0M   19G   2.0\n")
    host = read_bhosts_long(text).items["cn01"]
    assert (host.reserved_mib, host.gpus) == (512, 2)


@pytest.mark.parametrize("status", DOCUMENTED_STATUS)
@pytest.mark.parametrize("load", ["ok", "unavail", ""])
def test_every_status_beside_every_word_of_the_lim(status: str, load: str) -> None:
    state = state_of(status, load, reported=True)
    says_up = status == "ok" or (status.startswith("closed") and status != "closed_LIM")
    if load == "ok":
        assert state is (HostState.UP if says_up else HostState.UNKNOWN)
    elif load == "unavail" and (status in ("unavail", "unreach", "closed_LIM", "closed_Adm")):
        assert state is HostState.DOWN
    else:
        assert state is HostState.UNKNOWN
    assert state_of(status, load, reported=False) is HostState.JOINING


def test_every_documented_word_is_known() -> None:
    assert set(DOCUMENTED_STATUS) == set(BATCH_STATES)
    assert set(DOCUMENTED_LOAD) <= ALIVE | DEAD
    assert state_of("ok", "-ok", reported=True) is HostState.UP
    assert state_of("ok", "nonsense", reported=True) is HostState.UNKNOWN
    assert state_of("nonsense", "ok", reported=True) is HostState.UNKNOWN


@pytest.mark.parametrize("status", DOCUMENTED_STATUS)
def test_who_holds_a_host(status: str) -> None:
    hold = hold_of(BatchHost("a", status, 4, 0), ours)
    held = status in HOLDS or status == "closed_Adm"
    assert (hold is not None) == held
    assert hold is None or not hold.ours


def test_a_dead_host_shows_its_comment_only() -> None:
    hold = hold_of(BatchHost("a", "unavail", 4, 0, "do not touch"), ours)
    assert hold is not None
    assert not hold.ours
    assert hold_of(BatchHost("a", "ok", 4, 0, "opened again"), ours) is None
    odd = hold_of(BatchHost("a", "closed_New", 4, 0), ours)
    assert odd is not None
    assert odd.mark == "closed_New"


def test_clients_lost_jobs_and_templates() -> None:
    lims = read_lshosts(recorded("s1_lshosts_w.txt").replace("Yes (cs)", " No (cs)")).items
    batch = {"lost_and_found": BatchHost("lost_and_found", "ok", 0, 3), "cn01": BatchHost("cn01", "ok", 4, 0)}
    hosts = make_hosts(batch, lims, {"cn01": "ok"}, Site(ours, templates=frozenset({"cn01"})))
    assert [(host.name, host.template) for host in hosts] == [("cn01", True)]


def test_a_host_that_only_we_expect() -> None:
    expected = {"small-1": ("10.0.0.1", Capacity(4, 4000))}
    (host,) = make_hosts({}, {}, {}, Site(ours, expected=expected))
    assert host == Host(
        "small-1", HostState.JOINING, Capacity(4, 4000), address="10.0.0.1", detail="not yet known to mbatchd"
    )


def test_one_odd_host_drops_only_itself() -> None:
    odd = recorded("s1_lshosts_w.txt").replace("hn01  ", "$(reboot)")
    listing = read_lshosts(odd)
    assert list(listing.items) == ["cn01"]
    assert "$(reboot)" in listing.dropped[0]
    long = recorded("s1_bhosts_l.txt").replace("HOST  hn01", "HOST  --help")
    hosts = read_bhosts_long(long)
    assert list(hosts.items) == ["cn01"]
    assert "--help" in hosts.dropped[0]
    figures = read_bhosts_long(recorded("s1_bhosts_l.txt").replace("4      4      4", "x      4      4"))
    assert list(figures.items) == ["hn01"]
    assert "cn01" in figures.dropped[0]
    kept = make_hosts(
        {"cn01": BatchHost("cn01", "ok", 4, 0)}, {}, {"cn01": "ok"}, Site(ours, complete=False)
    )  # its line of the LIM may be the odd one
    assert [host.name for host in kept] == ["cn01"]


@pytest.mark.parametrize(
    ("read", "file"),
    [(read_bhosts_long, "s1_bhosts_l.txt"), (read_lshosts, "s1_lshosts_w.txt"), (read_lsload, "s1_lsload_l.txt")],
)
@pytest.mark.parametrize("damage", [0.95, 0.5, "localised", "garbage"])
def test_a_damaged_list_is_no_list(read, file: str, damage: float | str) -> None:
    text = recorded(file)
    if damage == "localised":
        text = text.replace("HOST", "RECHNER")
    elif damage == "garbage":
        text = "Segmentation fault\n"
    else:
        text = text[: int(len(text) * float(damage))].rstrip("\n")
    with pytest.raises(ValueError, match=r"cut off|no list|no host"):
        read(text)


def test_messages_before_a_list_are_skipped() -> None:
    wait = "LSF is down. Please wait ...\nCannot connect to LSF. Please wait ...\n"
    assert len(read_bhosts_long(wait + recorded("s1_bhosts_l.txt")).items) == 2
    assert len(read_lshosts(wait + recorded("s1_lshosts_w.txt")).items) == 2
    assert not read_bhosts_long("").items


def test_a_very_large_list() -> None:
    block = recorded("s4_bhosts_l_hclosed.txt")
    text = "".join(block.replace("cn02", f"n{i:05d}") for i in range(3000))
    assert len(read_bhosts_long(text).items) == 3000


def test_the_page_says_what_is_made_of_each() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [word for word in (*BATCH_STATES, *DOCUMENTED_LOAD) if f"`{word}`" not in page] == []
