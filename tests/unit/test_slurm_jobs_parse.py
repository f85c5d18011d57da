"""The queue as ``squeue`` prints it: recordings of a real 22.05.8, every documented word, and hostile text."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slurm_lines import DEFAULTS, TOKEN, line, one, parsed

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.schedulers.slurm.jobs_parse import output_format, parse_jobs, tasks_in
from dynamiccluster.schedulers.slurm.nodes_parse import parse_nodes
from dynamiccluster.schedulers.slurm.reasons import STATES
from dynamiccluster.schedulers.slurm.shape_parse import kinds_of

RECORDED = Path(__file__).parents[1] / "recorded" / "slurm"
NOW = 1795164815.0
"""When ``squeue_token.txt`` was recorded."""


@pytest.fixture(scope="module")
def recorded() -> dict[str, Job]:
    nodes = parse_nodes(
        (RECORDED / "scontrol_show_node_dynamic.txt").read_text(encoding="utf-8"), lambda _: False, "dc-template"
    )
    text = (RECORDED / "squeue_token.txt").read_text(encoding="utf-8")
    queue = parse_jobs(text, TOKEN, kinds_of(nodes.hosts), now=NOW)
    assert not queue.dropped
    assert not queue.unknown_reasons
    return {job.name: job for job in queue.jobs if job.state is JobState.PENDING}


def test_the_recording_is_read_whole(recorded: dict[str, Job]) -> None:
    assert len(recorded) == 34
    assert recorded["new\nline|999|x"].job_id == "43"
    assert recorded["tab\tb|c é"].job_id == "44"
    assert recorded["norq"].rerunnable is False
    assert recorded["serial" if "serial" in recorded else "n8"].rerunnable is True
    assert recorded["n8"].submitted_at == 1795164808


@pytest.mark.parametrize(
    ("name", "cores", "memory_mib", "gpus", "chunks", "distinct", "per_host_mib"),
    [
        ("n8", 1, 100, 0, 8, False, 0),  # no node of the partition has 8 cores: spread
        ("N1n4", 4, 400, 0, 1, False, 0),
        ("N2n5", 3, 300, 0, 2, True, 0),
        ("N2-4n6", 3, 300, 0, 2, True, 0),
        ("ntpn", 2, 200, 0, 2, True, 0),
        ("mempn", 2, 500, 0, 2, True, 0),
        ("mempc", 2, 1000, 0, 2, True, 0),
        ("mem0", 1, 0, 0, 1, False, 0),
        ("cpt", 3, 300, 0, 2, False, 0),
        ("excl", 1, 100, 0, 2, True, 0),
        ("gpun", 1, 100, 1, 2, True, 0),
        ("gpus", 2, 200, 2, 1, False, 0),
        ("gpupt", 2, 200, 2, 1, False, 0),
        ("gpumem", 1, 600, 1, 1, False, 0),
        ("long", 8, 15000, 0, 1, False, 0),
        ("N50", 1, 100, 0, 50, True, 0),
        ("mincpus", 3, 100, 0, 1, False, 0),
    ],
)
def test_recorded_shapes(
    recorded: dict[str, Job],
    name: str,
    cores: int,
    memory_mib: int,
    gpus: int,
    chunks: int,
    distinct: bool,
    per_host_mib: int,
) -> None:
    shape = recorded[name].shape
    assert shape.chunk == Capacity(cores, memory_mib, gpus)
    assert (shape.chunks, shape.distinct, shape.memory_per_host_mib) == (chunks, distinct, per_host_mib)


def test_recorded_words_of_shapes(recorded: dict[str, Job]) -> None:
    assert recorded["excl"].shape.exclusive
    assert recorded["mem0"].shape.exclusive
    assert not recorded["n8"].shape.exclusive
    assert recorded["feat"].shape.features == (("std",), ("bigmem", "std"))
    assert recorded["featp"].shape.features == (("std", "gpu"), ("queue_main",))
    assert recorded["xor"].shape.features == (("std", "gpu"),)
    assert recorded["gpus"].shape.gpu_type == "a100"
    assert recorded["gpun"].shape.gpu_type == ""
    assert recorded["long"].shape.queues == ("long", "main")
    assert recorded["named"].shape.hosts == ("rec-00000000", "rec-00000001")
    assert recorded["n8"].shape.walltime_s == 86400


@pytest.mark.parametrize(
    ("name", "wait"),
    [
        ("n8", Wait.HELPS),
        ("N1n4", Wait.HELPS),
        ("N50", Wait.HELPS),
        ("held", Wait.NO),
        ("named", Wait.NO),
        ("begin", Wait.NOT_YET),
        ("runarr", Wait.NO),  # it asks for a host by name
    ],
)
def test_recorded_waits(recorded: dict[str, Job], name: str, wait: Wait) -> None:
    assert recorded[name].wait is wait
    assert recorded["begin"].eligible_at == 1795168408
    assert recorded["n8"].eligible_at == 0


def test_recorded_arrays_are_counted_not_expanded(recorded: dict[str, Job]) -> None:
    array = recorded["runarr"]
    assert (array.job_id, array.tasks, array.throttle, array.running_tasks) == ("15", 8, 2, 2)
    assert array.startable_tasks == 0
    assert (recorded["arrstep"].tasks, recorded["arrstep"].throttle) == (7, 2)
    assert (recorded["arrmany"].tasks, recorded["arrmany"].throttle) == (15, 0)


def test_the_older_recording_with_accounts_qos_and_gpus() -> None:
    """Its columns stand in another order and its times are local; they are set out anew here."""
    columns = (RECORDED / "INDEX.tsv").read_text().split("squeue_O.txt\tsqueue -h -O '")[1].split("'")[0]
    names = [word.split(":")[0] for word in columns.split(",")]
    lines = []
    for text in (RECORDED / "squeue_O.txt").read_text(encoding="utf-8").splitlines():
        head = text.split("|", len(names) - 1)
        if len(head) > 46 or "[std|gpu]" in text:
            head = text.replace("[std|gpu]", "[std\0gpu]").split("|", len(names) - 1)
        values = {name: value.replace("\0", "|") for name, value in zip(names, head, strict=True)}
        for name in ("SubmitTime", "EligibleTime", "StartTime"):
            if values[name] != "N/A":
                values[name] = f"{datetime.fromisoformat(values[name]).replace(tzinfo=UTC).timestamp():.0f}"
        wanted = {name: values[name] for name in DEFAULTS if name in values}
        lines.append(line(**{name.replace("-", "_"): value for name, value in wanted.items()}))
    queue = parsed(*lines, now=datetime(2026, 11, 20, 7, 4, 44, tzinfo=UTC).timestamp())
    assert not queue.dropped
    jobs = {job.name: job for job in queue.jobs}
    assert jobs["cfg"].state is JobState.STARTING
    assert jobs["cfg"].hosts == ("c6",)
    assert jobs["oncloud"].state is JobState.RUNNING
    waits = {
        name: jobs[name].wait for name in ("empty", "off", "begin", "big", "lic", "grp", "assoc", "qos2", "depnever")
    }
    assert waits == {
        "empty": Wait.HELPS,
        "off": Wait.NO,
        "begin": Wait.NOT_YET,
        "big": Wait.HELPS,
        "lic": Wait.HELPS,  # until the licences are looked at
        "grp": Wait.HELPS,
        "assoc": Wait.NO,
        "qos2": Wait.NO,
        "depnever": Wait.NO,
    }
    assert jobs["down"].wait is Wait.NO  # -w n6
    assert jobs["gpupt"].shape.chunk.gpus * jobs["gpupt"].shape.chunks == 2
    assert jobs["gpn"].shape.chunk == Capacity(1, 1000, 2)
    assert queue.licences == {queue.jobs.index(jobs["lic"]): "matlab:1"}


DOCUMENTED_STATES = [
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "CONFIGURING",
    "COMPLETING",
    "DEADLINE",
    "FAILED",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PENDING",
    "PREEMPTED",
    "RUNNING",
    "RESV_DEL_HOLD",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "REQUEUED",
    "RESIZING",
    "REVOKED",
    "SIGNALING",
    "SPECIAL_EXIT",
    "STAGE_OUT",
    "STOPPED",
    "SUSPENDED",
    "TIMEOUT",
]


def test_every_documented_state_has_a_meaning() -> None:
    assert set(STATES) == set(DOCUMENTED_STATES)
    for word in DOCUMENTED_STATES:
        assert one(State=word).state is STATES[word]
    assert one(State="NEW_WORD", NodeList="n1").state is JobState.UNKNOWN
    assert one(State="NEW_WORD", NodeList="n1").hosts == ("n1",)


@pytest.mark.parametrize(
    ("reason", "wait"),
    [
        ("None", Wait.NOT_YET),
        ("Resources", Wait.HELPS),
        ("Priority", Wait.HELPS),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-6]", Wait.HELPS),
        ("ReqNodeNotAvail, May be reserved for other job", Wait.HELPS),
        ("ReqNodeNotAvail, Reserved for maintenance", Wait.NOT_YET),
        ("Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions", Wait.HELPS),
        ("PartitionConfig", Wait.HELPS),
        ("PartitionNodeLimit", Wait.HELPS),
        ("BadConstraints", Wait.HELPS),
        ("BeginTime", Wait.NOT_YET),
        ("JobArrayTaskLimit", Wait.NOT_YET),
        ("JobArrayTaskLimit,None", Wait.NOT_YET),
        ("JobArrayTaskLimit,Resources", Wait.HELPS),
        ("Cleaning", Wait.NOT_YET),
        ("JobHeldUser", Wait.NO),
        ("JobHeldAdmin", Wait.NO),
        ("JobHoldMaxRequeue", Wait.NO),
        ("job requeued in held state", Wait.NO),
        ("launch failed requeued held", Wait.NO),
        ("Dependency", Wait.NO),
        ("DependencyNeverSatisfied", Wait.NO),
        ("QOSMaxJobsPerUserLimit", Wait.NO),
        ("QOSGrpCpuLimit", Wait.NO),
        ("QOSMaxCpuPerUserLimit", Wait.NO),
        ("AssocMaxJobsLimit", Wait.NO),
        ("AssocGrpCPUMinutesLimit", Wait.NO),
        ("MaxMemPerLimit", Wait.NO),
        ("Licenses", Wait.NO),
        ("Reservation", Wait.NO),
        ("PartitionDown", Wait.NO),
        ("PartitionInactive", Wait.NO),
        ("PartitionTimeLimit", Wait.NO),
        ("InvalidAccount", Wait.NO),
    ],
)
def test_every_known_reason_has_a_class(reason: str, wait: Wait) -> None:
    queue = parsed(line(Reason=reason))
    assert queue.jobs[0].wait is wait
    assert queue.jobs[0].reason == reason
    assert not queue.unknown_reasons


def test_an_unknown_reason_counts_and_is_told() -> None:
    queue = parsed(line(Reason="BrandNewReason"))
    assert queue.jobs[0].wait is Wait.HELPS
    assert queue.unknown_reasons == {"BrandNewReason"}


def test_what_the_reason_does_not_show() -> None:
    assert one(Dependency="afterok:3(unfulfilled)").wait is Wait.NO
    assert one(Dependency="afterok:3(failed)", Reason="Priority").wait is Wait.NO
    assert one(ReqNodes="n[1-2]").wait is Wait.NO
    assert one(PriorityLong="0").wait is Wait.NO
    assert one(State="SPECIAL_EXIT").wait is Wait.NO
    begin = parsed(line(EligibleTime="1795165000", Reason="ReqNodeNotAvail, May be reserved"), now=1795164500).jobs[0]
    assert (begin.wait, begin.reason, begin.eligible_at) == (Wait.NOT_YET, "BeginTime", 1795165000)


def test_a_begin_time_that_has_come_needs_no_word_of_slurms() -> None:
    text = line(EligibleTime="1795164500", Reason="BeginTime")
    before, after = parsed(text, now=1795164499).jobs[0], parsed(text, now=1795164500).jobs[0]
    assert (before.wait, before.eligible_at) == (Wait.NOT_YET, 1795164500)
    assert (after.wait, after.eligible_at) == (Wait.HELPS, 0)


def test_components_of_a_job_know_each_other() -> None:
    jobs = parsed(line(JobArrayID="48+0"), line(JobArrayID="48+1"), line(JobArrayID="49")).jobs
    assert [(job.job_id, job.gang) for job in jobs] == [("48+0", "48"), ("48+1", "48"), ("49", "")]


def test_comments_are_read_where_they_are_asked_for() -> None:
    texts = ("(null)", "of an admin|with\nlines", "")
    lines = [line().removesuffix("\n") + text + TOKEN + "\n" for text in texts]
    jobs = parse_jobs("".join(lines), TOKEN, comments=True).jobs
    assert [job.comment for job in jobs] == ["", "of an admin|with\nlines", ""]
    assert output_format(TOKEN, comments=True).endswith(f"Name:{TOKEN},admin_comment:{TOKEN}")


def test_a_job_slurm_gave_up_on_is_stuck() -> None:
    job = one(Reason="BadConstraints", PriorityLong="0")
    assert job.stuck
    assert job.wait is Wait.HELPS


def test_a_node_limit_is_final_only_beyond_the_partitions_own() -> None:
    values = {"Reason": "PartitionNodeLimit", "NumNodes": "9", "NumTasks": "9", "NumCPUs": "9"}
    text = line(**values, tres_alloc="cpu=9,mem=900M,node=9")
    assert parse_jobs(text, TOKEN, max_nodes={"main": 8}).jobs[0].wait is Wait.NO
    assert parse_jobs(text, TOKEN, max_nodes={"main": 9}).jobs[0].wait is Wait.HELPS
    assert parse_jobs(text, TOKEN, max_nodes={"other": 1}).jobs[0].wait is Wait.HELPS


def test_equal_requests_share_one_shape() -> None:
    first, second, third = parsed(line(), line(JobArrayID="8", Name="x"), line(JobArrayID="9", NumCPUs="2")).jobs
    assert first.shape is second.shape
    assert third.shape is not first.shape


@pytest.mark.parametrize(
    ("text", "tasks"),
    [("0,3-9", 8), ("1-19:3", 7), ("5", 1), ("", 1), ("0-999999", 1_000_000), ("1-3,10-20:5,40", 7)],
)
def test_tasks_of_an_array(text: str, tasks: int) -> None:
    assert tasks_in(text) == tasks


def test_array_records_with_the_same_number_keep_apart() -> None:
    ids = [
        job.job_id for job in parsed(line(JobArrayID="9_[1-3]"), line(JobArrayID="9_[5]"), line(JobArrayID="9_7")).jobs
    ]
    assert ids == ["9", "9_[5]", "9_7"]


def test_an_empty_queue_is_not_a_failure_and_a_cut_one_is() -> None:
    assert parsed("").jobs == ()
    whole = line() + line(JobArrayID="8")
    for at in range(1, len(whole)):
        if at == len(line()):
            continue  # exactly one record
        with pytest.raises(ValueError, match=r"cut off|read"):
            parse_jobs(whole[:at], TOKEN)


def test_an_odd_record_drops_only_itself() -> None:
    bad = [
        line(JobArrayID="seven"),
        line(SubmitTime="yesterday"),
        line(NumCPUs="many"),
        line(NodeList="n[1-", State="RUNNING"),
        line(Feature="a|b|c|d", State="PENDING|x"),
        f"99{TOKEN}1{TOKEN}\n",
    ]
    for text in bad:
        queue = parsed(line(JobArrayID="1"), text, line(JobArrayID="2"))
        assert [job.job_id for job in queue.jobs] == ["1", "2"], text
        assert len(queue.dropped) == 1
    many = parsed(line(), *(line(JobArrayID=f"x{at}") for at in range(100)))
    assert len(many.jobs) == 1
    assert len(many.dropped) == 21


def test_a_column_that_slurm_left_out_is_a_failed_query() -> None:
    with pytest.raises(ValueError, match="none of 2"):
        parse_jobs("".join(line().replace("|physics|", "|", 1) for _ in range(2)), TOKEN)


HOSTILE = st.text(st.characters(exclude_characters="~"), max_size=200)


@given(st.lists(HOSTILE, min_size=1, max_size=8))
def test_no_name_changes_another_record(names: list[str]) -> None:
    queue = parsed(*(line(JobArrayID=str(at), Name=name) for at, name in enumerate(names)))
    assert [job.name for job in queue.jobs] == names
    assert [job.job_id for job in queue.jobs] == [str(at) for at in range(len(names))]


def test_a_name_that_forges_a_record_of_last_poll_is_a_name() -> None:
    forged = "x\n" + line(token="~0000~", JobArrayID="666", State="RUNNING")
    job = one(Name=forged)
    assert job.job_id == "7"
    assert job.name == forged


@given(st.text(max_size=300))
def test_garbage_is_refused_or_dropped(text: str) -> None:
    try:
        queue = parse_jobs(text, TOKEN)
    except ValueError:
        return
    assert not queue.jobs


def test_mutated_output_never_raises_anything_else() -> None:
    rng = random.Random(7)
    text = (RECORDED / "squeue_token.txt").read_text(encoding="utf-8")
    for _ in range(300):
        at = rng.randrange(len(text))
        spoilt = (
            text[:at]
            + rng.choice(["", "\0", "|", "\n", TOKEN, "9" * 40, "(null)", "["])
            + text[at + rng.randrange(9) :]
        )
        try:
            queue = parse_jobs(spoilt, TOKEN)
        except ValueError:
            continue
        assert len(queue.jobs) >= 30


def test_shape_of_a_running_job_is_what_it_has() -> None:
    job = one(State="RUNNING", Reason="None", StartTime="1795164001", NodeList="n[1-3]", ReqNodes="n1")
    assert job.hosts == ("n1", "n2", "n3")
    assert job.started_at == 1795164001
    assert job.reason == ""
    assert isinstance(job.shape, Shape)
