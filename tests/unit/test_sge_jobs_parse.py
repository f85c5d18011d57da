"""Jobs as ``qstat -xml -r`` prints them."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from sge_recorded import older_site, recorded, site

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.schedulers.sge.details_parse import parse_details
from dynamiccluster.schedulers.sge.jobs_parse import Queue, parse_jobs, to_look_up, with_accounts, with_details
from dynamiccluster.schedulers.sge.request_parse import Rules, count_tasks
from dynamiccluster.schedulers.sge.shared_parse import lower_unserved

SITE = site()
RECORD = """    <job_list state="{kind}">
      <JB_job_number>{number}</JB_job_number>
      <JAT_prio>{rank}</JAT_prio>
      <JB_name>{name}</JB_name>
      <JB_owner>alice</JB_owner>
      <state>{letters}</state>
      <JB_submission_time>2026-11-20T06:40:33</JB_submission_time>
      <queue_name></queue_name>
      <slots>1</slots>
{tasks}      <full_job_name>{name}</full_job_name>
{request}      <binding>NONE</binding>
    </job_list>
"""


def record(
    number: str = "1",
    letters: str = "qw",
    rank: str = "0.50000",
    name: str = "job",
    tasks: str = "",
    request: str = "",
    kind: str = "pending",
) -> str:
    if tasks:
        tasks = f"      <tasks>{tasks}</tasks>\n"
    return RECORD.format(number=number, letters=letters, rank=rank, name=name, tasks=tasks, request=request, kind=kind)


def listed(*records: str) -> str:
    return (
        "<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"x\">\n  <queue_info>\n  </queue_info>\n  <job_info>\n"
        f"{''.join(records)}  </job_info>\n</job_info>\n"
    )


def read(*records: str) -> Queue:
    return parse_jobs(listed(*records), SITE, Rules())


def one(**values: str) -> Job:
    queue = read(record(**values))
    assert not queue.dropped
    return queue.jobs[0]


# -- states ------------------------------------------------------------------------------------------------

PENDING = {
    "qw": Wait.HELPS,
    "Rq": Wait.HELPS,
    "Rqw": Wait.HELPS,
    "hqw": Wait.NO,
    "hRwq": Wait.NO,
    "Eqw": Wait.NO,
    "Ehqw": Wait.NO,
    "EhRqw": Wait.NO,
    "dqw": Wait.NO,
}
"""Every state of a waiting job: ``sge_status(5)``."""

OTHERS = {
    **dict.fromkeys(("r", "hr", "Rr"), JobState.RUNNING),
    **dict.fromkeys(("t", "Rt"), JobState.STARTING),
    **dict.fromkeys(("s", "ts", "S", "tS", "T", "tT", "Rs", "Rts", "RS", "RtS", "RT", "RtT"), JobState.SUSPENDED),
    **dict.fromkeys(("dr", "dt", "dRr", "dRt", "ds", "dS", "dT", "dRs", "dRS", "dRT"), JobState.COMPLETING),
    "z": JobState.DONE,
}
"""Every other state."""


@pytest.mark.parametrize(("letters", "wait"), PENDING.items())
def test_every_state_of_a_waiting_job(letters: str, wait: Wait) -> None:
    job = one(letters=letters)
    assert (job.state, job.wait) == (JobState.PENDING, wait)
    assert job.reason
    assert not job.stuck


@pytest.mark.parametrize(("letters", "state"), OTHERS.items())
def test_every_other_state(letters: str, state: JobState) -> None:
    assert one(letters=letters, kind="running").state is state


@pytest.mark.parametrize("letters", ["", "X", "rX", "?qw", "R"])
def test_a_state_that_nobody_knows_is_neither_demand_nor_absence(letters: str) -> None:
    queue = read(record(letters=letters), record("2"))
    assert queue.jobs[0].state is JobState.UNKNOWN
    assert bool(queue.unknown_letters) is (letters != "R")


def test_a_job_that_is_not_considered_yet_does_not_help() -> None:
    job = one(rank="0.00000")
    assert job.wait is Wait.NOT_YET
    assert "not considered yet" in job.reason


# -- recordings --------------------------------------------------------------------------------------------


def test_the_recording_of_everybodys_jobs() -> None:
    queue = parse_jobs(recorded("qstat-xml-r-u_all.xml"), older_site(), Rules())
    jobs = {job.name: job for job in queue.jobs if job.state is JobState.PENDING}
    assert not queue.dropped
    assert not queue.unknown_letters
    assert len(queue.jobs) == 27
    assert {name for name, job in jobs.items() if job.wait is Wait.HELPS} == {
        *("smp_toobig", "fill_q", "two_q", "rr_q", "smp_q", "wild_pe", "arr_pe", "smp_range", "res_q", "soft_q"),
        *("gpu_q", "base", "wei<r>d&name", "arr_q", "prio_q"),
    }
    assert {name for name, job in jobs.items() if job.wait is Wait.NOT_YET} == {"arr_run", "later"}
    assert jobs["toolong"].reason == "no queue takes it (short.q: jobs of at most 3600 s)"
    assert jobs["dep"].reason == "it waits for 19, 6"
    assert jobs["held_u"].reason == "it is held"
    assert "in error" in jobs["eqw1"].reason
    shapes = {name: job.shape for name, job in jobs.items()}
    assert (shapes["fill_q"].chunks, shapes["fill_q"].distinct, shapes["fill_q"].chunk.cores) == (6, False, 1)
    assert (shapes["two_q"].chunks, shapes["two_q"].distinct, shapes["two_q"].chunk.cores) == (3, True, 2)
    assert (shapes["rr_q"].chunks, shapes["rr_q"].chunk.cores) == (4, 1)
    assert (shapes["smp_toobig"].chunks, shapes["smp_toobig"].chunk.cores) == (1, 64)
    assert shapes["gpu_q"].chunk.gpus == 1
    assert shapes["res_q"].chunk == Capacity(1, 2048)  # mem_free=1G is part of h_vmem=2G
    assert shapes["res_q"].walltime_s == 600
    assert shapes["soft_q"].queues == ("short.q", "long.q")  # what is soft binds nobody
    assert (jobs["arr_q"].tasks, jobs["arr_pe"].tasks) == (100, 4)
    assert jobs["smp_q"].submitted_at == 1_795_156_833.0
    running = {job.job_id: job for job in queue.jobs if job.state is JobState.RUNNING}
    assert set(running) == {"1", "2", "3", "4.1", "6"}
    assert running["1"].hosts == ("node001",)
    assert running["1"].started_at == 1_795_156_827.0


def test_projects_are_accounts_where_they_are_asked_for() -> None:
    queue = parse_jobs(recorded("qstat-xml-all-flags.xml"), older_site(), Rules(accounts={"projA": "@projA"}))
    accounts = {job.name: job.shape.account for job in queue.jobs}
    assert (accounts["smp_run"], accounts["arr_run"], accounts["plain_q"]) == ("@projA", "projB", "")


def test_the_superuser_without_an_option_sees_no_job() -> None:
    """``qstat -xml -r`` as documented, for root: a trap, but no error."""
    assert parse_jobs(recorded("qstat-xml-r_as-root.xml"), SITE, Rules()).jobs == ()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("states_Rq_qstat.xml", {"3": Wait.HELPS, "16": Wait.HELPS}),
        ("states_suspended_qstat.xml", {"50055": Wait.NO, "50057": Wait.NO}),
        ("states_array-part-held_qstat.xml", {"50068": Wait.NO}),
        ("states_resched_unknown.xml", {"50068": Wait.NO}),
    ],
)
def test_recorded_states(name: str, expected: dict[str, Wait]) -> None:
    queue = parse_jobs(recorded(name), older_site(), Rules())
    assert not queue.dropped
    assert not queue.unknown_letters
    waits = {job.job_id: job.wait for job in queue.jobs if job.state is JobState.PENDING}
    assert {number: waits[number] for number in expected} == expected


def test_a_deleted_job_on_a_dead_host_still_occupies_it() -> None:
    jobs = parse_jobs(recorded("states_dr_qstat.xml"), older_site(), Rules()).jobs
    assert [(job.state, job.hosts) for job in jobs] == [
        (JobState.COMPLETING, ("node004",)),
        (JobState.RUNNING, ("node004",)),
    ]


def test_the_recording_of_every_kind_of_request() -> None:
    rules = Rules(given={"matlab": 1.0}, names={"small-00000000": "resource:small"})
    queue = parse_jobs(recorded("ours_qstat-ext.xml"), SITE, rules)
    jobs = with_details(queue.jobs, parse_details(recorded("ours_qstat-j.xml")))
    jobs = lower_unserved(queue, jobs, SITE, {"matlab": 1.0})
    by_name = {job.name: job for job in jobs}
    helped = {name for name, job in by_name.items() if job.wait is Wait.HELPS}
    assert not queue.dropped
    assert {
        name: by_name[name].reason for name in by_name if by_name[name].wait is Wait.NO and by_name[name].reason
    } == {
        "per8odd": "4 slots are no multiple of the 8 per host of per8",
        "hostis": "it asks for the host sgemaster",
        "place": "it asks for the host small-4",
        "licence2": "it waits for matlab, of which 0 are left",
        "nowhere": "it asks for nowhere=1, which no resource gives",
        "toolong": "no queue takes it (main: jobs of at most 86400 s)",
        "noproject": "no queue takes it (physics: other projects)",
        "held": "it is held",
        "after": "it waits for 2",
    }
    assert helped == {
        *("nope", "wide", "smp", "wild", "rr", "per2", "gpu", "bool", "hostlike", "licence", "project", "plain"),
        "a<b>&\"c'd;$(reboot)=`id`|x",
    }
    assert by_name["project"].shape.account == "physics"
    assert by_name["project"].shape.queues == ("physics",)
    assert by_name["bool"].shape.features == (("fast",),)
    assert by_name["hostlike"].shape.features == (("resource:small",),)
    assert (by_name["wild"].shape.chunks, by_name["wild"].shape.chunk.cores) == (2, 2)  # per2 of per2 and per8
    later = by_name["later"]
    assert (later.wait, later.eligible_at) == (Wait.NOT_YET, 1_893_456_000.0)
    assert to_look_up(queue.jobs, 10) == ["2", "22"]
    assert later.submitted_at > 0  # which -ext alone would leave out


def test_an_array_starts_no_more_tasks_than_it_may() -> None:
    jobs = with_details(
        parse_jobs(recorded("ours_qstat-ext.xml"), SITE, Rules()).jobs, parse_details(recorded("ours_qstat-j.xml"))
    )
    waiting = next(job for job in jobs if job.name == "arr_tc" and job.state is JobState.PENDING)
    assert (waiting.tasks, waiting.throttle, waiting.running_tasks, waiting.startable_tasks) == (18, 2, 2, 0)
    assert waiting.reason == "2 tasks of its array run, which is its limit (-tc)"
    assert [job.job_id for job in jobs if job.name == "arr_tc"] == ["2.1", "2.2", "2"]


def test_accounts_come_from_the_larger_list() -> None:
    queue = parse_jobs(recorded("ours_qstat.xml"), SITE, Rules(), account_is_project=False)
    details = parse_details(recorded("ours_qstat-j.xml"))
    jobs = {job.name: job for job in with_accounts(queue.jobs, details, {"chemistry": "@chemistry"})}
    assert jobs["project"].shape.account == "@chemistry"
    assert jobs["plain"].shape.account == ""
    assert jobs["arr_tc"].shape.account == jobs["later"].shape.account == "sge"
    assert jobs["arr_tc"].shape is jobs["later"].shape  # grouping is by identity


# -- records of an array -----------------------------------------------------------------------------------


def test_a_partly_held_array_is_two_records_with_different_ids() -> None:
    jobs = read(record("7", tasks="1,3"), record("7", "hqw", tasks="4-9:1"), record("7", "Rq", tasks="2")).jobs
    assert [(job.job_id, job.tasks, job.wait) for job in jobs] == [
        ("7", 2, Wait.HELPS),
        ("7.4-9:1", 6, Wait.NO),
        ("7.2", 1, Wait.HELPS),
    ]


@pytest.mark.parametrize(
    ("text", "number"),
    [("", 1), ("7", 1), ("1-100:1", 100), ("3-9:2", 4), ("1,3", 2), ("1-3:1,9-10:1", 5), ("5-4:1", 0)],
)
def test_tasks_are_counted(text: str, number: int) -> None:
    assert count_tasks(text) == number


@pytest.mark.parametrize("text", ["x", "1-", "-", "1-2-3", "1,,2"])
def test_nonsense_is_not_counted(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        count_tasks(text)


# -- hostile, damaged, large -------------------------------------------------------------------------------

NAMES = [
    ("wei%lt;r&gt;d&amp;name", "wei<r>d&name"),
    ("a%lt;/JB_name&gt;%lt;state&gt;r%lt;/state&gt;", "a</JB_name><state>r</state>"),
    ("&quot;x&apos;=$(reboot);`id`|y", "\"x'=$(reboot);`id`|y"),
    ("line\nbreak", "line\nbreak"),
    ("--flag=1 {0}", "--flag=1 {0}"),
    ("%lt;job_list state=&quot;running&quot;&gt;", '<job_list state="running">'),
]


@pytest.mark.parametrize(("written", "name"), NAMES)
def test_no_name_becomes_anything_else(written: str, name: str) -> None:
    queue = read(record("1"), record("2", name=written), record("3"))
    assert [job.name for job in queue.jobs] == ["job", name, "job"]
    assert {job.state for job in queue.jobs} == {JobState.PENDING}
    assert queue.jobs[0].shape is queue.jobs[1].shape


@pytest.mark.parametrize(
    "bad",
    [
        record("x"),
        record("9", rank="0,50000"),  # a localised number
        record("9", rank=""),
        record("9", tasks="many"),
        record("9", request='      <hard_request name="h_vmem">lots</hard_request>\n'),
        record("9", request='      <requested_pe name="smp">1-2-3</requested_pe>\n').replace("<slots>1", "<slots>x"),
        record("9").replace("06:40:33", "yesterday"),
        record("9").replace("<state>qw</state>", "<state>q<w</state>"),
        record("9").replace("<JAT_prio>", "<JAT_priority>"),
        "    <job_list state='pending'>\n    </job_list>\n",
    ],
)
def test_an_odd_record_drops_only_itself(bad: str) -> None:
    queue = read(record("1"), bad, record("2"))
    assert [job.job_id for job in queue.jobs] == ["1", "2"]
    assert len(queue.dropped) == 1
    assert "was left out" in queue.dropped[0]


def test_the_sentence_names_the_job() -> None:
    assert "job 9 was" in read(record("1"), record("9", rank="?")).dropped[0]


def test_many_odd_records_are_told_as_a_number() -> None:
    queue = read(record("0"), *(record(str(at), rank="?") for at in range(1, 31)))
    assert len(queue.dropped) == 21
    assert queue.dropped[-1] == "10 more jobs were left out"


def test_nothing_but_odd_records_is_a_failure() -> None:
    with pytest.raises(ValueError, match="none of 2 jobs"):
        read(record("1", rank="?"), record("2", rank="?"))


def test_an_empty_queue_is_not_a_failure_and_a_cut_one_is() -> None:
    whole = recorded("ours_qstat.xml")
    assert parse_jobs(recorded("empty_qstat-xml-r.xml"), SITE, Rules()).jobs == ()
    assert parse_jobs(recorded("ours-empty_qstat.xml"), SITE, Rules()).jobs == ()
    for text in ("", "error: commlib error", whole[: len(whole) // 2], whole.rstrip()[:-1], "<qhost></qhost>"):
        with pytest.raises(ValueError, match=r"\w"):
            parse_jobs(text, SITE, Rules())


def test_rubbish_raises_nothing_else() -> None:
    rng = random.Random(5)
    whole = recorded("ours_qstat-ext.xml")
    for _ in range(150):
        text = list(whole)
        for _ in range(rng.randint(1, 60)):
            at = rng.randrange(len(text))
            text[at : at + rng.randint(0, 40)] = rng.choice(("", "<", ">", "&", "\0", "%lt;", "</job_list>", "9" * 400))
        try:
            parse_jobs("".join(text), SITE, Rules())
        except ValueError:
            continue


def test_a_large_queue_needs_little_memory() -> None:
    text = listed(*(record(str(at), name=f"n{at}") for at in range(20_000)))
    tracemalloc.start()
    queue = parse_jobs(text, SITE, Rules())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(queue.jobs) == 20_000
    assert len({id(job.shape) for job in queue.jobs}) == 1
    assert peak < 40_000_000
