"""What could make HTCondor's adapter give up a machine with a job on it, or be led astray by what an ad says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from dynamiccluster.errors import BusyError, DynamicClusterError, TransientError
from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.host import HostState
from dynamiccluster.schedulers.htcondor.adapter import HtcondorScheduler
from dynamiccluster.schedulers.htcondor.calls import CondorCalls
from dynamiccluster.schedulers.htcondor.classads import Evaluator
from dynamiccluster.schedulers.htcondor.hosts_parse import parse_machines
from dynamiccluster.testing.htcondor_double import HtcondorDouble, Machine
from dynamiccluster.testing.runner import FakeRunner

MARK = "dynamiccluster:c1:wn-1"


def adapter(runner: Any, clock: Any, **settings: Any) -> HtcondorScheduler:
    return HtcondorScheduler(runner, clock, "c1", find_evaluator=lambda: Evaluator(None), **settings)


@pytest.fixture
def pool() -> HtcondorDouble:
    made = HtcondorDouble()
    made.machines["wn-1"] = Machine("wn-1", "10.0.0.1", began_at=made.now())
    made.wait(5)
    return made


def run_a_job(pool: HtcondorDouble) -> str:
    job_id = pool.submit(run_s=10_000)
    pool.wait(6)
    assert pool.jobs[job_id].machine is pool.machines["wn-1"]
    return job_id


class Over:
    """A pool whose programs can be told to say something else."""

    def __init__(self, pool: HtcondorDouble) -> None:
        self.pool = pool
        self.instead: dict[str, Completed] = {}

    def run(self, argv: Sequence[str], **more: Any) -> Completed:
        found = self.instead.get(argv[0])
        return found if found is not None else self.pool.run(argv, **more)


def says(stdout: str = "", returncode: int = 0, stderr: str = "") -> Completed:
    return Completed((), returncode, stdout, stderr, 0.0)


def printed(*found: Mapping[str, Any]) -> str:
    return "[\n" + "\n,\n".join(json.dumps(one) for one in found) + "\n]\n"


def ad(machine: str, **more: Any) -> dict[str, Any]:
    own = {"MyType": "Machine", "Machine": machine, "Name": f"slot1@{machine}", "Cpus": 4, "Memory": 4000}
    return own | {"TotalSlotCpus": 4, "PartitionableSlot": True, "Start": True, "DynamicClusterHold": ""} | more


# -- a machine that the collector does not know (well) may run jobs ----------------------------------


def test_a_machine_that_the_collector_has_forgotten_is_not_given_up_with_its_job(pool: HtcondorDouble) -> None:
    job_id = run_a_job(pool)
    pool._ads.clear()  # the collector was started again a moment ago
    with pytest.raises(BusyError, match=job_id):
        adapter(pool, pool).remove("wn-1")


def test_a_machine_whose_reports_are_lost_is_not_given_up_with_its_job(pool: HtcondorDouble) -> None:
    before = pool._ads["wn-1.dc.test"]
    job_id = run_a_job(pool)
    pool._ads["wn-1.dc.test"] = before  # the last that was heard of it: idle
    pool.at += 700
    with pytest.raises(BusyError, match=rf"{job_id}|just started"):
        adapter(pool, pool, silent_s=660.0).remove("wn-1")
    assert not pool.machines["wn-1"].off


def test_a_machine_that_refuses_to_be_held_is_not_given_up_with_its_job(pool: HtcondorDouble) -> None:
    before = pool._ads["wn-1.dc.test"]
    job_id = run_a_job(pool)
    pool._ads["wn-1.dc.test"] = before
    over = Over(pool)
    over.instead["condor_config_val"] = says(returncode=1, stderr="Can't send end of message")
    with pytest.raises(BusyError, match=job_id):
        adapter(over, pool).remove("wn-1")
    assert not pool.machines["wn-1"].off


def test_a_job_that_waits_for_its_lease_on_a_dead_machine_does_not_keep_it(pool: HtcondorDouble) -> None:
    job_id = run_a_job(pool)
    pool.machines["wn-1"].alive = False
    scheduler = adapter(pool, pool)
    scheduler.evacuate("wn-1", [job_id], delete_jobs=False)
    scheduler.remove("wn-1")
    assert scheduler.find("wn-1") is None


def test_a_machine_that_is_held_and_empty_needs_no_further_witness(pool: HtcondorDouble) -> None:
    scheduler = adapter(pool, pool)
    scheduler.hold("wn-1", MARK)
    pool.wait(1)
    pool.argvs.clear()
    scheduler.remove("wn-1")
    assert "condor_q" not in {argv[0] for argv in pool.argvs}


# -- two machines of one name --------------------------------------------------------------------------


def test_the_old_ad_of_a_machine_that_was_renamed_does_not_hide_its_job(pool: HtcondorDouble) -> None:
    """A startd that is started again under its full name leaves an ad under the short one for 15 minutes."""
    run_a_job(pool)
    pool._ads["wn-1"] = pool.now(), ad("wn-1", Start=True, LastHeardFrom=int(pool.now()))
    scheduler = adapter(pool, pool)
    (host,) = (host for host in scheduler.poll().hosts if host.name == "wn-1")
    assert (host.state, host.busy) == (HostState.UNKNOWN, True)
    assert "wn-1.dc.test" in host.detail
    changes: tuple[Callable[[], None], ...] = (lambda: scheduler.remove("wn-1"), lambda: scheduler.hold("wn-1", MARK))
    for change in changes:
        with pytest.raises(TransientError, match="more than one machine"):
            change()
    assert not pool.machines["wn-1"].off


def test_a_machine_of_the_same_name_elsewhere_does_not_make_ours_missing() -> None:
    machines = parse_machines(printed(ad("wn-1.a.org", NumDynamicSlots=1), ad("wn-1.b.org")), lambda mark: False)
    hosts = {host.name: host for host in machines.hosts}
    assert set(hosts) == {"wn-1", "wn-1.a.org", "wn-1.b.org"}
    assert hosts["wn-1"].state is HostState.UNKNOWN
    assert hosts["wn-1"].busy
    assert "wn-1" not in machines.machine


# -- lists that are not whole ----------------------------------------------------------------------------


def test_a_pool_that_lists_nothing_where_its_collector_stood_is_not_empty(pool: HtcondorDouble) -> None:
    over = Over(pool)
    scheduler = adapter(over, pool)
    assert scheduler.poll().hosts
    over.instead["condor_status"] = says()
    with pytest.raises(TransientError, match="collector"):
        scheduler.poll()


def test_a_young_collector_that_lacks_machines_with_jobs_is_not_believed_at_first_sight(pool: HtcondorDouble) -> None:
    run_a_job(pool)
    pool._ads.clear()
    pool.collector_began_at = pool.now() - 10
    with pytest.raises(TransientError, match="wn-1"):
        adapter(pool, pool, settle_s=330.0).poll()


# -- what ads say --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["$(reboot)", "-all", "a b", "wn\n2", "wn\x1b[2J", "`id`", "x" * 300, "wn/1"])
def test_a_machine_with_an_odd_name_is_left_out(name: str) -> None:
    machines = parse_machines(printed(ad(name), ad("wn-2.x.org")), lambda mark: False)
    assert [host.name for host in machines.hosts] == ["wn-2"]
    assert len(machines.dropped) == 1
    assert machines.dropped[0].isprintable()


@pytest.mark.parametrize("priority", ["nan", "inf", 10**400, True])
def test_an_odd_priority_costs_one_job_at_most(pool: HtcondorDouble, priority: object) -> None:
    job = {"ClusterId": 1, "ProcId": 0, "JobStatus": 1, "RequestCpus": 1, "GlobalJobId": "s#1.0#1"}
    over = Over(pool)
    over.instead["condor_q"] = says(printed(job | {"JobPrio": priority}, job | {"ClusterId": 2, "JobPrio": 3}))
    jobs = {job.job_id: job for job in adapter(over, pool).poll().jobs}
    assert jobs["2.0"].priority == 3.0
    assert "1.0" not in jobs or jobs["1.0"].priority == 0.0


def test_a_command_about_jobs_that_dies_without_a_word_has_failed() -> None:
    runner = FakeRunner()
    runner.on(["condor_rm"], returncode=-9)
    calls = CondorCalls(runner, bin_dir="", prefix=(), condor_config="", pool="", schedd="", timeout_s=1.0)
    with pytest.raises(DynamicClusterError, match="-9"):
        calls.tell_about_jobs("condor_rm", "1.0", harmless=("not found",))


@pytest.mark.parametrize("address", ["", "-all", "10.0.0.1", "<10.0.0.1:1> -all"])
def test_an_ad_without_its_startds_address_gets_no_command(address: str) -> None:
    runner = FakeRunner()
    calls = CondorCalls(runner, bin_dir="", prefix=(), condor_config="", pool="", schedd="", timeout_s=1.0)
    with pytest.raises(TransientError, match="not the address"):
        calls.set_hold(address, MARK)
    assert not runner.calls
