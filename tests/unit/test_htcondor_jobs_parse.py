"""What ``condor_q`` prints, as recorded and worse, read as jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.htcondor.classads import Evaluator, find_classad
from dynamiccluster.schedulers.htcondor.jobs_parse import ATTRIBUTES, LOST, Queue, Reading, parse_jobs
from dynamiccluster.schedulers.htcondor.names_parse import HostNames
from dynamiccluster.schedulers.htcondor.offers import Offers
from dynamiccluster.schedulers.htcondor.reasons import HOLD_REASONS, REJECTIONS, STATES, UNIVERSES
from dynamiccluster.testing.hostile import TEXTS

RECORDED = Path(__file__).parents[1] / "recorded" / "htcondor"
NOW = 1_795_158_300.0
SMALL = Resource("small", "x", "t", Capacity(4, 4000), features=frozenset({"fast", "VMType=Centos7"}))
BIG = Resource("big", "x", "t", Capacity(16, 64_000), features=frozenset({"BigMem"}))
WITHOUT = Evaluator(None)


def reading(evaluator: Evaluator = WITHOUT, **more: Any) -> Reading:
    offers = Offers([SMALL, BIG], {"big": {"OpSysAndVer": "Debian13", "Disk": 100_000}, "small": {"Disk": 50_000_000}})
    return Reading(evaluator, offers, HostNames(), now=NOW, **more)


def printed(*ads: dict[str, Any]) -> str:
    """As HTCondor prints JSON; a value ``("expr",)`` is an expression."""
    pieces = []
    for ad in ads:
        plain = {name: f"EXPR<{value[0]}>EXPR" if isinstance(value, tuple) else value for name, value in ad.items()}
        text = json.dumps(plain, indent=2)
        pieces.append(text.replace('"EXPR<', '"\\/Expr(').replace('>EXPR"', ')\\/"'))
    return "[\n" + "\n,\n".join(pieces) + "\n]\n"


def ad(**more: Any) -> dict[str, Any]:
    return {
        "ClusterId": 7,
        "ProcId": 0,
        "JobStatus": 1,
        "JobUniverse": 5,
        "RequestCpus": 1,
        "RequestMemory": 100,
    } | more


def one(given: Reading | None = None, **more: Any) -> Job:
    (job,) = parse_jobs(printed(ad(**more)), given or reading()).jobs
    return job


def recorded(name: str) -> Queue:
    return parse_jobs((RECORDED / name).read_text(), reading())


# -- recordings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["s1_condor_q_json_attrs.json", "s1_condor_q_json_full.json"])
def test_a_recorded_queue(name: str) -> None:
    queue = recorded(name)
    jobs = {job.job_id: job for job in queue.jobs}
    assert not queue.dropped
    assert not queue.unknown_reasons
    running = sorted(job_id for job_id, job in jobs.items() if job.state is JobState.RUNNING)
    assert running == ["1.0", "1.1", "1.2", "3.0", "8.0", "8.1", "8.2", "9.0"]
    assert (jobs["1.0"].hosts, jobs["3.0"].hosts) == (("wn01",), ("wn02",))
    assert jobs["1.0"].started_at == 1_795_158_178
    assert jobs["2.0"].wait is Wait.HELPS
    assert jobs["2.0"].shape.chunk == Capacity(8, 8192)
    assert jobs["2.0"].shape.account == "group_proj42"
    assert jobs["2.0"].reason == "no match found"
    assert jobs["3.0"].shape.features == (("BigMem",),)
    assert jobs["4.0"].shape.chunk == Capacity(2, 128, 1)
    assert jobs["5.0"].shape.features == (("HpcxLabel=cloud",),)
    assert jobs["5.0"].priority == 5
    assert jobs["6.0"].shape.chunk == Capacity(64, 524_288)
    assert (jobs["7.0"].state, jobs["7.0"].wait) == (JobState.PENDING, Wait.NO)
    assert jobs["7.0"].reason.startswith("Held: ")
    assert (jobs["9.0"].user, jobs["9.0"].submitted_at) == ("bob", 1_795_158_175)


def test_what_is_not_materialized_yet_is_one_more_job() -> None:
    rest = next(job for job in recorded("s1_condor_q_json_full.json").jobs if job.job_id == "8")
    assert (rest.state, rest.wait, rest.tasks, rest.throttle, rest.running_tasks) == (
        JobState.PENDING,
        Wait.HELPS,
        7,
        3,
        3,
    )
    assert rest.startable_tasks == 0  # three may be there at once, and are
    assert rest.hosts == ()


def test_attributes_of_cloud_scheduler_go_with_the_shape() -> None:
    job = next(job for job in recorded("s1_condor_q_json_full.json").jobs if job.job_id == "10.0")
    assert dict(job.shape.attributes)["VMAMI"] == "Centos7-Condor.qcow2"
    assert dict(job.shape.attributes)["TargetClouds"] == "otter-container"
    assert job.shape.features[0] == ("VMType=Centos7",)


def test_held_jobs_say_who_held_them() -> None:
    jobs = {job.job_id: job.reason for job in recorded("s4_condor_q_held_json.json").jobs}
    assert jobs == {
        "2.0": "Held: via condor_hold (by user alice)",
        "7.0": "Held: submitted on hold at user's request",
    }


def test_empty_output_means_none() -> None:
    assert recorded("s1_condor_q_empty_json.json") == Queue((), (), frozenset())
    assert parse_jobs(" \n", reading()).jobs == ()
    assert parse_jobs("[\n]\n", reading()).jobs == ()


def test_jobs_of_several_schedds_share_the_shape_of_their_schedd() -> None:
    jobs = recorded("s1_condor_q_global_json.json").jobs
    assert {job.shape.queues for job in jobs} == {("chn01",)}


# -- every word ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [*STATES, 0, 8, 99])
def test_every_status_has_a_state(status: int) -> None:
    job = one(JobStatus=status, RemoteHost="slot1_1@wn-1.example.org")
    assert job.state is STATES.get(status, JobState.UNKNOWN) or (status == 3 and job.state is JobState.COMPLETING)
    assert job.wait is (Wait.NOT_YET if status == 1 else Wait.NO)


@pytest.mark.parametrize("universe", [*UNIVERSES, 99])
def test_only_universes_of_worker_nodes_are_demand(universe: int) -> None:
    job = one(JobUniverse=universe, MinHosts=3)
    assert (job.wait is Wait.HELPS) == (UNIVERSES.get(universe, "no") == "")
    assert job.shape.chunks == (3 if universe == 11 else 1)


@pytest.mark.parametrize("code", [*HOLD_REASONS, 0, 999])
def test_every_hold_has_a_sentence(code: int) -> None:
    job = one(JobStatus=5, HoldReasonCode=code)
    assert (job.state, job.wait) == (JobState.PENDING, Wait.NO)
    assert HOLD_REASONS.get(code, "") in job.reason
    assert len(job.reason) > len("Held: ")


@pytest.mark.parametrize(("words", "wait"), REJECTIONS)
def test_every_rejection_has_a_class(words: str, wait: Wait) -> None:
    job = one(LastRejMatchReason=f"{words} matlab reached ")
    assert (job.wait, job.reason) == (wait, f"{words} matlab reached")


def test_an_unknown_rejection_counts_as_demand_and_is_told() -> None:
    queue = parse_jobs(printed(ad(LastRejMatchReason="the moon is full")), reading())
    assert queue.jobs[0].wait is Wait.HELPS
    assert queue.unknown_reasons == {"the moon is full"}


def test_the_negotiator_speaks_to_one_of_those_that_are_alike() -> None:
    rejected = ad(LastRejMatchReason="concurrency limit matlab reached", LastRejMatchTime=NOW, AutoClusterId=4)
    alike, other = ad(ProcId=1, AutoClusterId=4), ad(ProcId=2, AutoClusterId=5)
    before = ad(ProcId=3, AutoClusterId=4, LastRejMatchReason="no match found ", LastRejMatchTime=NOW - 60)
    jobs = parse_jobs(printed(alike, rejected, before, other), reading()).jobs
    assert [job.wait for job in jobs] == [Wait.NO, Wait.NO, Wait.HELPS, Wait.HELPS]
    assert jobs[0].reason == "concurrency limit matlab reached"


# -- requests --------------------------------------------------------------------------------------------


def test_defaults_of_submit_are_reckoned_without_the_module() -> None:
    memory = ("ifthenelse(MemoryUsage isnt undefined,MemoryUsage,(ImageSize + 1023) / 1024)",)
    assert one(RequestMemory=memory, ImageSize=2_048_001).shape.chunk.memory_mib == 2001
    assert one(RequestMemory=memory, MemoryUsage=700, ImageSize=1).shape.chunk.memory_mib == 700
    used = ("((ResidentSetSize + 1023) / 1024)",)
    assert one(RequestMemory=memory, MemoryUsage=used, ResidentSetSize=10_240).shape.chunk.memory_mib == 10
    assert one(RequestDisk=("DiskUsage",), DiskUsage=45).wait is Wait.HELPS


def test_other_expressions_are_unknown_without_the_module() -> None:
    job = one(RequestMemory=("500 * RequestCpus",))
    assert job.wait is Wait.NO
    assert job.reason == "unknown whether nodes would help: RequestMemory = 500 * RequestCpus"
    assert one(reading(serve_unknown=True), RequestMemory=("500 * RequestCpus",)).wait is Wait.HELPS


def test_named_machines_are_not_what_a_launch_gives() -> None:
    job = one(Requirements=('TARGET.Machine == "wn-1.example.org"',))
    assert (job.shape.hosts, job.wait, job.reason) == (("wn-1",), Wait.NO, "it asks for wn-1")


def test_least_sizes_and_disks() -> None:
    shape = one(Requirements=("TARGET.Memory > 999 && Cpus >= 2 && TARGET.GPUs >= 1",)).shape
    assert shape.chunk == Capacity(2, 1000, 1)
    assert one(RequestDisk=2_000_000).shape.features == (("resource:small",),)
    assert one(RequestDisk=900_000_000).shape.features == (("Disk>=900000000",),)


def test_gpus_of_a_kind() -> None:
    counted = ("(countMatches(MY.RequireGPUs,TARGET.AvailableGPUs) >= RequestGPUs)",)
    job = one(RequestGPUs=1, RequireGPUs=('DeviceName == "NVIDIA A100-SXM4"',), Requirements=counted)
    assert (job.wait, job.shape.gpu_type) == (Wait.HELPS, "NVIDIA_A100-SXM4")
    job = one(RequestGPUs=1, RequireGPUs=("Capability > 7",), Requirements=counted)
    assert (job.wait, job.reason) == (Wait.NO, "unknown whether nodes would help: RequireGPUs = Capability > 7")


def test_queue_by_attribute_else_the_schedd() -> None:
    given = reading(queue_attribute="JobQueue")
    assert one(given, JobQueue="long", GlobalJobId="s.example.org#7.0#1").shape.queues == ("long",)
    assert one(given, GlobalJobId="s.example.org#7.0#1").shape.queues == ("s.example.org",)


def test_equal_requests_share_one_shape() -> None:
    first, second = parse_jobs(printed(ad(), ad(ProcId=1)), reading()).jobs
    assert first.shape is second.shape


@pytest.mark.parametrize(("group", "account"), [("group_a.sub.bob", "group_a.sub"), ("bob", "")])
def test_the_accounting_group_without_its_user(group: str, account: str) -> None:
    assert one(AccountingGroup=group).shape.account == account


def test_deferred_jobs_wait_for_their_time() -> None:
    job = one(DeferralTime=int(NOW) + 600, DeferralPrepTime=300, ScheddInterval=5)
    assert (job.wait, job.eligible_at) == (Wait.NOT_YET, NOW + 295)
    assert one(DeferralTime=int(NOW) + 200, DeferralPrepTime=300).wait is Wait.HELPS


# -- lost machines ---------------------------------------------------------------------------------------


def test_jobs_on_a_lost_machine_wait_for_their_lease() -> None:
    on = {"JobStatus": 2, "RemoteHost": "slot1_2@wn-1.example.org", LOST: "wn-1"}
    job = one(**on, LastJobLeaseRenewal=int(NOW), JobLeaseDuration=2400)
    assert (job.state, job.wait, job.hosts, job.eligible_at) == (JobState.PENDING, Wait.NOT_YET, (), NOW + 2400)
    assert "lease" in job.reason
    assert one(reading(living=frozenset({"wn-1"})), **on).state is JobState.RUNNING  # it has come back
    elsewhere = on | {"RemoteHost": "slot1_2@wn-2.example.org"}
    assert one(**elsewhere).hosts == ("wn-2",)


def test_parallel_jobs_run_on_several_machines() -> None:
    job = one(
        JobStatus=2, JobUniverse=11, MinHosts=2, AllRemoteHosts="slot1@a.org,slot1@b.org", RemoteHost="slot1@a.org"
    )
    assert job.hosts == ("a", "b")


# -- what is odd -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [2, 20, 100])
def test_a_text_that_was_cut_off_is_no_answer(cut: int) -> None:
    with pytest.raises(ValueError, match="cut off"):
        parse_jobs(printed(ad())[:-cut], reading())


@pytest.mark.parametrize("noise", ["null", "Error: no", "[1]", "{}", "-- Failed to fetch ads"])
def test_what_is_no_list_of_ads_is_no_answer(noise: str) -> None:
    with pytest.raises(ValueError, match=r"cut off|can be read"):
        parse_jobs(noise, reading())


@pytest.mark.parametrize(
    "odd",
    [
        {"ClusterId": "x"},
        {"ClusterId": 0},
        {"RequestCpus": -1},
        {"RequestMemory": "lots"},
        {"RequestCpus": 1e300},
        {"JobStatus": None, "ProcId": [1]},
        {"JobPrio": "high"},
        {"RequestGPUs": True},
    ],
)
def test_one_odd_job_is_left_out_by_name(odd: dict[str, Any]) -> None:
    queue = parse_jobs(printed(ad(ProcId=5) | odd, ad(ProcId=1)), reading())
    assert [job.job_id for job in queue.jobs] == ["7.1"]
    assert len(queue.dropped) == 1
    assert "was left out" in queue.dropped[0]


def test_many_odd_jobs_are_a_number() -> None:
    queue = parse_jobs(printed(*(ad(RequestCpus=-1) for _ in range(50)), ad()), reading())
    assert len(queue.dropped) == 21
    assert queue.dropped[-1] == "30 more jobs were left out"


@pytest.mark.parametrize("text", TEXTS)
def test_names_of_users_change_nothing(text: str) -> None:
    queue = parse_jobs(printed(ad(JobBatchName=text, Owner=text, HoldReason=text, Cmd=text), ad(ProcId=1)), reading())
    assert [job.job_id for job in queue.jobs] == ["7.0", "7.1"]
    assert queue.jobs[0].name == (text or text.rpartition("/")[2])
    assert not queue.dropped


def test_a_text_cannot_pass_for_an_expression() -> None:
    forged = '/Expr(TARGET.Machine == "wn-1")/'
    job = one(Requirements=forged, JobBatchName=forged)
    assert job.shape.hosts == ()
    assert job.name == forged


def test_deep_and_long_requirements_are_unknown() -> None:
    for text in ("(" * 5000 + "x" + ")" * 5000, " && ".join(["x"] * 5000), "(" * 60 + "f(x)" + ")" * 60):
        assert one(Requirements=(text,)).wait is Wait.NO


def test_all_attributes_have_plain_names() -> None:
    assert all(name.isidentifier() for name in ATTRIBUTES)
    assert len(set(ATTRIBUTES)) == len(ATTRIBUTES)


# -- with the module -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    module = find_classad()
    if module is None:
        pytest.skip("the package htcondor is not installed")
    return Evaluator(module)


@pytest.mark.parametrize(
    ("requirements", "words"),
    [
        ("TARGET.Memory > 8000 * RequestCpus", ("resource:big",)),
        ('OpSysAndVer == "Debian13" && TotalCpus > 8.0', ("resource:big",)),
        ('stringListMember(TARGET.VMType, "a,Centos7")', ("resource:small",)),
        ("TARGET.TotalCpus >= 4 && (TARGET.Memory + 0) > 1", ("resource:small", "resource:big")),
    ],
)
def test_requirements_are_evaluated_for_each_resource(
    evaluator: Evaluator, requirements: str, words: tuple[str, ...]
) -> None:
    job = one(reading(evaluator), Requirements=(requirements,))
    assert job.wait is Wait.HELPS
    assert job.shape.features[-1] == words
    assert one(reading(WITHOUT), Requirements=(requirements,)).wait is Wait.NO


def test_what_no_resource_meets_is_said(evaluator: Evaluator) -> None:
    job = one(reading(evaluator), Requirements=("TARGET.Memory > 99999 * 2",))
    assert (job.wait, job.reason) == (Wait.NO, "no resource meets its Requirements: (TARGET.Memory > 99999 * 2)")


def test_what_no_resource_is_known_to_have_stays_unknown(evaluator: Evaluator) -> None:
    job = one(reading(evaluator), Requirements=("TARGET.KernelVersion > 5 + 1",))
    assert (job.wait, job.reason) == (Wait.NO, "unknown whether nodes would help: (TARGET.KernelVersion > 5 + 1)")


def test_expressions_are_reckoned(evaluator: Evaluator) -> None:
    job = one(reading(evaluator), RequestCpus=2, RequestMemory=("500 * RequestCpus",))
    assert (job.wait, job.shape.chunk) == (Wait.HELPS, Capacity(2, 1000))
    assert one(reading(evaluator), DeferralTime=("QDate + 600",), QDate=int(NOW)).wait is Wait.NOT_YET
