"""What Torque says of its jobs: recorded queues, every documented state, hostile users."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.schedulers.torque.jobs_parse import Asked, Queue, parse_jobs, slots_by_host
from dynamiccluster.schedulers.torque.request_parse import mib, seconds, shapes_of
from dynamiccluster.schedulers.torque.states import (
    HELPED_COMMENTS,
    HOLDS,
    JOB_STATES,
    LATER_COMMENTS,
    QUEUED_SUBSTATES,
    REFUSED_COMMENTS,
    RUNNING_SUBSTATES,
    hold_of,
    wait_of_comment,
)

RECORDED = Path(__file__).parents[1] / "recorded"
NOW = 1_795_157_268.0
HOSTS = frozenset({"node01", "node02", "node03"})


def recorded(system: str, name: str, **more: object) -> dict[str, Job]:
    text = (RECORDED / system / name).read_text(encoding="utf-8")
    queue = parse_jobs(text, Asked(HOSTS, NOW, **more))  # type: ignore[arg-type]
    assert not queue.dropped
    assert not queue.unknown
    return {job.job_id: job for job in queue.jobs}


def record(job_id: str = "7.head", state: str = "Q", request: str = "<nodes>1:ppn=2</nodes>", **values: str) -> str:
    values = {"Job_Name": "x", "Job_Owner": "eve@login", "queue": "batch", "ctime": "1795157000"} | values
    more = "".join(f"<{key}>{value}</{key}>" for key, value in values.items())
    return (
        f"<Job><Job_Id>{job_id}</Job_Id><job_state>{state}</job_state>{more}"
        f"<Resource_List>{request}</Resource_List></Job>"
    )


def queue_of(*records: str, **asked: object) -> Queue:
    return parse_jobs(f"<Data>{''.join(records)}</Data>", Asked(HOSTS, NOW, **asked))  # type: ignore[arg-type]


def one(*records: str, **asked: object) -> Job:
    (job,) = queue_of(*records, **asked).jobs
    return job


def test_the_recorded_queue_of_6_1() -> None:
    jobs = recorded("torque", "s1_qstat_x_t.xml")
    assert len(jobs) == 22
    running = jobs["2.thn01"]
    assert (running.state, running.hosts, running.user, running.name) == (
        JobState.RUNNING,
        ("node02",),
        "bob",
        "acct",
    )
    assert (running.shape.account, running.shape.queues) == ("proj42", ("short",))
    assert running.shape.chunk == Capacity(2, 512)
    assert running.started_at == 1795157239
    gang = jobs["1.thn01"]
    assert (gang.state, gang.wait) == (JobState.PENDING, Wait.HELPS)
    assert (gang.shape.chunks, gang.shape.chunk, gang.shape.distinct) == (2, Capacity(4), True)
    assert gang.shape.walltime_s == 3600
    assert jobs["3.thn01"].shape.features == (("bigmem",),)
    limited = jobs["4[4].thn01"]
    assert (limited.wait, limited.reason) == (Wait.NOT_YET, "its array runs as many tasks as it may")
    assert (jobs["5.thn01"].wait, jobs["5.thn01"].reason) == (Wait.NO, "held by its user")
    assert jobs["6.thn01"].reason == "depends on afterok:1.thn01"
    assert jobs["7.thn01"].shape.chunk == Capacity(3, 2100)  # ncpus=3, pmem=700mb
    anywhere = jobs["8.thn01"].shape
    assert (anywhere.chunks, anywhere.distinct, anywhere.chunk) == (6, False, Capacity(1))
    assert jobs["10.thn01"].shape.hosts == ("node02",)
    assert (jobs["10.thn01+1"].shape.hosts, jobs["10.thn01+1"].shape.chunk) == ((), Capacity(2))
    later = jobs["11.thn01"]
    assert (later.wait, later.eligible_at) == (Wait.NOT_YET, 1924991940.0)


def test_the_recorded_queue_of_4_2() -> None:
    waiting = recorded("torque42", "s1_qstat_x_t.xml")
    assert waiting["4[3].thn01"].wait is Wait.NOT_YET  # no Hold_Types at all
    assert waiting["4[2].thn01"].wait is Wait.HELPS
    assert waiting["6.thn01"].shape.chunk == Capacity(2)  # ncpus=2 beside the nodes=1 of the queue
    running = recorded("torque42", "s3_qstat_x_t_running.xml", comments=True)
    assert running["2.thn01"].hosts == ("node02",)
    assert running["1.thn01"].reason == "Not Running: Not enough of the right type of nodes are available"
    assert running["1.thn01"].wait is Wait.HELPS


def test_recorded_holds_and_completed_jobs() -> None:
    jobs = recorded("torque", "s5_qstat_x_holds_and_completed.xml")
    assert jobs["13.thn01"].reason == "held by the system"
    assert jobs["24.thn01"].reason == "held by its user"
    assert jobs["26.thn01"].reason == "held by an operator"
    assert jobs["4[9].thn01"].wait is Wait.HELPS  # its array has room again; no Hold_Types either
    assert jobs["10.thn01"].hosts == ("node02", "node01")
    assert jobs["31.thn01"].shape.chunk.gpus == 1
    assert jobs["30.thn01"].shape.chunks == 50


def test_an_array_as_a_whole_is_named_and_left_out() -> None:
    text = (RECORDED / "torque" / "s1_qstat_x.xml").read_text(encoding="utf-8")
    queue = parse_jobs(text, Asked(HOSTS, NOW))
    assert [job.job_id for job in queue.jobs if job.job_id.startswith("4[")] == []
    (dropped,) = queue.dropped
    assert "4[].thn01" in dropped
    assert "-t" in dropped


@pytest.mark.parametrize("word", sorted(JOB_STATES))
def test_every_documented_state_has_its_meaning(word: str) -> None:
    queue = queue_of(record(state=word, exec_host="node01/0", Hold_Types="u"))
    (job,) = queue.jobs
    assert job.state is JOB_STATES[word]
    assert not queue.unknown


@pytest.mark.parametrize("word", sorted(QUEUED_SUBSTATES))
def test_every_documented_substate_of_waiting_jobs(word: str) -> None:
    queue = queue_of(record(substate=word))
    (job,) = queue.jobs
    assert (job.state, job.wait) == (JobState.PENDING, QUEUED_SUBSTATES[word][0])
    assert (job.wait is Wait.HELPS) == (job.reason == "")
    assert not queue.unknown


@pytest.mark.parametrize("word", sorted(RUNNING_SUBSTATES))
def test_every_documented_substate_of_running_jobs(word: str) -> None:
    job = one(record(state="R", substate=word, exec_host="node01/0-1"))
    assert job.state is RUNNING_SUBSTATES[word]
    assert job.hosts == ("node01",)


@pytest.mark.parametrize("state", ["E", "S"])
def test_jobs_that_end_or_pause_keep_their_hosts(state: str) -> None:
    assert one(record(state=state, exec_host="node01/0")).hosts == ("node01",)


def test_completed_jobs_have_left_their_hosts() -> None:
    job = one(record(state="C", exec_host="node01/0"))
    assert (job.state, job.hosts) == (JobState.DONE, ())


def test_unknown_states_are_told_and_never_cheerful() -> None:
    queue = queue_of(record(state="Z", exec_host="node01/0"), record("8.head", substate="99"))
    assert [job.state for job in queue.jobs] == [JobState.UNKNOWN, JobState.PENDING]
    assert queue.jobs[0].hosts == ("node01",)
    assert queue.unknown == {"job_state Z", "substate 99 of a job in state Q"}


@pytest.mark.parametrize("letter", sorted(HOLDS))
@pytest.mark.parametrize("array", [False, True])
def test_every_documented_hold_keeps_a_job_back(letter: str, array: bool) -> None:
    wait, reason = hold_of(letter, array, "")
    assert wait is Wait.NO
    assert reason == HOLDS[letter]


def test_holds_together_and_limits_of_arrays() -> None:
    assert hold_of("uos", False, "") == (Wait.NO, "held by its user and held by an operator and held by the system")
    assert hold_of("ul", True, "")[0] is Wait.NO
    assert hold_of("l", True, "")[0] is Wait.NOT_YET
    assert hold_of("", True, "")[0] is Wait.NOT_YET
    assert hold_of("", False, "") == (Wait.NO, "held")
    assert hold_of("s", False, "afterok:1.head") == (Wait.NO, "depends on afterok:1.head")
    assert hold_of("us", False, "afterok:1.head")[1].startswith("held by its user")
    assert hold_of("z", False, "") == (Wait.NO, "held (z)")


@pytest.mark.parametrize(
    ("words", "wait"),
    [*((one, Wait.HELPS) for one in HELPED_COMMENTS), *((one, Wait.NOT_YET) for one in LATER_COMMENTS)]
    + [(one, Wait.NO) for one in REFUSED_COMMENTS],
)
def test_every_documented_comment(words: str, wait: Wait) -> None:
    assert wait_of_comment(f"Not Running: {words}.") is wait


def test_comments_count_only_where_the_scheduler_writes_them() -> None:
    told = record(comment="Not Running: User has reached server running limit.")
    assert one(told, comments=True).wait is Wait.NO
    assert one(told).wait is Wait.HELPS
    assert wait_of_comment("Job started on Fri Nov 20 at 07:13") is None
    assert wait_of_comment("Not Running: because") is None


@pytest.mark.parametrize(
    ("request_text", "wanted"),
    [
        ("nodes=1", [(1, 1, False, ())]),
        ("nodes=3", [(3, 1, True, ())]),
        ("nodes=2:ppn=4", [(2, 4, True, ())]),
        ("nodes=1:ppn=2:bigmem:fast", [(1, 2, False, (("bigmem",), ("fast",)))]),
        ("nodes=bigmem:ppn=2", [(1, 2, False, (("bigmem",),))]),
        ("nodes=ppn=2", [(1, 2, False, ())]),
        ("nodes=2:ppn=4:a+1:ppn=8:b", [(2, 4, True, (("a",),)), (1, 8, False, (("b",),))]),
        ("nodes=1:ppn=2+3:ppn=2", [(4, 2, True, ())]),
        ("nodes=2:ppn=2#shared", [(2, 2, True, ())]),
        ("procs=6", [(6, 1, False, ())]),
        ("procs=6 nodes=1", [(6, 1, False, ())]),
        ("ncpus=3", [(1, 3, False, ())]),
        ("ncpus=3 nodes=1", [(1, 3, False, ())]),
        ("ncpus=3 nodes=2:ppn=4", [(2, 4, True, ())]),
        ("walltime=01:00:00", [(1, 1, False, ())]),
        ("nodes=1:ppn=1:gpus=1:exclusive_process", [(1, 1, False, ())]),
        ("nodes=1:ppn=1:mics=1", [(1, 1, False, ())]),
        ("nodes=2:ppn=1 neednodes=cloud", [(2, 1, True, (("cloud",),))]),
        ("nodes=1:ppn=1 neednodes=node01:ppn=1", [(1, 1, False, ())]),
    ],
)
def test_every_way_to_ask_for_nodes(request_text: str, wanted: list[tuple[object, ...]]) -> None:
    asked = dict(word.split("=", 1) for word in request_text.split())
    shapes = shapes_of(asked, "batch", known_hosts=HOSTS)
    assert [(one.chunks, one.chunk.cores, one.distinct, one.features) for one in shapes] == wanted
    assert all(one.queues == ("batch",) for one in shapes)


def test_named_hosts_are_not_properties() -> None:
    first, second = shapes_of({"nodes": "node02:ppn=1+1:ppn=2:node09"}, "batch", known_hosts=HOSTS)
    assert (first.hosts, first.features) == (("node02",), ())
    assert (second.hosts, second.features) == ((), (("node09",),))


def test_pieces_may_share_a_host_where_the_site_says_so() -> None:
    (shape,) = shapes_of({"nodes": "2:ppn=4"}, "batch", distinct=False)
    assert not shape.distinct


def test_memory_of_the_job_and_of_each_process() -> None:
    (whole,) = shapes_of({"nodes": "2:ppn=4", "mem": "8gb"}, "q")
    assert whole.chunk == Capacity(4, 4096)
    (each,) = shapes_of({"nodes": "2:ppn=4", "pmem": "500mb", "mem": "1gb"}, "q")
    assert each.chunk == Capacity(4, 2000)
    (spread,) = shapes_of({"procs": "6", "mem": "1000mb"}, "q")
    assert spread.chunk == Capacity(1, 167)


def test_jobs_that_have_their_nodes_to_themselves() -> None:
    (alone,) = shapes_of({"nodes": "1", "naccesspolicy": "SINGLEJOB"}, "q")
    assert alone.exclusive
    assert one(record(node_exclusive="True")).shape.exclusive
    assert not one(record(node_exclusive="False")).shape.exclusive


@pytest.mark.parametrize(
    ("text", "amount"),
    [("512mb", 512), ("2gb", 2048), ("24684092kb", 24106), ("536870912b", 512), ("1", 1), ("100mw", 800), ("", 0)],
)
def test_amounts_of_memory(text: str, amount: int) -> None:
    assert mib(text) == amount


@pytest.mark.parametrize(("text", "wanted"), [("01:00:00", 3600), ("90", 90), ("2:00:00:00", 172800), ("", 0)])
def test_times(text: str, wanted: int) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("node02/0-1", {"node02": 2}),
        ("node02/1-2+node01/2", {"node02": 2, "node01": 1}),
        ("node02/1+node02/2", {"node02": 2}),
        ("node02/0-1,3", {"node02": 3}),
        ("cn01/0*4+cn02/1", {"cn01": 4, "cn02": 1}),
        ("", {}),
    ],
)
def test_both_formats_of_exec_host(text: str, wanted: dict[str, int]) -> None:
    assert slots_by_host(text) == wanted


@pytest.mark.parametrize("text", ["node01", "/0", "node01/x", "node01/9-1", "node01/0-99999999999"])
def test_hosts_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError):
        slots_by_host(text)


def test_memory_that_running_jobs_have_asked_for() -> None:
    request = "<nodes>2:ppn=2</nodes><mem>4000mb</mem>"
    queue = queue_of(record(state="R", request=request, exec_host="node01/0-1+node02/0-1"))
    assert queue.memory_mib == {"node01": 2000, "node02": 2000}


def test_jobs_of_equal_shape_share_it() -> None:
    queue = queue_of(record(), record("8.head"), record("9.head", Account_Name="a"))
    first, second, third = queue.jobs
    assert first.shape is second.shape
    assert third.shape is not first.shape


def test_a_request_of_unequal_parts_starts_together() -> None:
    queue = queue_of(record(request="<nodes>2:ppn=4:a+1:ppn=8:b</nodes>"))
    assert [(job.job_id, job.shape.features) for job in queue.jobs] == [("7.head", (("a",),)), ("7.head+1", (("b",),))]
    assert {job.gang for job in queue.jobs} == {"7.head"}
    assert one(record()).gang == ""


def test_priorities_and_who_has_none() -> None:
    listed = queue_of(record(), record("8.head"), record("9.head", "H"), priorities={"7": 12.0})
    assert [job.priority for job in listed.jobs] == [12.0, 0.0, 0.0]
    assert listed.unlisted == [1]
    without = queue_of(record(Priority="-5"), record("8.head", Priority="100"))
    assert [job.priority for job in without.jobs] == [-5.0, 100.0]
    assert not without.unlisted


HOSTILE = [
    "</Job_Name></Job><Job><Job_Id>1.head</Job_Id>",
    "a\nJob_Id = 1",
    "x=y,z",
    "$(reboot)",
    "`reboot`",
    "\"'; rm -rf /",
    "\u202e\u0000\ufffd",
    "]]>",
    "&amp;",
    "é" * 300,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_job_name_is_only_a_name(name: str) -> None:
    job = one(record(Job_Name=escape(name)))
    assert job.name == name
    assert job.job_id == "7.head"


def test_a_name_that_was_not_escaped_damages_its_own_record_only() -> None:
    queue = queue_of(record(Job_Name="</Job>"), record("8.head"))
    assert [job.job_id for job in queue.jobs] == ["7.head", "8.head"]


@pytest.mark.parametrize(
    "damaged",
    [
        record(job_id="$(reboot)"),
        record(job_id=""),
        record(request="<nodes>0:ppn=2</nodes>"),
        record(request="<nodes>1:ppn=many</nodes>"),
        record(request="<mem>lots</mem>"),
        record(request="<walltime>soon</walltime>"),
        record(state="R", exec_host="node01"),
        record(ctime="yesterday"),
        record(state="W", Execution_Time="later"),
    ],
)
def test_a_malformed_job_drops_only_itself_and_is_named(damaged: str) -> None:
    queue = queue_of(damaged, record("8.head"))
    assert [job.job_id for job in queue.jobs] == ["8.head"]
    (sentence,) = queue.dropped
    assert "left out" in sentence


def test_many_malformed_jobs_are_counted() -> None:
    queue = queue_of(*(record(job_id=f"x{number}") for number in range(50)), record())
    assert len(queue.dropped) == 21
    assert queue.dropped[-1] == "30 more jobs were left out"
    with pytest.raises(ValueError, match="none of 2 jobs"):
        queue_of(record(job_id="x"), record(job_id="y"))


@given(st.text(max_size=200), st.text(max_size=60))
def test_no_text_of_users_can_stop_the_reading(name: str, word: str) -> None:
    queue = queue_of(
        record(Job_Name=escape(name), Account_Name=escape(word), request=f"<nodes>{escape(word)}</nodes>"),
        record("8.head"),
    )
    assert queue.jobs[-1].job_id == "8.head"
    assert len({job.job_id.partition("+")[0] for job in queue.jobs}) + len(queue.dropped) == 2
