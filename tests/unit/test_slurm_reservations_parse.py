"""Reservations and maintenance windows, as text and as what they do to jobs and hosts; heterogeneous jobs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_slurm import FakeSlurm
from slurm_lines import line, parsed
from test_slurm_adapter import adapter, job_line, registered

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.model.job import Job, Wait
from dynamiccluster.schedulers.slurm.components import lower_incomplete
from dynamiccluster.schedulers.slurm.reservations import lower_reserved, mark_reserved
from dynamiccluster.schedulers.slurm.reservations_parse import Reservation, parse_reservations

RECORDED = Path(__file__).parents[1] / "recorded" / "slurm"
NOW = 1_795_175_000.0
SOON = NOW + 3600
ALL = Reservation("maint", SOON, SOON + 600, frozenset({"t-1", "n1"}), 8, frozenset({"MAINT", "ALL_NODES"}))
PART = Reservation("part", SOON, SOON + 600, frozenset({"t-1", "n1"}), 8, frozenset({"PART_NODES"}), "main")
SOME = Reservation("some", SOON, SOON + 600, frozenset({"n1"}), 4, frozenset({"SPEC_NODES"}))


def host(name: str, *queues: str, cores: int = 4) -> Host:
    return Host(name, HostState.UP, Capacity(cores, 4000), queues=frozenset(queues), template=name.startswith("t-"))


def seen(
    *lines: str, reservations: tuple[Reservation, ...] | None = (), hosts: tuple[Host, ...] = (), lead_s: float = 0
) -> list[Job]:
    return list(lower_reserved(parsed(*lines), reservations, hosts, NOW, lead_s))


def begun(reservation: Reservation) -> Reservation:
    return replace(reservation, starts_at=NOW - 60, active=True)


def test_the_recording_is_read_whole() -> None:
    maint, part, two, lic = parse_reservations((RECORDED / "scontrol_show_reservation_o.txt").read_text())
    assert (maint.name, maint.starts_at, maint.ends_at, maint.cores) == ("maint", 1795177151, 1795180751, 32)
    assert {"dc-template-b4fac42b-0001", "small-17472250"} < maint.hosts
    assert (maint.grows, part.grows, two.grows, lic.grows) == (True, True, False, False)
    assert (maint.active, two.active) == (False, True)
    assert (part.partition, part.accounts, two.users) == ("main", ("phys",), ("games",))
    assert lic.free_choice
    assert not lic.hosts


@pytest.mark.parametrize("text", ["", "No reservations in the system\n"])
def test_no_reservations(text: str) -> None:
    assert parse_reservations(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "ReservationName=a StartTime=1 EndTime=2 Nodes=n1 Flags= State=ACTIVE",  # cut off
        "ReservationName=a StartTime=2026-11-20T08:00:00 EndTime=2 Nodes=n1 Flags= State=ACTIVE\n",
        "ReservationName=a StartTime=1 EndTime=2 Nodes=n[1- Flags= State=ACTIVE\n",
        "ReservationName=a StartTime=1 EndTime=2\n",
    ],
)
def test_a_reservation_that_cannot_be_read_is_not_left_out(text: str) -> None:
    with pytest.raises(ValueError, match=r"cut off|cannot be read"):
        parse_reservations(text)


def test_a_job_that_would_run_into_the_window_waits_until_its_end() -> None:
    short, long, endless = (
        line(JobArrayID="1", TimeLimit="00:59:00"),
        line(JobArrayID="2", TimeLimit="01:01:00", Reason="Priority"),
        line(JobArrayID="3", TimeLimit="UNLIMITED"),
    )
    jobs = seen(short, long, endless, reservations=(ALL,))
    assert [job.wait for job in jobs] == [Wait.HELPS, Wait.NOT_YET, Wait.NOT_YET]
    assert jobs[1].eligible_at == SOON + 600
    assert jobs[1].reason == "Priority (would run into reservation maint, which ends at 2026-11-20 12:53 UTC)"
    waits = [job.wait for job in seen(short, reservations=(ALL,), lead_s=120)]
    assert waits == [Wait.NOT_YET]  # its nodes would come too late
    over = replace(ALL, starts_at=NOW - 900, ends_at=NOW - 300)
    assert [job.wait for job in seen(long, reservations=(over,))] == [Wait.HELPS]


def test_a_window_of_some_nodes_keeps_nobody_from_new_ones() -> None:
    assert seen(line(), reservations=(SOME, begun(SOME)))[0].wait is Wait.HELPS


def test_a_window_of_a_partition_covers_those_whose_every_node_is_in_it() -> None:
    hosts = (host("t-1", "main"), host("n1", "main", "gpu"), host("n2", "long"))
    main, gpu, long, either = (
        line(JobArrayID="1", Partition="main"),
        line(JobArrayID="2", Partition="gpu"),
        line(JobArrayID="3", Partition="long"),
        line(JobArrayID="4", Partition="main,long"),
    )
    jobs = seen(main, gpu, long, either, reservations=(PART,), hosts=hosts)
    assert [job.wait for job in jobs] == [Wait.NOT_YET, Wait.NOT_YET, Wait.HELPS, Wait.HELPS]


def test_those_who_may_use_the_window_are_not_kept_out() -> None:
    magnetic = replace(begun(ALL), flags=frozenset({"ALL_NODES", "MAGNETIC"}), users=("alice",))
    jobs = seen(line(), line(UserName="bob"), reservations=(magnetic,))
    assert [job.wait for job in jobs] == [Wait.HELPS, Wait.NOT_YET]


@pytest.mark.parametrize(
    ("reservation", "wait", "said"),
    [
        (ALL, Wait.NOT_YET, "has not begun"),
        (begun(ALL), Wait.HELPS, ""),
        (begun(PART), Wait.HELPS, ""),
        (
            replace(begun(PART), partition="long", hosts=frozenset({"n9"})),
            Wait.NO,
            "waits for the nodes of its reservation",
        ),
        (begun(SOME), Wait.NO, "waits for the nodes of its reservation"),
        (replace(begun(SOME), flags=frozenset({"FLEX"})), Wait.HELPS, ""),
        (replace(begun(SOME), flags=frozenset({"ANY_NODES"}), hosts=frozenset()), Wait.HELPS, ""),
        (replace(ALL, ends_at=NOW - 1), Wait.NO, "which is not there"),
    ],
)
def test_a_job_in_a_reservation(reservation: Reservation, wait: Wait, said: str) -> None:
    hosts = (host("t-1", "main"), host("n1", "main"))
    (job,) = seen(line(Reservation=reservation.name), reservations=(reservation,), hosts=hosts)
    assert job.wait is wait
    assert said in job.reason
    assert (job.shape.queues == ("main", f"reservation {reservation.name}")) is (wait is Wait.HELPS)


def test_without_knowing_the_reservations_nobody_in_one_is_served() -> None:
    jobs = seen(line(Reservation="r1"), line(), reservations=None)
    assert [job.wait for job in jobs] == [Wait.NO, Wait.HELPS]


def test_hosts_of_a_reservation_in_force_serve_its_jobs_and_stay() -> None:
    held = replace(host("n1", "main"), hold=Hold("maintenance reservation", False))
    drained = replace(host("n2", "main"), hold=Hold("disk", False, "root"))
    reservation = replace(begun(ALL), hosts=frozenset({"n1", "n2"}))
    first, second, other = mark_reserved((held, drained, host("n3", "main")), (reservation,), NOW)
    assert (first.queues, first.hold, first.kept) == (frozenset({"reservation maint"}), None, "reservation maint")
    assert second.hold == drained.hold
    assert other == host("n3", "main")


def test_hosts_before_a_reservation_serve_jobs_that_end_in_time() -> None:
    hosts = (host("n1", "main"), host("n2", "main"))
    marked = mark_reserved(hosts, (SOME, replace(SOME, name="later", starts_at=SOON + 60)), NOW)
    assert [(one.free_for_s, one.kept) for one in marked] == [(3600, "reservation later, some"), (0, "")]
    maintenance = mark_reserved(hosts, (ALL,), NOW)[0]
    assert (maintenance.free_for_s, maintenance.kept) == (3600, "")  # nobody wants the node itself


def test_hosts_of_which_some_cores_are_reserved_stay_open() -> None:
    hosts = (host("n1", "main", cores=8),)
    assert mark_reserved(hosts, (begun(SOME),), NOW) == hosts


def test_a_poll_takes_reservations_into_account(caplog: pytest.LogCaptureFixture) -> None:
    slurm = FakeSlurm()
    registered(slurm, "n1")
    slurm.jobs = job_line("1", "Resources")
    slurm.reservations = (
        "ReservationName=m StartTime=5 EndTime=99999999999 Nodes=n1 NodeCnt=1 CoreCnt=4 Features=(null) "
        "PartitionName=(null) Flags=MAINT,SPEC_NODES,ALL_NODES TRES=cpu=4 Users=root State=ACTIVE\n"
    )
    scheduler = adapter(slurm)
    view = scheduler.poll()
    assert [job.wait for job in view.jobs] == [Wait.NOT_YET]
    assert [one.kept for one in view.hosts] == ["reservation m"]
    slurm.reservations = "nonsense\n"
    view = scheduler.poll()
    assert view.stale_facets == ("reservations",)
    assert [job.wait for job in view.jobs] == [Wait.HELPS]
    assert "reservations cannot be read" in caplog.text


def test_components_wait_for_the_least_hopeful_of_them() -> None:
    jobs = parsed(
        line(JobArrayID="48+0"),
        line(JobArrayID="48+1", Reason="AssocGrpCpuLimit"),
        line(JobArrayID="49+0"),
        line(JobArrayID="49+1", Reason="Priority"),
        line(JobArrayID="50+0", State="RUNNING", Reason="None"),
        line(JobArrayID="51"),
    ).jobs
    lowered = lower_incomplete(jobs)
    assert [job.wait for job in lowered] == [Wait.NO, Wait.NO, Wait.HELPS, Wait.HELPS, Wait.NO, Wait.HELPS]
    assert lowered[0].reason == "Resources (component 48+1: AssocGrpCpuLimit)"
    assert lower_incomplete(jobs[4:]) == jobs[4:]
