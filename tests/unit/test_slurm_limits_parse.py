"""Limits of accounts, users, QOS and licences: who of those that wait could start, whatever their reasons say."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from fake_slurm import FakeSlurm
from slurm_lines import line, parsed
from test_slurm_adapter import adapter, job_line

from dynamiccluster.model.job import Job, Wait
from dynamiccluster.schedulers.slurm.licences_parse import parse_licences
from dynamiccluster.schedulers.slurm.limits import give_out, lower_alike
from dynamiccluster.schedulers.slurm.limits_parse import Bound, Limits, parse_limits

RECORDED = Path(__file__).parents[1] / "recorded" / "slurm"


@pytest.fixture(scope="module")
def limits() -> Limits:
    """Two jobs of account chem run, and one of account phys with QOS jobs."""
    return parse_limits((RECORDED / "scontrol_show_assoc_mgr_o.txt").read_text(encoding="utf-8"))


def given(limits: Limits, *lines: str, qos: dict[str, str] | None = None, **free: int) -> list[Job]:
    return list(give_out(parsed(*lines), limits, qos or {}, free))


def helped(jobs: list[Job]) -> list[str]:
    return [job.job_id for job in jobs if job.wait is Wait.HELPS]


def mine(job_id: str, account: str, **values: str) -> str:
    return line(JobArrayID=job_id, UserName="root", Account=account, Reason="Priority", **values)


def empty(limits: Limits) -> Limits:
    """The same limits with nothing in use."""
    associations = {
        key: replace(record, bounds={name: Bound(bound.limit) for name, bound in record.bounds.items()})
        for key, record in limits.associations.items()
    }
    return replace(limits, associations=associations)


def test_the_recording_is_read_whole(limits: Limits) -> None:
    assert limits.associations["phys", "", ""].bounds == {
        "GrpJobs": Bound(3, 1),
        "GrpWall": Bound(600, 0),
        "GrpTRES cpu": Bound(8, 1),
        "GrpTRES mem": Bound(3000, 100),
        "GrpTRESMins cpu": Bound(100000, 0),
        "GrpTRESRunMins cpu": Bound(20000, 1440),
        "MaxWallPJ": Bound(1440),
    }
    assert limits.associations["phys", "games", ""].bounds["MaxTRESPJ cpu"] == Bound(2)
    assert limits.associations["orga", "", ""].parent == "chem"
    assert limits.qos["lim"].of_account["phys"] == {"MaxTRESPA cpu": Bound(7, 0)}
    assert limits.qos["jobs"].of_user["0"] == {"MaxJobsPU": Bound(1, 1)}
    assert limits.qos["normal"].of_user == {}
    assert limits.numbers == {"root": "0", "games": "5"}


@pytest.mark.parametrize("text", ["", "slurm_load_assoc_mgr: nothing\n", "Current Association"])
def test_something_else_is_not_taken_for_no_limits(text: str) -> None:
    with pytest.raises(ValueError, match="no list of limits"):
        parse_limits(text)


def test_of_ten_jobs_of_which_a_limit_lets_two_run_two_are_served(limits: Limits) -> None:
    ten = [mine(str(at), "chem", PriorityLong=str(100 - at)) for at in range(10)]
    jobs = given(empty(limits), *ten)
    assert helped(jobs) == ["0", "1"]
    assert jobs[2].wait is Wait.NO
    assert jobs[2].reason == "Priority (limit GrpTRES cpu=2 of account chem)"
    assert helped(given(limits, *ten)) == []  # two run


def test_room_goes_to_the_highest_priority(limits: Limits) -> None:
    low, high = mine("1", "chem", PriorityLong="1"), mine("2", "chem", PriorityLong="9")
    wide = mine("3", "chem", PriorityLong="5", tres_alloc="cpu=2,mem=100M,node=1")
    assert helped(given(empty(limits), low, high, wide)) == ["1", "2"]  # what is left is too little for the wide one


def test_an_account_answers_for_those_below_it(limits: Limits) -> None:
    below = line(JobArrayID="1", UserName="nobody", Account="orga", tres_alloc="cpu=3,mem=100M,node=1")
    job = given(empty(limits), below)[0]
    assert job.reason == "Resources (limit GrpTRES cpu=2 of account chem)"


def test_an_array_gets_as_many_tasks_as_there_is_room_for(limits: Limits) -> None:
    array = mine("7_[0-9]", "chem")
    (job,) = given(empty(limits), array)
    assert (job.tasks, job.startable_tasks, job.wait) == (10, 2, Wait.HELPS)


@pytest.mark.parametrize(
    ("values", "binding"),
    [
        ({"TimeLimit": "20:00:00", "tres_alloc": "cpu=8,mem=100M,node=1"}, "GrpTRES cpu=8 of account phys"),
        ({"TimeLimit": "20:00:00", "tres_alloc": "cpu=1,mem=3000M,node=1"}, "GrpTRES mem=3000 of account phys"),
        ({"TimeLimit": "2-00:00:00"}, "MaxWallPJ=1440 of user root in account phys"),
        ({"TimeLimit": "23:00:00", "tres_alloc": "cpu=16,mem=1M"}, "GrpTRES cpu=8 of account phys"),
        ({"QOS": "jobs"}, "MaxJobsPU=1 of QOS jobs"),
        ({"QOS": "lim", "tres_alloc": "cpu=4,mem=1M"}, "MaxTRESPU cpu=3 of QOS lim"),
        ({"QOS": "lim", "tres_alloc": "cpu=1,mem=1M,gres/gpu=3"}, "GrpTRES gres/gpu=2 of QOS lim"),
        ({"TimeLimit": "UNLIMITED"}, ""),  # gets the longest allowed
    ],
)
def test_every_kind_of_limit_binds(limits: Limits, values: dict[str, str], binding: str) -> None:
    job = given(limits, mine("1", "phys", **values))[0]
    assert job.wait is (Wait.NO if binding else Wait.HELPS)
    assert job.reason == (f"Priority (limit {binding})" if binding else "Priority")


def test_minutes_that_run_together_are_limited(limits: Limits) -> None:
    jobs = given(limits, *(mine(str(at), "phys", tres_alloc="cpu=7,mem=1M", TimeLimit="1-00:00:00") for at in range(2)))
    assert helped(jobs) == ["0"]  # 7 cores x 1,440 minutes twice would be 20,160 beside 1,440
    spent = parse_limits(
        (RECORDED / "scontrol_show_assoc_mgr_o.txt").read_text().replace("100000(0)", "100000(100000)")
    )
    assert given(spent, mine("1", "phys"))[0].reason == "Priority (limit GrpTRESMins cpu=100000 of account phys)"


def test_a_limit_of_the_qos_hides_that_of_the_account(limits: Limits) -> None:
    account = {"GrpTRES cpu": Bound(1), "MaxJobs": Bound(1, 1)}
    record = replace(limits.associations["chem", "root", ""], bounds=account)
    wider = replace(limits.qos["jobs"], bounds={"GrpTRES cpu": Bound(5)}, of_user={"0": {"MaxJobsPU": Bound(9)}})
    both = replace(empty(limits), qos={"jobs": wider})
    both = replace(both, associations={**both.associations, ("chem", "root", ""): record})
    tight = both.associations["chem", "", ""].bounds
    assert tight["GrpTRES cpu"].limit == 2
    five = [mine(str(at), "chem", QOS="jobs") for at in range(6)]
    assert helped(given(both, *five)) == ["0", "1", "2", "3", "4"]
    assert helped(given(both, *five, qos={"main": "nothing"})) == ["0", "1", "2", "3", "4"]
    narrow = replace(both, qos={**both.qos, "part": replace(wider, bounds={"GrpTRES cpu": Bound(3)})})
    assert helped(given(narrow, *five, qos={"main": "part"})) == ["0", "1", "2"]  # the partition's counts first


def test_one_partition_without_a_limit_is_enough(limits: Limits) -> None:
    closed = replace(limits, qos={"part": replace(limits.qos["jobs"], bounds={"GrpJobs": Bound(0)}, of_user={})})
    job = line(Partition="main,long", UserName="root", Account="root", QOS="none")
    assert helped(given(closed, job, qos={"main": "part"})) == ["7"]
    assert helped(given(closed, job, qos={"main": "part", "long": "part"})) == []


def test_users_and_accounts_without_a_record_are_not_limited(limits: Limits) -> None:
    assert helped(given(limits, line(UserName="stranger", Account="unheard-of", QOS="new"))) == ["7"]
    assert helped(given(Limits(), line())) == ["7"]


def test_licences_are_given_out_by_priority() -> None:
    lines = (
        line(JobArrayID="1", Licenses="matlab:2", PriorityLong="1"),
        line(JobArrayID="2", Licenses="matlab:1", PriorityLong="3"),
        line(JobArrayID="3_[0-9]", Licenses="matlab", PriorityLong="2"),
        line(JobArrayID="4", Licenses="ansys:1"),
        line(JobArrayID="5"),
    )
    left = {job.job_id: job for job in given(Limits(), *lines, matlab=3)}
    assert {job_id for job_id, job in left.items() if job.wait is Wait.HELPS} == {"2", "3", "5"}
    assert left["3"].startable_tasks == 2
    assert left["4"].reason == "Resources (no free licence of ansys)"
    assert parse_licences((RECORDED / "scontrol_show_licenses_o.txt").read_text()) == {"matlab": 0}


def test_a_licence_goes_to_nobody_whom_a_limit_keeps_from_starting(limits: Limits) -> None:
    lines = [
        mine("1", "chem", Licenses="matlab:1", PriorityLong="9"),
        mine("2", "root", Licenses="matlab:1", PriorityLong="1"),
    ]
    assert helped(given(limits, *lines, matlab=1)) == ["2"]


def test_priority_hides_a_limit_that_its_like_show() -> None:
    mine, other_user, other_qos = (
        line(JobArrayID="2", Reason="Priority"),
        line(JobArrayID="3", Reason="Priority", UserName="bob"),
        line(JobArrayID="4", Reason="Priority", QOS="high"),
    )

    def waits(reason: str, *others: str, qos: str = "normal") -> list[Wait]:
        jobs = lower_alike(parsed(line(JobArrayID="1", Reason=reason, QOS=qos), *others))
        return [job.wait for job in jobs]

    helps, not_yet, no = Wait.HELPS, Wait.NOT_YET, Wait.NO
    assert waits("QOSMaxJobsPerUserLimit", mine, other_user, other_qos) == [no, not_yet, helps, helps]
    assert waits("QOSGrpCpuLimit", mine, other_user) == [no, not_yet, not_yet]
    assert waits("QOSMaxCpuPerJobLimit", mine) == [no, helps]
    assert waits("AssocGrpCpuLimit", mine, other_user, qos="low") == [no, not_yet, not_yet]


def test_limits_are_asked_for_only_where_they_are_enforced_and_somebody_waits() -> None:
    slurm = FakeSlurm()
    slurm.limits = (RECORDED / "scontrol_show_assoc_mgr_o.txt").read_text(encoding="utf-8")
    slurm.jobs = job_line("1", "Resources")
    adapter(slurm).poll()
    assert not [argv for argv in slurm.runner.argvs if "assoc_mgr" in argv]
    slurm.enforce = "associations,limits,qos"
    scheduler = adapter(slurm)
    scheduler.poll()
    (asked,) = [argv for argv in slurm.runner.argvs if "assoc_mgr" in argv]
    assert asked[-2:] == ("flags=assoc,qos", "users=alice")
    slurm.jobs = job_line("1", "JobHeldUser")
    scheduler.poll()
    assert len([argv for argv in slurm.runner.argvs if "assoc_mgr" in argv]) == 1


def test_limits_that_cannot_be_read_leave_the_guess(caplog: pytest.LogCaptureFixture) -> None:
    slurm = FakeSlurm()
    slurm.enforce, slurm.limits = "limits", "slurm_load_assoc_mgr_info error\n"
    slurm.jobs = job_line("1", "QOSMaxJobsPerUserLimit") + job_line("2", "Priority")
    scheduler = adapter(slurm)
    view = scheduler.poll()
    scheduler.poll()
    assert view.stale_facets == ("limits",)
    assert [job.wait for job in view.jobs] == [Wait.NO, Wait.NOT_YET]
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert [record.message.partition(":")[0] for record in warnings] == ["limits cannot be read"]


def test_a_newer_release_names_users_with_their_numbers() -> None:
    """24.11 writes ``root(0)={...}`` where 22.05 writes ``0={...}``."""
    text = (RECORDED.parent / "slurm24" / "scontrol_show_assoc_mgr_o.txt").read_text()
    assert parse_limits(text).qos["two"].of_user == {"0": {"MaxJobsPU": Bound(2.0, 0.0)}}
