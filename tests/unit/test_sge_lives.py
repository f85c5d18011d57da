"""The adapter on a small Grid Engine: hosts that leave, jobs on them, and what a poll makes of it all."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from fake_sge import GUIDE, MARK, SMALL, FakeSge, changes
from sge_cluster import FakeHost
from sge_recorded import recorded

from dynamiccluster.errors import BusyError, TransientError
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.model.resource import Reservation
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.sge.adapter import SgeScheduler


@pytest.fixture
def sge() -> FakeSge:
    return FakeSge()


@pytest.fixture
def scheduler(sge: FakeSge) -> SgeScheduler:
    made = sge.scheduler()
    made.declare([SMALL])
    sge.runner.calls.clear()
    return made


def join(sge: FakeSge, scheduler: SgeScheduler, name: str = "small-1") -> None:
    sge.known_names.add(name)
    sge.boot(name)
    scheduler.add(name, "10.0.0.5", SMALL)
    sge.pass_time(1)
    sge.runner.calls.clear()


def host(view: SchedulerView, name: str = "small-1") -> Host:
    return next(one for one in view.hosts if one.name == name)


def job(view: SchedulerView, job_id: str) -> Job:
    return next(one for one in view.jobs if one.job_id == job_id)


# -- jobs on hosts -----------------------------------------------------------------------------------------


def test_vacated_jobs_are_put_back_and_those_that_may_not_be_are_left(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    first, second = sge.submit(), sge.submit(rerunnable=False)
    sge.pass_time(1)
    scheduler.hold("small-1", MARK)
    sge.runner.calls.clear()
    scheduler.vacate("small-1", [first, second, "999"])
    assert changes(sge) == [f"qmod -rj {first} {second}"]
    view = scheduler.poll()
    assert (job(view, first).state, job(view, first).wait) == (JobState.PENDING, Wait.HELPS)
    assert job(view, second).hosts == ("small-1",)
    sge.runner.calls.clear()
    scheduler.vacate("small-1", [first])
    assert changes(sge) == []


@pytest.mark.parametrize("delete", [False, True])
def test_a_dead_host_is_freed_without_harm_to_qmaster(sge: FakeSge, scheduler: SgeScheduler, delete: bool) -> None:
    join(sge, scheduler)
    runs, fixed, leaving = sge.submit(), sge.submit(rerunnable=False), sge.submit()
    sge.pass_time(1)
    sge.jobs[int(leaving)].state = "dr"
    sge.crash("small-1")
    sge.pass_time(1)
    scheduler.evacuate("small-1", [runs, fixed, leaving, "999"], delete_jobs=delete)
    assert sge.deadly == []
    assert changes(sge)[0] == "qmod -d *@small-1"  # or it is given new jobs
    assert {str(number) for number in sge.jobs} == (set() if delete else {runs})
    assert not host(scheduler.poll()).busy
    scheduler.remove("small-1")
    assert "small-1" not in sge.hosts


def test_a_dead_host_without_jobs_is_left_alone(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    scheduler.evacuate("small-1", ["7"], delete_jobs=True)
    assert changes(sge) == []


# -- remove ------------------------------------------------------------------------------------------------


def test_the_way_out(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    join(sge, scheduler, "small-2")
    scheduler.hold("small-1", MARK)
    sge.runner.calls.clear()
    scheduler.remove("small-1")
    assert changes(sge) == [
        "qconf -dh small-1",
        "qconf -dattr hostgroup hostlist small-1 @allhosts",
        "qconf -purge queue slots main@small-1",
        "qconf -purge queue slots long@small-1",
        "qconf -ke small-1",
        "qconf -de small-1",
    ]
    assert "small-1" not in sge.queues["main"].slots
    assert sge.groups["@allhosts"] == ["small-2"]
    sge.pass_time(2)
    assert "small-1" not in sge.hosts  # its daemon, started again by its machine, may not report in
    sge.runner.calls.clear()
    scheduler.remove("small-1")
    assert changes(sge) == ["qconf -ke small-1", "qconf -de small-1"]


def test_a_host_that_was_not_held_is_closed_first(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    scheduler.remove("small-1")
    assert changes(sge)[0] == "qmod -d *@small-1"


def test_a_job_that_slips_in_keeps_the_host(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)

    def start_one(call: object) -> str:
        sge.hosts["small-1"].disabled = {"main", "long"}
        number = sge.submit(run_s=300)
        late = sge.jobs[int(number)]
        late.state, late.placed, late.queue, late.ends_at = "r", {"small-1": 1}, "main", sge.clock.now() + 300
        return ""

    sge.runner.on(["qmod", "-d"], start_one)
    with pytest.raises(BusyError):
        scheduler.remove("small-1")
    assert not sge.hosts["small-1"].disabled
    assert changes(sge) == ["qmod -d *@small-1", "qmod -e *@small-1"]


def test_a_host_is_not_forgotten_while_its_record_cannot_be_read(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    text = sge.qhost(("qhost", "-F", "slots")).replace("name='slots'>4<", "name='slots'>?<")
    sge.runner.on(["qhost"], text)
    with pytest.raises(TransientError, match="whether small-1 has jobs cannot be seen"):
        scheduler.remove("small-1")


def test_a_host_whose_name_is_gone_is_not_called_removed(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    sge.runner.on(["qconf", "-dh"], "", returncode=1, stderr='can\'t resolve hostname "small-1"')
    with pytest.raises(TransientError, match="can't resolve hostname"):
        scheduler.remove("small-1")


def test_a_host_with_jobs_after_all_is_busy(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    sge.runner.on(
        ["qconf", "-de"], "", returncode=1, stderr='Host object "small-1" is still referenced in cluster queue'
    )
    with pytest.raises(BusyError, match="still referenced"):
        scheduler.remove("small-1")


def test_the_last_host_of_a_queue_leaves_it_open(sge: FakeSge) -> None:
    scheduler = sge.scheduler()
    sge.hosts["static1"] = FakeHost("static1", heard_at=1.0)
    sge.queues["main"].hosts.append("static1")
    scheduler.declare([replace(SMALL, queues=frozenset({"main"}))])
    scheduler.remove("static1")
    assert sge.queues["main"].hosts == ["sgemaster"]


# -- poll --------------------------------------------------------------------------------------------------


def test_a_poll_is_two_commands_hosts_first(sge: FakeSge, scheduler: SgeScheduler) -> None:
    sge.queues["physics"].groups = []
    del sge.queues["physics"]  # whose projects would have to be asked for
    scheduler.declare([SMALL])
    scheduler.poll()
    sge.runner.calls.clear()
    scheduler.poll()
    assert [argv[0] for argv in sge.runner.argvs] == ["qhost", "qstat"]
    assert "-ext" not in sge.runner.argvs[1]
    sge.submit()
    sge.pass_time(1)
    sge.runner.calls.clear()
    scheduler.poll()
    assert len(sge.runner.calls) == 2
    sge.submit()  # not considered yet: why?
    scheduler.poll()
    assert sge.runner.argvs[-1][:2] == ("qstat", "-j")


def test_queues_for_projects_make_projects_asked_for(sge: FakeSge, scheduler: SgeScheduler) -> None:
    scheduler.poll()
    asked = next(argv for argv in sge.runner.argvs if argv[0] == "qstat")
    assert {"-ext", "-pri", "-u", "*", "-r", "-xml"} <= set(asked)


def test_quotas_are_asked_for_where_the_site_has_any(
    sge: FakeSge, scheduler: SgeScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    sge.quotas = recorded("qquota.xml")
    sge.pass_time(301)  # until the configuration is read again
    scheduler.poll()
    assert not [argv for argv in sge.runner.argvs if argv[0] == "qquota"]  # nobody waits
    sge.submit(user="alice")
    sge.submit(user="carol")
    sge.pass_time(1)
    view = scheduler.poll()
    assert sge.runner.argvs[-1] == ("qquota", "-u", "*", "-xml")
    assert job(view, "1").reason == "it waits for slots under the quota peruser/1, of which 0 are left"
    assert [one.wait for one in view.jobs] == [Wait.NO, Wait.HELPS]
    assert view.stale_facets == ()
    sge.quotas = "qquota: not found"  # jobs and hosts are seen nevertheless
    for _ in range(2):
        view = scheduler.poll()
        assert [one.wait for one in view.jobs] == [Wait.HELPS, Wait.HELPS]
        assert view.stale_facets == ("quotas",)
    assert len([one for one in caplog.records if "quotas" in one.message]) == 1


def test_accounts_are_asked_for_where_a_resource_needs_them(sge: FakeSge) -> None:
    scheduler = sge.scheduler(account_from="account")
    scheduler.declare([SMALL])
    sge.submit()
    sge.pass_time(1)
    scheduler.poll()
    assert not [argv for argv in sge.runner.argvs if "-j" in argv and argv[0] == "qstat"]
    scheduler.declare([replace(SMALL, reservation=Reservation(account="physics"), features=frozenset())])
    answer = (
        "<?xml version='1.0'?>\n<detailed_job_info  xmlns:xsd=\"x\">\n  <djob_info>\n    <element>\n"
        "      <JB_job_number>1</JB_job_number>\n      <JB_account>physics</JB_account>\n    </element>\n"
        "  </djob_info>\n</detailed_job_info>\n"
    )
    sge.runner.on(["qstat", "-j"], answer)
    assert job(scheduler.poll(), "1").shape.account == "physics"
    assert sge.runner.argvs[-1] == ("qstat", "-j", "*", "-xml")


def test_after_a_restart_of_qmaster_nobody_is_dead_yet(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    for one in sge.hosts.values():
        one.heard_at = sge.clock.now() - 100 if one.heard_at is not None else None
    first = host(scheduler.poll())
    assert first.state is HostState.UNKNOWN
    sge.pass_time(31)
    assert host(scheduler.poll()).state is HostState.UP
    sge.crash("small-1")
    sge.pass_time(25)
    assert host(scheduler.poll()).state is HostState.UNKNOWN
    sge.pass_time(89)
    assert host(scheduler.poll()).state is HostState.UNKNOWN
    sge.pass_time(1)
    assert host(scheduler.poll()).state is HostState.DOWN


def test_a_host_in_error_is_down_at_once(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    sge.hosts["small-1"].errors = {"main", "long"}
    assert host(scheduler.poll()).state is HostState.DOWN


def test_silence_and_nonsense_are_no_view(sge: FakeSge, scheduler: SgeScheduler) -> None:
    sge.down = True
    with pytest.raises(TransientError, match="qmaster"):
        scheduler.poll()
    sge.down = False
    for program in ("qstat", "qhost"):
        sge.runner.on([program], "<?xml version='1.0'?>\n<job_info ><qhost ")
        with pytest.raises(TransientError, match=program):
            scheduler.poll()


def test_an_unknown_state_is_logged_once(
    sge: FakeSge, scheduler: SgeScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    sge.jobs[int(sge.submit())].state = "Yqw"
    with caplog.at_level(logging.WARNING):
        scheduler.poll()
        scheduler.poll()
    assert len([line for line in caplog.messages if "unknown state" in line]) == 1


def test_the_configuration_is_read_again_after_a_while(sge: FakeSge, scheduler: SgeScheduler) -> None:
    def reads() -> int:
        sge.runner.calls.clear()
        scheduler.poll()
        return sum("-sq" in argv for argv in sge.runner.argvs)

    assert reads() == 0
    sge.clock.elapsed_s += 301
    assert reads() == 1
    assert reads() == 0


def test_the_guides_commands_do_it_all(sge: FakeSge) -> None:
    scheduler = SgeScheduler(sge.runner, sge.clock, "c1", templates=GUIDE)
    scheduler.declare([SMALL])
    waiting = sge.submit(2, "smp")
    sge.known_names.add("small-1")
    sge.boot("small-1")
    scheduler.add("small-1", "10.0.0.5", SMALL)
    sge.pass_time(1)
    view = scheduler.poll()
    assert job(view, waiting).hosts == ("small-1",)
    scheduler.hold("small-1", MARK)
    scheduler.vacate("small-1", [waiting])
    scheduler.remove("small-1")
    view = scheduler.poll()
    assert job(view, waiting).wait is Wait.HELPS
    assert [one.name for one in view.hosts] == ["sgemaster"]


def test_nothing_is_ever_stuck(sge: FakeSge, scheduler: SgeScheduler) -> None:
    sge.jobs[int(sge.submit())].state = "Eqw"
    assert not any(one.stuck for one in scheduler.poll().jobs)
    sge.runner.calls.clear()
    scheduler.unstick(["1"])
    assert not sge.runner.calls
