"""What could make Torque's adapter take a node with jobs away, or stop it by what one job or node says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynamiccluster.errors import BusyError, TransientError
from dynamiccluster.schedulers.torque.adapter import TorqueScheduler
from dynamiccluster.schedulers.torque.jobs_parse import Asked, parse_jobs
from dynamiccluster.schedulers.torque.openpbs_parse import parse_jobs as parse_openpbs_jobs
from dynamiccluster.schedulers.torque.openpbs_parse import parse_nodes as parse_openpbs_nodes
from dynamiccluster.testing.runner import FakeRunner

NODE = "<Node><name>wn-1</name><state>offline</state><np>4</np><note>dynamiccluster:c1:wn-1</note></Node>"
JOB = "<Job><Job_Id>{0}.head</Job_Id><job_state>Q</job_state><Resource_List>{1}</Resource_List></Job>"
QUEUES = "Queue: main\n    queue_type = Execution\n    started = True\n"


class Clock:
    def now(self) -> float:
        return 1000.0

    def monotonic(self) -> float:
        return 1000.0


class Server:
    """Torque without Maui, of which every program says what it is told to."""

    def __init__(self, dialect: str = "torque") -> None:
        self.runner = FakeRunner()
        self.queue("")
        self.runner.on(["/usr/bin/qmgr"], "")
        self.scheduler = TorqueScheduler(self.runner, Clock(), "c1", dialect=dialect)

    def says(self, program: str, *words: str, text: str) -> None:
        self.runner.on([f"/usr/bin/{program}", *words], text)

    def queue(self, text: str) -> None:
        self.says("qstat", text=text)
        self.says("qstat", "-Q", text=QUEUES)

    def changes(self) -> list[tuple[str, ...]]:
        return [argv for argv in self.runner.argvs if argv[0].endswith("qmgr")]


# -- lists that are not whole ----------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ["torque", "openpbs"])
@pytest.mark.parametrize("text", ["", "\n"])
def test_no_answer_about_nodes_is_not_that_there_are_none(dialect: str, text: str) -> None:
    """A server without nodes says so, with a return code (``Server has no node list``)."""
    server = Server(dialect)
    server.says("pbsnodes", text=text)
    server.queue("" if dialect == "torque" else '{"pbs_server": "head"}')
    with pytest.raises(TransientError, match="pbsnodes"):
        server.scheduler.poll()
    with pytest.raises(TransientError, match="pbsnodes"):
        server.scheduler.remove("wn-1")
    with pytest.raises(TransientError):
        server.scheduler.hold("wn-1", "dynamiccluster:c1:wn-1")


def test_a_server_that_says_of_an_empty_queue_that_it_is_one_does_not_fall_silent() -> None:
    """6.1.3 prints a prologue and an empty list; 4.2.10, which prints nothing, has no prologue either."""
    server = Server()
    server.says("pbsnodes", "-x", text=f"<Data>{NODE}</Data>")
    server.queue("")
    assert server.scheduler.poll().jobs == ()
    server.queue('<?xml version="1.0"?>\n<Data></Data>')
    assert server.scheduler.poll().jobs == ()
    server.queue("")
    with pytest.raises(TransientError, match="qstat"):
        server.scheduler.poll()


# -- jobs and nodes that are odd -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked", [f"<mem>{'9' * 400}gb</mem>", "<walltime>1e999</walltime>", f"<pmem>{'9' * 400}b</pmem>"]
)
def test_an_absurd_amount_costs_its_job_only(asked: str) -> None:
    text = f"<Data>{JOB.format(1, asked)}{JOB.format(2, '<nodes>1</nodes>')}</Data>"
    queue = parse_jobs(text, Asked())
    assert [job.job_id for job in queue.jobs] == ["2.head"]
    assert "1.head" in queue.dropped[0]


def test_an_absurd_amount_costs_its_job_only_in_openpbs_too() -> None:
    jobs = {str(n): {"job_state": "Q", "Resource_List": {"select": f"1:mem={n * 400}b"}} for n in ("9", "1")}
    jobs["1"]["Resource_List"] = {"ncpus": 1}
    queue = parse_openpbs_jobs(json.dumps({"pbs_server": "head", "Jobs": jobs}), Asked())
    assert [job.job_id for job in queue.jobs] == ["1"]


def vnodes(*, jobs: list[str]) -> str:
    def one(cores: int, taken: int, **more: Any) -> dict[str, Any]:
        has, used = {"ncpus": cores, "mem": f"{cores}gb"}, {"ncpus": taken}
        return {"state": "free", "pbs_version": "23", "resources_available": has, "resources_assigned": used, **more}

    nodes = {
        "wn-1": one(0, 0, comment="dynamiccluster:c1:wn-1", state="offline"),
        "wn-1[0]": one(4, 2 if jobs else 0, jobs=jobs),
        "wn-1[1]": one(4, 0),
    }
    return json.dumps({"pbs_server": "head", "nodes": nodes})


def test_jobs_on_parts_of_a_host_are_jobs_on_the_host() -> None:
    """OpenPBS may show one host as several vnodes (NUMA, cgroups): ``wn-1[0]`` is a part of ``wn-1``."""
    (node,) = parse_openpbs_nodes(vnodes(jobs=["7.head/0", "7.head/1"]), "dc-template").nodes
    assert (node.name, node.slots, node.memory_mib, list(node.jobs)) == ("wn-1", 8, 8192, ["7.head"])
    assert node.taken is not None
    assert node.taken.cores == 2
    server = Server("openpbs")
    server.says("pbsnodes", "-av", text=vnodes(jobs=["7.head/0"]))
    with pytest.raises(BusyError, match="wn-1 has jobs"):
        server.scheduler.remove("wn-1")
    assert not server.changes()
