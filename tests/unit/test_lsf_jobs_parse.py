"""Jobs from recorded lists of OpenLava 4.0, from LSF's documented JSON, and from people who mean no good."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.schedulers.lsf.jobs_parse import Queue, limit_arrays, make_jobs, parse_slot_limits
from dynamiccluster.schedulers.lsf.json_parse import exec_hosts, read_jobs
from dynamiccluster.schedulers.lsf.shape_parse import Rules
from dynamiccluster.schedulers.lsf.times_parse import future, past
from dynamiccluster.schedulers.lsf.uf_parse import read_uf, unwrap

RECORDED = Path(__file__).parents[1] / "recorded" / "openlava"
DOCUMENTED = Path(__file__).parents[1] / "documented" / "lsf"  # shapes from documentation, not recorded
NOW = 1_795_158_000.0
SUBMITTED = 1_795_157_681.0  # lsb.events has it: "JOB_NEW" ... 1795157681
HOSTILE = [
    "a<b>c",
    "<&\"'>",
    "x=y;z",
    "$(reboot)",
    "`id`",
    "; rm -rf /",
    "line\nbreak",
    "\n------\n",
    'quo"te',
    "back\\slash",
    "tab\there",
    "ünï",
    "]]>",
    "arr[",
]


def recorded(name: str) -> str:
    return (RECORDED / name).read_text(encoding="utf-8")


def uf(text: str, account: str = "project", hosts: tuple[str, ...] = ()) -> Queue:
    return make_jobs(read_uf(text, account), Rules(), NOW, hosts)


def lsf(text: str, account: str = "project") -> Queue:
    return make_jobs(read_jobs(text, account), Rules(), NOW)


def by_id(queue: Queue) -> dict[str, Job]:
    return {job.job_id: job for job in queue.jobs}


def with_header(old: str, new: str) -> str:
    """The recorded list with a part of it changed."""
    text = recorded("s5_bjobs_UF.txt")
    assert old in text
    return text.replace(old, new)


def test_the_recorded_list() -> None:
    queue = uf(recorded("s5_bjobs_UF.txt"))
    jobs = by_id(queue)
    assert list(jobs) == ["106", "104", "105", "107", "109", "110", "111"]  # in LSF's order, which is its priority
    assert not queue.dropped
    assert not queue.unknown_reasons
    running = jobs["106"]
    assert (running.state, running.hosts, running.user, running.name) == (JobState.RUNNING, ("cn02",), "bob", "cloud")
    assert (running.submitted_at, running.started_at) == (SUBMITTED, 1_795_157_881.0)
    assert running.shape.features == (("cloudhost",),)
    assert (running.shape.chunk.cores, running.shape.chunks) == (2, 1)
    assert jobs["104"].shape.memory_per_host_mib == 512
    assert jobs["105"].wait is Wait.HELPS
    assert jobs["105"].shape.features == (("gpu",),)
    assert jobs["107"].shape.chunk.memory_mib == 900_000
    assert (jobs["109"].wait, jobs["109"].state) == (Wait.NO, JobState.PENDING)
    assert jobs["110"].wait is Wait.NO
    assert (jobs["111"].wait, jobs["111"].eligible_at) == (Wait.NOT_YET, 1_798_761_540.0)  # lsb.events: 1798761540


def test_the_long_list_is_read_as_well() -> None:
    queue = uf(unwrap(recorded("s1_bjobs_u_all_l.txt")))
    jobs = by_id(queue)
    assert len(jobs) == 11
    assert queue.arrays_wait
    assert jobs["102"].shape.account == "proj42"
    assert jobs["102"].hosts == ("cn01",)
    assert jobs["101"].shape.walltime_s == 1200
    assert (jobs["108"].tasks, jobs["108"].name, jobs["108"].wait) == (10, "arr", Wait.HELPS)
    assert jobs["104"].shape.features == (("bigmem",),)
    named = uf(unwrap(recorded("s7_bjobs_l_esub.txt"))).jobs[0]
    assert (named.shape.account, named.shape.queues, named.shape.walltime_s) == ("fromesub", ("short",), 900)
    lost = uf(unwrap(recorded("s6_bjobs_l_after_rm.txt"))).jobs[0]
    assert (lost.state, lost.hosts) == (JobState.DONE, ())


@pytest.mark.parametrize(("account", "wanted"), [("project", "default"), ("user", "bob"), ("user_group", "chem")])
def test_whose_account_it_is(account: str, wanted: str) -> None:
    text = with_header("Project <default>, Status <RUN>", "Project <default>, User Group <chem>, Status <RUN>")
    assert by_id(uf(text, account))["106"].shape.account == wanted


def test_keys_that_openlava_prints_for_some_jobs() -> None:
    details = (
        ", Exclusive Execution, Re-runnable, 2-6 Processors Requested, Requested Resources <select[mem>5 && gpu]>, "
        "Dependency Condition <done(7)>, Specified Hosts <hn01>, <cn01+3>;"
    )
    text = with_header(", Requested Resources <select[gpu]>;", details)
    text = text.replace(" Combined: select[gpu]\n Effective: select[gpu]\n", " Combined: \n Effective: \n")
    job = by_id(uf(text, hosts=("hn01", "cn01")))["105"]
    assert job.shape.exclusive
    assert job.shape.chunks == 2
    assert job.shape.hosts == ("hn01", "cn01")
    assert (job.wait, "hn01" in job.reason) == (Wait.NO, True)
    assert by_id(uf(text))["105"].wait is Wait.HELPS  # names that are no hosts are groups, which may grow
    no_details = text.replace("\n RESOURCE REQUIREMENT DETAILS:\n", "\n").replace(" Combined: \n Effective: \n", "")
    no_details = no_details.replace(" Effective:", " X:")
    assert by_id(uf(no_details))["105"].shape.features == (("gpu",),)


def test_a_begin_time_that_lies_ahead_counts_whatever_the_reason() -> None:
    text = with_header("The job has a specified start time: 1 host;", "Job slot limit reached: 1 host;")
    job = by_id(uf(text))["111"]
    assert (job.wait, job.eligible_at, job.reason) == (
        Wait.NOT_YET,
        1_798_761_540.0,
        "The job has a specified start time",
    )
    past_now = make_jobs(read_uf(text, "project"), Rules(), 1_798_761_600.0)
    assert (by_id(past_now)["111"].wait, by_id(past_now)["111"].eligible_at) == (Wait.HELPS, 0.0)


def test_lsf_prints_other_words_for_places_and_priorities() -> None:
    text = with_header(
        "Started on 2 Hosts/Processors <cn02> <cn02>",
        "[1] started 8 Task(s) on Host(s) <4*cn02> <4*cn03>, Allocated 8 Slot(s) on Host(s) <4*cn02> <4*cn03>",
    )
    text = text.replace("Queue <long>, Command", "Queue <long>, Job Priority <50>, Command")
    jobs = by_id(uf(text))
    assert jobs["106"].hosts == ("cn02", "cn03")
    assert jobs["104"].priority == 50.0


def test_an_empty_list() -> None:
    assert uf("").jobs == ()
    assert lsf((DOCUMENTED / "bjobs_o_json_empty.json").read_text()).jobs == ()


def test_documented_json() -> None:
    jobs = by_id(lsf((DOCUMENTED / "bjobs_o_json.json").read_text()))
    running = jobs["806290"]
    assert (running.state, running.hosts, running.shape.account) == (JobState.RUNNING, ("cn01", "cn02"), "proj42")
    assert (running.shape.chunk.cores, running.shape.chunks, running.shape.distinct) == (4, 2, True)
    assert running.shape.walltime_s == 86_400
    waiting = jobs["806291"]
    assert (waiting.wait, waiting.shape.chunk.memory_mib) == (Wait.HELPS, 2048)
    assert waiting.shape.features == (("cloudhost",),)
    assert jobs["806292"].wait is Wait.NOT_YET


def record(**changes: str) -> dict[str, str]:
    document = json.loads((DOCUMENTED / "bjobs_o_json.json").read_text())
    plain: dict[str, str] = document["RECORDS"][1]
    return plain | changes


def document(*records: dict[str, str], count: object = 1) -> str:
    return json.dumps({"COMMAND": "bjobs", "JOBS": count, "RECORDS": records}, indent=2)


def test_fields_of_later_fix_packs() -> None:
    more = record(
        JOBID="7",
        JOBINDEX="3",
        MIN_REQ_PROC="2",
        NREQ_SLOT="2,8",
        EXCLUSIVE="Y",
        USER_GROUP="chem",
        JOB_PRIORITY="60",
        GPU_NUM="1",
        SPECIFIED_START_TIME="Dec 31 23:59",
        PEND_REASON="The job has a specified start time;",
        EFFECTIVE_RESREQ="",
        COMBINED_RESREQ="select[fast]",
    )
    (job,) = lsf(document(more, count="1"), "user_group").jobs
    assert (job.job_id, job.priority, job.shape.account, job.shape.exclusive) == ("7", 60.0, "chem", True)
    assert (job.shape.chunks, job.shape.chunk.gpus, job.shape.features) == (2, 1, (("fast",),))
    assert (job.wait, job.eligible_at) == (Wait.NOT_YET, 1_798_761_540.0)
    (ranged,) = lsf(document(record(NREQ_SLOT="2,8", EFFECTIVE_RESREQ=""))).jobs
    assert ranged.shape.chunks == 2


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_names(name: str) -> None:
    (job,) = lsf(document(record(JOB_NAME=name))).jobs
    assert job.name == name
    queue = uf(with_header("Job Name <gpu>", f"Job Name <{name}>"))
    assert len(queue.jobs) == 7
    assert by_id(queue)["105"].name == name
    assert not queue.dropped
    queue = uf(with_header("Queue <normal>, Command <sleep 600>\nFri", f"Queue <normal>, Command <{name}>\nFri"))
    assert len(queue.jobs) == 7


def test_a_name_that_imitates_keys_drops_only_its_job() -> None:
    queue = uf(with_header("Job Name <gpu>", "Job Name <a>, User <root>, Project <rich>, Status <RUN>, Queue <q>"))
    assert "105" not in by_id(queue)
    assert len(queue.jobs) == 6
    assert "105" in queue.dropped[0]
    queue = uf(with_header("Command <sleep 600>", "Command <b>, User <root>, Project <rich>"))
    assert set(by_id(queue)) == {"109", "110", "111"}


def test_lines_that_imitate_the_submission_do_not_count() -> None:
    fake = "x\nFri Nov 20 06:54:41: Submitted from host <evil>, 999 Processors Requested;"
    queue = uf(with_header("Queue <long>, Command <sleep 600>", f"Queue <long>, Command <{fake}>"))
    assert by_id(queue)["104"].shape.cores == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Job <105>", "Job <10x5>"),
        ("Job <105>", "Job <>"),
        ("Job <105>", "Job <" + "1" * 30 + ">"),
        (", User <bob>, Project <default>, Status <PEND>, Queue <normal>, Command <sleep 600>\nFri Nov", "\nFri Nov"),
    ],
)
def test_one_malformed_job_drops_only_itself(old: str, new: str) -> None:
    text = recorded("s5_bjobs_UF.txt")
    start = text.index("Job <105>")
    text = text[:start] + text[start:].replace(old, new, 1)
    queue = uf(text)
    assert len(queue.jobs) == 6
    assert len(queue.dropped) == 1
    assert "105" in queue.dropped[0] or "job id" in queue.dropped[0]


def test_a_job_that_is_listed_twice_is_one_job() -> None:
    text = recorded("s5_bjobs_UF.txt")
    start, end = text.index("Job <107>"), text.index("Job <109>")
    forged = text[start:end].replace("Job <107>", "Job <106>")
    queue = uf(text[:start] + forged + text[start:])
    assert by_id(queue)["106"].state is JobState.RUNNING
    assert "106 is listed twice" in queue.dropped[0]
    queue = uf(text[: text.index("Job <106>")] + forged + text[text.index("Job <106>") :])
    assert by_id(queue)["106"].state is JobState.RUNNING  # what runs is never hidden


def test_a_bad_amount_drops_only_its_job() -> None:
    queue = lsf(document(record(JOBID="1"), record(JOBID="2", RUNTIMELIMIT="soon"), record(JOBID="3", NREQ_SLOT="x")))
    assert set(by_id(queue)) == {"1"}
    assert [text[:24] for text in queue.dropped] == ["a job was left out: 2: c", "a job was left out: 3: i"]
    odd = lsf(document(record(JOBID="$(reboot)"), {"JOBID": "5"}, record(JOBID="1")))
    assert set(by_id(odd)) == {"1"}
    assert len(odd.dropped) == 2


def test_json_that_is_none_in_one_record_costs_that_record() -> None:
    text = document(record(JOBID="1"), record(JOBID="2", JOB_NAME="@@"), record(JOBID="3"))
    queue = lsf(text.replace("@@", 'a"b'))
    assert set(by_id(queue)) == {"1", "3"}
    assert "not JSON" in queue.dropped[0]
    assert set(by_id(lsf(text.replace("@@", "a\nb\x07")))) == {"1", "2", "3"}  # control characters are let pass
    assert set(by_id(lsf("LSF is down. Please wait ...\n" + text))) == {"1", "2", "3"}


@pytest.mark.parametrize("text", ["", "Segmentation fault\n", "{}", '{"RECORDS": 5}', "[1]", '{"COMMAND":"bjobs"'])
def test_what_is_no_list_of_jobs(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|cut off"):
        lsf(text)


def test_an_openlava_list_that_was_cut_off_anywhere() -> None:
    text = recorded("s5_bjobs_UF.txt")
    assert len(list(read_uf(text, "project", "\n\n", True))) == text.count("Job <")
    for end in range(1, len(text)):
        with pytest.raises(ValueError, match=r"cut off|no job in it"):
            list(read_uf(text[:end], "project", "\n\n", True))


@pytest.mark.parametrize("share", [0.999, 0.7, 0.3])
def test_a_list_that_was_cut_off(share: float) -> None:
    text = recorded("s5_bjobs_UF.txt").rstrip()
    with pytest.raises(ValueError, match="cut off"):
        uf(text[: int(len(text) * share)])
    text = (DOCUMENTED / "bjobs_o_json.json").read_text().rstrip()
    with pytest.raises(ValueError, match="cut off"):
        lsf(text[: int(len(text) * share)])


@pytest.mark.parametrize("text", ["Segmentation fault\n", "Auftrag <105>, Name <x>\n"])
def test_a_list_in_another_language_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no job"):
        uf(text)


def test_a_list_of_which_nothing_can_be_read_is_none() -> None:
    with pytest.raises(ValueError, match="none of 7 jobs"):
        uf(recorded("s5_bjobs_UF.txt").replace("Status <", "Zustand <"))


def test_many_odd_jobs_are_a_number() -> None:
    queue = lsf(document(record(JOBID="1"), *(record(JOBID=f"x{i}") for i in range(50))))
    assert len(queue.dropped) == 21
    assert "30 more" in queue.dropped[-1]


def test_elements_that_wait_for_their_limit() -> None:
    text = unwrap(recorded("s1_bjobs_u_all_l.txt"))
    for index in range(4, 11):
        start = text.index(f"Job Id <108[{index}]>")
        text = text[:start] + text[start:].replace(" Job slot limit reached: 2 hosts;", " : 1 host;", 1)
    jobs = by_id(uf(text))
    assert (jobs["108"].tasks, jobs["108"].wait) == (3, Wait.HELPS)
    assert (jobs["108[4]"].tasks, jobs["108[4]"].wait) == (7, Wait.NOT_YET)


def test_the_slot_limit_of_an_array() -> None:
    # wide form of the recorded s1_bjobs_A.txt, where the name is not cut off (OpenLava's bjobs.c)
    text = (
        "JOBID    ARRAY_SPEC  OWNER   NJOBS PEND DONE  RUN EXIT SSUSP USUSP PSUSP\n"
        "108      arr[1-10]%3 bob        10    9    0    1    0     0     0     0\n"
        "109      evil 1 x[1-5] bob       5    5    0    0    0     0     0     0\n"
        "110      a[1-9]%2 bob            9    9    0    0    0     0     0     0\n"
        "110      forged[1-9]%1 eve       9    9    0    0    0     0     0     0\n"
        "nonsense\n"
    )
    assert parse_slot_limits(text) == {"108": 3, "109": 0, "110": 0}
    jobs = uf(unwrap(recorded("s1_bjobs_u_all_l.txt"))).jobs
    running = Job("108[1]", JobState.RUNNING, jobs[0].shape)
    limited = {job.job_id: job for job in limit_arrays((*jobs, running), {"108": 3})}
    assert limited["108"].startable_tasks == 2
    assert limited["101"].throttle == 0
    assert limit_arrays(jobs, {"108": 0}) is jobs


@pytest.mark.parametrize(
    ("text", "hosts"),
    [("cn01:cn01:cn02", ("cn01", "cn02")), ("4*cn01:4*cn02", ("cn01", "cn02")), ("-", ()), ("", ()), ("a", ("a",))],
)
def test_execution_hosts(text: str, hosts: tuple[str, ...]) -> None:
    assert exec_hosts(text) == hosts


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("Fri Nov 20 06:54:41", SUBMITTED),
        ("Nov 20 06:54", SUBMITTED - 41),
        ("Nov 20 06:54:41 2025", SUBMITTED - 365 * 86_400),
        ("Thu Nov 20 06:54:41", SUBMITTED - 365 * 86_400),  # the 20th was a Thursday the year before
        ("Dec 31 23:59", 1_767_225_540.0),
        ("Feb 29 00:00", 1_709_164_800.0),
        ("", 0.0),
        ("-", 0.0),
        ("20. Nov 06:54", 0.0),
        ("Fri Zzz 20 06:54:41", 0.0),
    ],
)
def test_instants_of_the_past(text: str, at: float) -> None:
    assert past(text, NOW) == at


def test_instants_of_the_future() -> None:
    assert future("Thu Dec 31 23:59:00", NOW) == 1_798_761_540.0
    assert future("Nov 19 23:59", NOW) == 1_795_132_740.0  # just passed
    assert future("soon", NOW) == 0.0
