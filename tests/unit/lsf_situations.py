"""Situations of the recorded OpenLava, one for each stage of its day, as states of the double."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torque_situations import at

from dynamiccluster.testing.lsf_double.cluster import key_of, new_cluster, new_host
from dynamiccluster.testing.lsf_double.dispatch import ARRAY, DEPENDS, FULL, HELD, LATER, NEVER, NEW, NO_LOAD, NOT_MET
from dynamiccluster.testing.stand_in.place import State

SUBMITTED = at("06:54:41")
FUTURE = 1798761540  # 2026-12-31 23:59
BOTH = ["cn01", "hn01"]


def job(number: int, name: str, user: str, **facts: Any) -> dict[str, Any]:
    """A job as it is after its submission, with what else is said of it."""
    made: dict[str, Any] = {
        "id": number,
        "index": 0,
        "array_spec": "",
        "at_once": 0,
        "name": name,
        "user": user,
        "project": "default",
        "queue": "normal",
        "state": "PEND",
        "held": False,
        "n": 1,
        "resreq": "",
        "hosts_asked": [],
        "from": "hn01",
        "submit": SUBMITTED,
        "start": 0,
        "end": 0,
        "exec": [],
        "command": "sleep 600",
        "script": "",
        "cwd": "$HOME",
        "home": f"/srv/testbed/home/{user}",
        "out": "",
        "depend": "",
        "begin": 0,
        "runlimit_min": 0,
        "limit_host": "hn01",
        "reasons": [[FULL, BOTH]],
        "exit": None,
        "rerunnable": False,
        "started": 0,
        "pids": [],
        "used_at": 0,
        "mem_mib": 6,
        "run_s": None,
    }
    return {**made, **facts}


def host_of(state: State, name: str, **facts: Any) -> None:
    state["hosts"][name].update(facts)


def loaded(r15s: float, r1m: float, r15m: float, ut: int, tmp: str, mem: str) -> dict[str, Any]:
    return {
        "r15s": r15s,
        "r1m": r1m,
        "r15m": r15m,
        "ut": ut,
        "pg": 0.0,
        "io": 0,
        "ls": 0,
        "it": "2e+08",
        "tmp": tmp,
        "swp": "0M",
        "mem": mem,
    }


def put(state: State, *jobs: dict[str, Any]) -> State:
    """Add jobs: those that run in the order in which they are listed, those that ended as they ended."""
    for one in jobs:
        key = key_of(one)
        state["jobs"][key] = one
        if one["state"] == "RUN":
            state["running"].append(key)
        elif one["state"] in ("DONE", "EXIT"):
            state["finished"].append(key)
    return state


def cluster(clock: str) -> State:
    """hn01, the master, and cn01."""
    state = new_cluster(at(clock))
    state["hosts"]["cn01"] = {
        **new_host(max_slots=4, resources=["bigmem", "cs"], static=True),
        "lim": "ok",
        "sbd": "ok",
        "lim_heard": at(clock),
        "sbd_heard": at(clock),
    }
    state["next_job"] = 118
    return state


def waiting(**facts: Any) -> list[dict[str, Any]]:
    """The jobs that wait all day."""
    return [
        job(105, "gpu", "bob", resreq="select[gpu]", **facts),
        job(107, "mem", "bob", resreq="select[mem>900000]", **facts),
        job(109, "held", "alice", state="PSUSP", held=True, command="sleep 60", reasons=[[HELD, [""]]]),
        job(110, "dep", "alice", depend="done(single)", command="sleep 60", reasons=[[NEVER, [""]]]),
        job(111, "future", "alice", begin=FUTURE, command="sleep 60", reasons=[[LATER, [""]]]),
    ]


CLOUD = {"n": 2, "resreq": "select[cloudhost] span[hosts=1]"}
BIG = {"n": 2, "resreq": "select[bigmem] rusage[mem=512]", "queue": "long"}
ARR = {"array_spec": "arr[1-10]%3", "at_once": 3, "command": "sleep 300"}


def full(*, with_ok: bool = True, new: bool = False) -> State:
    """s1: four slots, all of one job."""
    state = cluster("06:55:12" if with_ok else "06:54:58")
    host_of(state, "cn01", load=loaded(5.6, 15.0, 17.1, 99, "72G", "19G"), rank=0)
    host_of(state, "hn01", load=loaded(5.6, 15.0, 17.1, 99, "72G", "20G"), rank=1)
    run = {"state": "RUN", "start": at("06:54:45"), "exec": ["cn01"] * 4, "reasons": [], "started": 1}
    put(
        state,
        job(
            102, "four", "alice", project="proj42", queue="short", n=4, pids=[12, 13, 14], used_at=at("06:54:57"), **run
        ),
        job(101, "single", "alice", runlimit_min=20.0),
        job(104, "bigm", "bob", **BIG),
        job(106, "cloud", "bob", **CLOUD),
        *(job(108, f"arr[{index}]", "bob", index=index, **ARR) for index in range(1, 11)),
        *waiting(),
    )
    state["jobs"]["110"]["reasons"] = [[DEPENDS, [""]]]
    if with_ok:
        reasons = [[NEW, [""]]] if new else [[FULL, BOTH]]
        put(state, job(118, "ok", "bob", submit=at("06:55:10"), out="out.%J", command="sleep 30", reasons=reasons))
    return state


def load_at_first() -> State:
    state = full()
    for name in ("cn01", "hn01"):
        host_of(state, name, load=loaded(2.3, 7.5, 8.4, 99, "72G", "19G"))
    return state


def array_limited() -> State:
    """s2: three elements of the array run, the others wait for its limit; job 102 has ended."""
    state = full()
    for index in (1, 2, 3):
        key = f"108[{index}]"
        state["jobs"][key].update(state="RUN", exec=["cn01"], start=at("06:55:41"), reasons=[])
        state["running"].insert(0, key)
    state["running"].remove("102")
    state["jobs"]["118"].update(state="RUN", exec=["cn01"], start=at("06:55:37"), reasons=[])
    state["running"].append("118")
    for index in range(4, 11):
        state["jobs"][f"108[{index}]"]["reasons"] = [[ARRAY, [""]]]
    state["jobs"]["110"]["reasons"] = [[NEVER, [""]]]
    del state["jobs"]["101"]
    state["jobs"]["102"].update(state="EXIT", end=at("06:55:35"), exit=130, pids=[])
    state["finished"].append("102")
    return state


def added(*names: str, shown: bool = False) -> Callable[[], State]:
    """s3: dynamic hosts, whose daemons are not up yet."""

    def make() -> State:
        state = array_limited()
        when = state["now"]
        for name in names:
            resources = ["cloudhost", "cs"] if name == "cn02" else []
            state["hosts"][name] = new_host(max_slots=4, resources=resources, added_at=when if shown else when + 5)
        return state

    return make


def half_started() -> State:
    """bhosts says ok, lsload does not: sbatchd is up, LIM is not."""
    state = added("cn02", "cn03", shown=True)()
    host_of(state, "cn02", sbd="ok", sbd_heard=state["now"])
    host_of(state, "cn01", load=loaded(7.6, 14.6, 16.9, 99, "72G", "19G"), rank=0)
    host_of(state, "hn01", load=loaded(7.6, 14.6, 16.9, 86, "72G", "19G"), rank=1)
    return state


def cloud_node(*, closed: str = "", cn02: bool = True, cn03: bool = True) -> Callable[[], State]:
    """s4, 06:56:34: two dynamic hosts without load."""

    def make() -> State:
        state = cluster("06:56:34")
        reasons = [[FULL, ["cn01"]], [NO_LOAD, ["cn02", "cn03"]], [NOT_MET, ["hn01"]]]
        run = {"state": "RUN", "start": at("06:56:25"), "exec": ["cn01", "cn01"], "reasons": []}
        put(state, job(104, "bigm", "bob", **BIG, **run), job(106, "cloud", "bob", **CLOUD, reasons=reasons))
        put(state, *waiting(reasons=reasons))
        for name, there in (("cn02", cn02), ("cn03", cn03)):
            if there:
                resources = ["cloudhost", "cs"] if name == "cn02" else []
                state["hosts"][name] = new_host(max_slots=4, resources=resources)
                host_of(state, name, sbd="ok" if name == "cn02" else "unavail", sbd_heard=state["now"])
        if closed:
            host_of(state, "cn02", closed=True, message=closed)
        return state

    return make


def twice_closed() -> State:
    state = cloud_node()()
    told = "Fri Nov 20 06:56:34: Host <cn02> closed by administrator <root> "
    state["history"] = [f"{told}.", f"{told}hpcx draining."]
    return state


def grown(*, idle: bool = False) -> Callable[[], State]:
    """s5, 06:58: cn02 is up."""

    def make() -> State:
        state = cluster("06:58:14")
        state["hosts"]["cn02"] = {
            **new_host(max_slots=4, resources=["cloudhost", "cs"]),
            "lim": "ok",
            "sbd": "ok",
            "ncpus": 2,
            "maxmem": 24105,
            "lim_heard": state["now"],
            "sbd_heard": state["now"],
        }
        host_of(state, "cn02", load=loaded(4.6, 11.3, 15.4, 9, "73G", "20G"), rank=0)
        host_of(state, "hn01", load=loaded(5.2, 11.6, 15.5, 92, "73G", "20G"), rank=1)
        host_of(state, "cn01", load=loaded(5.2, 11.6, 15.5, 81, "73G", "20G"), rank=2)
        reasons = [[FULL, ["cn01"]], [NOT_MET, ["cn02", "hn01"]]]
        second = {"start": at("06:56:25"), "exec": ["cn01"] * 2, "pids": [45, 48, 50], "used_at": at("06:58:11")}
        first = {"start": at("06:58:01"), "exec": ["cn02"] * 2, "pids": [21, 22, 23], "used_at": at("06:58:13")}
        if not idle:
            put(state, job(106, "cloud", "bob", **CLOUD, **first, state="RUN", reasons=[]))
        put(state, job(104, "bigm", "bob", **BIG, **second, state="RUN", reasons=[]))
        return put(state, *waiting(reasons=reasons))

    return make


def closed() -> State:
    """s6: cn02 is closed while its job runs on."""
    state = grown()()
    host_of(state, "cn02", closed=True, message="hpcx: shrink", load=loaded(1.6, 5.2, 7.3, 14, "73G", "20G"))
    return state


def lost() -> State:
    """07:00: the daemons of cn02 were killed 90 s ago, and nobody says so."""
    state = closed()
    host_of(state, "hn01", load=loaded(1.5, 8.1, 13.8, 12, "73G", "20G"), rank=0)
    host_of(state, "cn01", load=loaded(1.5, 8.1, 13.8, 13, "73G", "20G"), rank=1)
    host_of(state, "cn02", load=loaded(2.8, 10.2, 14.9, 21, "73G", "20G"), rank=2)
    return state


def removed() -> State:
    """cn02 was removed with its job on it."""
    state = grown()()
    del state["hosts"]["cn02"]
    state["running"].remove("106")
    over = {"state": "EXIT", "end": at("07:00:09"), "reasons": []}
    put(
        state,
        job(101, "single", "alice", **over),
        job(102, "four", "alice", queue="short", exec=["cn01"] * 4, **over),
        job(118, "ok", "bob", submit=at("06:55:10"), exec=["cn01"], **{**over, "state": "DONE"}),
        *(job(108, f"arr[{at_}]", "bob", index=at_, **over) for at_ in range(4, 11)),
        *(job(108, f"arr[{at_}]", "bob", index=at_, exec=["cn01"], **over) for at_ in (3, 2, 1)),
    )
    gone = {**over, "exec": ["lost_and_found"], "dispatched": ["cn02", "cn02"], "exit": None, "start": at("06:58:01")}
    return put(state, job(106, "cloud", "bob", **CLOUD, **gone, pids=[21]))


def master_down(daemon: str) -> Callable[[], State]:
    return lambda: {**full(), "fault": {daemon: "down"}}
