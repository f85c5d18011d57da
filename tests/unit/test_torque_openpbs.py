"""The OpenPBS dialect: shapes of its JSON from documentation, its words for requests, nodes and reasons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynamiccluster.errors import TransientError
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.schedulers.torque.adapter import TorqueScheduler
from dynamiccluster.schedulers.torque.dialects import OPENPBS, TORQUE, NodeAttributes
from dynamiccluster.schedulers.torque.jobs_parse import Asked, Queue
from dynamiccluster.schedulers.torque.nodes_parse import Node
from dynamiccluster.schedulers.torque.openpbs_parse import parse_jobs, parse_nodes
from dynamiccluster.schedulers.torque.states import OPENPBS_STATES
from dynamiccluster.testing.runner import FakeRunner

DOCUMENTED = Path(__file__).parents[1] / "documented" / "torque"
JOBS = (DOCUMENTED / "openpbs_qstat_f_F_json.json").read_text(encoding="utf-8")
NODES = (DOCUMENTED / "openpbs_pbsnodes_a_F_json.json").read_text(encoding="utf-8")
SMALL = Resource("s", "x", "t", Capacity(4, 4000), features=frozenset({"fast"}), reservation=Reservation(property="cl"))


def queue_of(*jobs: dict[str, Any], now: float = 0.0) -> Queue:
    found = {f"{number}.pbs": {"job_state": "Q", "queue": "q", **job} for number, job in enumerate(jobs)}
    return parse_jobs(json.dumps({"pbs_server": "pbs", "Jobs": found}), Asked(now=now))


def one(**values: Any) -> Job:
    (job,) = queue_of(values).jobs
    return job


def nodes_of(**values: Any) -> Node:
    text = json.dumps({"pbs_server": "pbs", "nodes": {"n1": {"state": "free", **values}}})
    (node,) = parse_nodes(text, "dc-template").nodes
    return node


def test_the_documented_queue() -> None:
    (job,) = parse_jobs(JOBS, Asked()).jobs
    assert (job.job_id, job.state, job.wait) == ("12.pbs01", JobState.PENDING, Wait.HELPS)
    assert job.reason == "Not Running: Insufficient amount of resource: ncpus"
    assert (job.shape.chunks, job.shape.chunk, job.shape.distinct) == (2, Capacity(4), False)
    assert (job.user, job.name, job.shape.walltime_s) == ("alice", "two4", 3600)
    assert 1.79e9 < job.submitted_at < 1.8e9


def test_the_documented_nodes() -> None:
    (node,) = parse_nodes(NODES, "dc-template").nodes
    host = node.host(lambda mark: False)
    assert (host.state, host.total, host.used) == (HostState.UP, Capacity(4, 24106), Capacity(1))
    assert (host.jobs, host.busy) == (("12.pbs01",), True)
    assert not host.features  # arch, host and vnode say nothing


@pytest.mark.parametrize(
    ("request_of", "wanted"),
    [
        ({"select": "1:ncpus=2"}, [(1, Capacity(2), False, (), False)]),
        ({"select": "3"}, [(3, Capacity(1), False, (), False)]),
        ({"select": "ncpus=2"}, [(1, Capacity(2), False, (), False)]),
        ({"select": "2:ncpus=4:mem=2gb:ngpus=1"}, [(2, Capacity(4, 2048, 1), False, (), False)]),
        ({"select": "2:ncpus=4", "place": "scatter"}, [(2, Capacity(4), True, (), False)]),
        ({"select": "2:ncpus=4", "place": "scatter:excl"}, [(2, Capacity(4), True, (), True)]),
        ({"select": "2:ncpus=4", "place": "pack"}, [(1, Capacity(8), False, (), False)]),
        ({"select": "1:ncpus=4:cloud=True"}, [(1, Capacity(4), False, (("cloud",),), False)]),
        ({"select": "1:ncpus=4:model=a100"}, [(1, Capacity(4), False, (("model=a100",),), False)]),
        ({"select": "1:ncpus=4:mpiprocs=4:cloud=false"}, [(1, Capacity(4), False, (), False)]),
        (
            {"select": "2:ncpus=4+1:ncpus=8+1:ncpus=4"},
            [(3, Capacity(4), False, (), False), (1, Capacity(8), False, (), False)],
        ),
        ({"ncpus": 3}, [(1, Capacity(3), False, (), False)]),
    ],
)
def test_every_way_to_select(request_of: dict[str, Any], wanted: list[tuple[Any, ...]]) -> None:
    shapes = [job.shape for job in queue_of({"Resource_List": request_of}).jobs]
    assert [(one.chunks, one.chunk, one.distinct, one.features, one.exclusive) for one in shapes] == wanted


def test_chunks_on_named_hosts() -> None:
    assert one(Resource_List={"select": "1:ncpus=1:host=n1"}).shape.hosts == ("n1",)
    assert one(Resource_List={"select": "1:ncpus=1:vnode=n1"}).shape.hosts == ("n1",)


@pytest.mark.parametrize("word", sorted(set(OPENPBS_STATES) - {"B"}))
def test_every_documented_state(word: str) -> None:
    job = one(job_state=word, exec_host="n1/0*4")
    assert job.state is OPENPBS_STATES[word]


def test_arrays_as_a_whole_are_left_out_for_their_tasks() -> None:
    assert queue_of({"job_state": "B"}).jobs == []
    assert not queue_of({"job_state": "B"}).dropped


@pytest.mark.parametrize(
    ("comment", "wait"),
    [
        ("Not Running: Insufficient amount of resource: ncpus (R: 8 A: 4 T: 4)", Wait.HELPS),
        ("Can Never Run: Insufficient amount of resource: ncpus (R: 64 A: 4 T: 4)", Wait.HELPS),
        ("Not Running: Not enough free nodes available", Wait.HELPS),
        ("Not Running: Job would conflict with reservation or top job", Wait.HELPS),
        ("Not Running: User has reached server running limit.", Wait.NO),
        ("Not Running: Queue not started.", Wait.NO),
        ("Not Running: Job would cross dedicated time boundary", Wait.NOT_YET),
        ("", Wait.HELPS),
    ],
)
def test_comments_of_its_scheduler(comment: str, wait: Wait) -> None:
    assert one(comment=comment).wait is wait


def test_holds_times_accounts_and_running_jobs() -> None:
    assert one(job_state="H", Hold_Types="u").wait is Wait.NO
    assert one(job_state="H", Hold_Types="s", depend="afterok:1.pbs").reason == "depends on afterok:1.pbs"
    assert one(job_state="W", Execution_Time="Fri Nov 20 06:47:18 2099").wait is Wait.NOT_YET
    assert one(Account_Name="a", project="p").shape.account == "a"
    assert one(project="p").shape.account == "p"
    assert one(project="_pbs_project_default").shape.account == ""
    running = one(job_state="R", substate=42, exec_host="n1/0*4+n2/1*2", stime="Fri Nov 20 06:47:18 2026")
    assert (running.state, running.hosts, running.started_at > 0) == (JobState.RUNNING, ("n1", "n2"), True)
    assert one(job_state="R", substate=41, exec_host="n1/0").state is JobState.STARTING


@pytest.mark.parametrize(
    ("state", "more", "wanted"),
    [
        ("free", {}, HostState.UP),
        ("job-busy", {}, HostState.UP),
        ("down", {"pbs_version": "23"}, HostState.DOWN),
        ("state-unknown,down", {}, HostState.JOINING),
        ("state-unknown,down", {"pbs_version": "23"}, HostState.DOWN),
        ("stale", {"pbs_version": "23"}, HostState.DOWN),
        ("offline", {}, HostState.UP),
        ("initializing", {}, HostState.JOINING),
    ],
)
def test_states_of_nodes(state: str, more: dict[str, str], wanted: HostState) -> None:
    assert nodes_of(state=state, **more).state is wanted


def test_nodes_with_words_of_their_own() -> None:
    node = nodes_of(
        resources_available={"ncpus": 4, "mem": "4gb", "cloud": "True", "old": "False", "model": "a100"},
        jobs="1.pbs/0, 1.pbs/1, 2.pbs/2",
        comment="dynamiccluster:c1:n1",
    )
    assert node.properties == ("cloud", "model=a100")
    assert list(node.jobs) == ["1.pbs", "2.pbs"]
    assert node.mark == "dynamiccluster:c1:n1"


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", "null", "{", '{"nodes": {}}', '{"pbs_server": "x", "Jobs": []}', "Erreur", "[" * 100_000],
)
def test_what_is_no_answer_is_not_an_empty_one(text: str) -> None:
    with pytest.raises(ValueError):
        parse_jobs(text, Asked())
    assert parse_jobs('{"pbs_server": "x"}', Asked()).jobs == []
    assert parse_jobs("", Asked()).jobs == []
    assert parse_nodes("", "t").nodes == ()


@pytest.mark.parametrize(
    "bad",
    [
        {"Resource_List": {"select": "0:ncpus=1"}},
        {"Resource_List": {"select": "1:ncpus=many"}},
        {"Resource_List": []},
        {"job_state": None, "ctime": "yesterday"},
        {"Priority": "high"},
        {"job_state": "R", "exec_host": "x"},
    ],
)
def test_a_malformed_job_drops_only_itself_and_is_named(bad: dict[str, Any]) -> None:
    queue = queue_of(bad, {"Job_Name": "$(reboot)\n</Job>"})
    assert [(job.job_id, job.name) for job in queue.jobs] == [("1.pbs", "$(reboot)\n</Job>")]
    assert "0.pbs" in queue.dropped[0]


def test_what_servers_are_told_of_nodes() -> None:
    wanted = NodeAttributes.of(SMALL)
    assert wanted == NodeAttributes(4, 0, frozenset({"fast", "cl"}))
    bare = Node("n1", frozenset(), 1, ("old",))
    assert TORQUE.changes(wanted, bare) == [("np", "=", "4"), ("properties", "=", "cl"), ("properties", "+=", "fast")]
    assert TORQUE.changes(NodeAttributes(1), bare) == [("properties", "-=", "old")]
    assert TORQUE.changes(NodeAttributes(1, 2, frozenset({"old"})), bare) == [("gpus", "=", "2")]
    assert OPENPBS.changes(wanted, bare) == [
        ("resources_available.ncpus", "=", "4"),
        ("resources_available.cl", "=", "True"),
        ("resources_available.fast", "=", "True"),
        ("resources_available.old", "=", "False"),
    ]
    assert TORQUE.changes(NodeAttributes(1, 0, frozenset({"old"})), bare) == []


class Clock:
    def now(self) -> float:
        return 1_800_000_000.0

    def monotonic(self) -> float:
        return 0.0


def openpbs(runner: FakeRunner) -> TorqueScheduler:
    return TorqueScheduler(runner, Clock(), "c1", dialect="openpbs")


def test_a_poll_and_a_hold_in_its_own_words() -> None:
    runner = FakeRunner()
    runner.on(["/usr/bin/qstat", "-t", "-f"], JOBS)
    runner.on(["/usr/bin/qstat", "-Q", "-f"], "Queue: workq\n    started = True\n")
    runner.on(["/usr/bin/pbsnodes"], NODES)
    scheduler = openpbs(runner)
    view = scheduler.poll()
    assert ([job.job_id for job in view.jobs], [host.name for host in view.hosts]) == (["12.pbs01"], ["cn01"])
    assert view.stale_facets == ()
    scheduler.hold("cn01", "dynamiccluster:c1:cn01")
    scheduler.declare([SMALL])  # it takes jobs of any shape
    scheduler.unstick([])
    assert runner.argvs == [
        ("/usr/bin/pbsnodes", "-av", "-F", "json"),
        ("/usr/bin/qstat", "-t", "-f", "-F", "json"),
        ("/usr/bin/qstat", "-Q", "-f"),
        ("/usr/bin/pbsnodes", "-v", "-F", "json", "cn01"),
        ("/usr/bin/pbsnodes", "-o", "-C", "dynamiccluster:c1:cn01", "cn01"),
    ]


def test_a_release_in_its_own_words() -> None:
    runner = FakeRunner()
    held = NODES.replace('"state":"free"', '"state":"offline","comment":"dynamiccluster:c1:cn01"')
    runner.on(["/usr/bin/pbsnodes"], held)
    openpbs(runner).release("cn01", "dynamiccluster:c1:cn01")
    assert runner.argvs[-1] == ("/usr/bin/pbsnodes", "-r", "-C", "", "cn01")


def test_something_else_than_its_json_is_a_failed_poll() -> None:
    runner = FakeRunner()
    runner.on(["/usr/bin/pbsnodes"], "<Data></Data>")
    with pytest.raises(TransientError):
        openpbs(runner).poll()
