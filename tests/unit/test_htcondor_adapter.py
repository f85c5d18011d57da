"""The HTCondor adapter: which commands it gives, and what it makes of what they say."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

import pytest

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    BusyError,
    DynamicClusterError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.htcondor import classads
from dynamiccluster.schedulers.htcondor.adapter import HtcondorScheduler
from dynamiccluster.schedulers.htcondor.calls import meaning
from dynamiccluster.schedulers.htcondor.checks import checks
from dynamiccluster.schedulers.htcondor.classads import Evaluator, find_classad
from dynamiccluster.testing.htcondor_double import HtcondorDouble, Machine
from dynamiccluster.testing.runner import FakeRunner

SMALL = Resource("small", "x", "t", Capacity(4, 4000), features=frozenset({"fast", "VMType=a"}))
MARK = "dynamiccluster:c1:n1"
CONFIG: dict[str, Any] = {"bin_dir": "", "command_prefix": None, "condor_config": "", "pool": "", "schedd": ""}


def adapter(runner: Any, clock: Any, **settings: Any) -> HtcondorScheduler:
    return HtcondorScheduler(runner, clock, "c1", find_evaluator=lambda: Evaluator(None), **settings)


@pytest.fixture
def pool() -> HtcondorDouble:
    made = HtcondorDouble()
    made.machines["wn-1"] = Machine("wn-1", "10.0.0.1", began_at=made.now())
    made.wait(5)
    return made


class Says:
    """A clock, and a runner for which every program says the same."""

    def __init__(self, stdout: str = "", stderr: str = "", returncode: int = 0) -> None:
        self.runner = FakeRunner()
        self.runner.on(lambda argv: True, lambda call: Completed(call.argv, returncode, stdout, stderr, 0.0))

    def now(self) -> float:
        return 100.0

    def monotonic(self) -> float:
        return 100.0


# -- polls -----------------------------------------------------------------------------------------------


def test_a_poll_is_two_commands_with_named_attributes(pool: HtcondorDouble) -> None:
    scheduler = adapter(pool, pool, feature_attributes=["BigMem"], queue_attribute="JobQueue")
    scheduler.declare([SMALL])
    pool.argvs.clear()
    scheduler.poll()
    status, queue = pool.argvs
    assert status[:3] == ("condor_status", "-any", "-json")
    assert queue[:3] == ("condor_q", "-allusers", "-json")
    hosts, jobs = (set(argv[argv.index("-attributes") + 1].split(",")) for argv in (status, queue))
    assert {"fast", "VMType", "BigMem", "DynamicClusterHold"} <= hosts
    assert {"JobQueue", "VMAMI", "TargetClouds", "DynamicClusterLost"} <= jobs


def test_pool_schedd_directory_prefix_and_configuration_go_with_every_command(tmp_path: Any) -> None:
    says = Says()
    config = tmp_path / "condor_config"
    config.touch()
    scheduler = adapter(
        says.runner,
        says,
        bin_dir="/opt/condor/bin",
        command_prefix=["sudo", "-n"],
        condor_config=str(config),
        pool="cm.example.org",
        schedd="s1.example.org",
        timeout_s=7.0,
    )
    scheduler.poll()
    status, queue = says.runner.calls
    assert status.argv[:5] == ("sudo", "-n", "/opt/condor/bin/condor_status", "-pool", "cm.example.org")
    assert queue.argv[2:7] == ("/opt/condor/bin/condor_q", "-pool", "cm.example.org", "-name", "s1.example.org")
    assert status.env == {"CONDOR_CONFIG": str(config)}
    assert status.timeout_s == 7.0


def test_a_configuration_file_that_is_not_there_is_said_so() -> None:
    says = Says()
    with pytest.raises(BadConfigError, match="no file /nowhere"):
        adapter(says.runner, says, condor_config="/nowhere").poll()


def test_nothing_at_all_is_an_empty_pool() -> None:
    says = Says()
    view = adapter(says.runner, says).poll()
    assert (view.jobs, view.hosts, view.dropped) == ((), (), ())


@pytest.mark.parametrize(
    ("stdout", "stderr", "returncode", "error"),
    [
        ("", "Error: communication error\nCEDAR:6001:Failed to connect to <10.0.0.9:9618>", 1, TransientError),
        ("", "Error: Can't find address for schedd wn02", 1, TransientError),
        ("", "condor_status: unknown host wn03", 1, TransientError),
        ("", 'SECMAN:2010:Received "DENIED" from server for user bob', 1, AuthError),
        ("", "Warning: the collector did not answer", 0, TransientError),
        ("[\n{", "", 0, TransientError),
        ("x", "", 139, TransientError),
    ],
)
def test_a_failed_poll_is_never_an_empty_pool(
    stdout: str, stderr: str, returncode: int, error: type[DynamicClusterError]
) -> None:
    says = Says(stdout, stderr, returncode)
    with pytest.raises(error):
        adapter(says.runner, says).poll()


def test_a_question_without_an_answer_has_changed_nothing() -> None:
    says = Says()
    says.runner.on(["condor_status"], UnknownOutcomeError("killed"))
    with pytest.raises(TransientError):
        adapter(says.runner, says).poll()


def test_a_collector_that_was_started_again_is_not_believed_at_once(pool: HtcondorDouble) -> None:
    scheduler = adapter(pool, pool, settle_s=330.0)
    assert len(scheduler.poll().hosts) == 1
    pool.collector_began_at = pool.now()
    with pytest.raises(TransientError, match="does not know all machines yet"):
        scheduler.poll()
    pool.at += 329
    with pytest.raises(TransientError):
        scheduler.poll()
    pool.at += 2
    scheduler.poll()


def test_a_first_look_at_a_young_collector_is_believed() -> None:
    pool = HtcondorDouble()
    pool.collector_began_at = pool.now()
    assert adapter(pool, pool).poll().hosts == ()


# -- hosts -----------------------------------------------------------------------------------------------


def test_a_hold_is_set_and_taken_in_by_address(pool: HtcondorDouble) -> None:
    scheduler = adapter(pool, pool)
    pool.argvs.clear()
    scheduler.hold("wn-1", MARK)
    sinful = pool.machines["wn-1"].sinful
    assert pool.argvs[1:] == [
        ("condor_config_val", "-startd", "-address", sinful, "-set", f'DynamicClusterHold = "{MARK}"'),
        ("condor_reconfig", "-startd", "-addr", sinful),
    ]
    pool.wait(1)
    pool.argvs.clear()
    scheduler.hold("wn-1", MARK)
    assert len(pool.argvs) == 1  # it was looked at only
    with pytest.raises(BusyError):
        scheduler.hold("wn-1", "dynamiccluster:c1:n2")
    with pytest.raises(BusyError):
        scheduler.release("wn-1", "dynamiccluster:c1:n2")
    scheduler.release("wn-1", MARK)
    assert pool.machines["wn-1"].hold == ""


def test_nothing_is_known_of_a_host_until_it_reports_what_it_was_told(pool: HtcondorDouble) -> None:
    scheduler = adapter(pool, pool)

    def shown() -> tuple[HostState, str]:
        (host,) = scheduler.poll().hosts
        return host.state, host.hold.mark if host.hold else ""

    scheduler.hold("wn-1", MARK)
    assert shown() == (HostState.UNKNOWN, "")
    pool.wait(1)
    assert shown() == (HostState.UP, MARK)
    scheduler.release("wn-1", MARK)
    assert shown() == (HostState.UNKNOWN, MARK)
    pool.wait(1)
    assert shown() == (HostState.UP, "")
    pool.machines["wn-1"].hold = "disk is dying"  # somebody's
    pool.wait(1)
    assert shown() == (HostState.UP, "disk is dying")


def test_a_worker_whose_image_lacks_the_setting_cannot_be_held() -> None:
    ad = '[\n{"Machine": "wn-1.x", "Name": "slot1@wn-1.x", "MyAddress": "<10.0.0.1:1>", "Cpus": 1, "Start": true}\n]\n'
    says = Says(ad)
    with pytest.raises(BadConfigError, match=r"docs/schedulers/htcondor\.md"):
        adapter(says.runner, says).hold("wn-1", MARK)


@pytest.mark.parametrize("mark", ["", 'x"', "a b", "x\ny"])
def test_odd_marks_go_nowhere(pool: HtcondorDouble, mark: str) -> None:
    with pytest.raises(BadConfigError):
        adapter(pool, pool).hold("wn-1", mark)


@pytest.mark.parametrize("name", ['x" || true', "$(reboot)", "-name", "", "a b", "x\n"])
def test_odd_names_go_nowhere(pool: HtcondorDouble, name: str) -> None:
    scheduler = adapter(pool, pool)
    pool.argvs.clear()
    for ask in (
        lambda: scheduler.find(name),
        lambda: scheduler.hold(name, MARK),
        lambda: scheduler.remove(name),
        lambda: scheduler.add(name, "10.0.0.9", SMALL),
        lambda: scheduler.evacuate(name, ["1.0"], delete_jobs=True),
    ):
        with pytest.raises(BadConfigError):
            ask()
    assert pool.argvs == []


def test_a_machine_is_announced_until_it_reports_in(pool: HtcondorDouble) -> None:
    scheduler = adapter(pool, pool)
    scheduler.add("wn-2", "10.0.0.2", SMALL)
    found = scheduler.find("wn-2")
    assert found is not None
    assert (found.state, found.address) == (HostState.JOINING, "10.0.0.2")
    with pytest.raises(NotFoundError):
        scheduler.hold("wn-2", MARK)
    with pytest.raises(BadConfigError):
        scheduler.add("wn-3", "10.0.0.2; reboot", SMALL)
    scheduler.remove("wn-2")
    assert scheduler.find("wn-2") is None


def test_a_free_machine_is_held_looked_at_and_switched_off_before_it_is_forgotten(pool: HtcondorDouble) -> None:
    scheduler = adapter(pool, pool)
    pool.argvs.clear()
    scheduler.remove("wn-1")
    programs = [argv[0] for argv in pool.argvs]
    assert programs == [
        *("condor_status", "condor_config_val", "condor_reconfig", "condor_status"),
        *("condor_off", "condor_advertise", "condor_advertise", "condor_advertise", "condor_advertise"),
    ]
    assert pool.argvs[3][1:3] == ("-direct", "wn-1.dc.test")
    assert pool.argvs[4] == ("condor_off", "-peaceful", "-name", "wn-1.dc.test", "-master")
    assert scheduler.find("wn-1") is None


def test_a_job_that_starts_while_its_machine_is_removed_keeps_it(pool: HtcondorDouble) -> None:
    job_id = pool.submit(run_s=100)
    pool.jobs[job_id].machine, pool.jobs[job_id].status = pool.machines["wn-1"], 2  # the collector has not heard yet
    scheduler = adapter(pool, pool)
    with pytest.raises(BusyError, match="just started"):
        scheduler.remove("wn-1")
    assert pool.machines["wn-1"].hold == ""
    assert not pool.machines["wn-1"].off


def test_a_machine_that_does_not_answer_is_forgotten_all_the_same(pool: HtcondorDouble) -> None:
    pool.machines["wn-1"].alive = False
    scheduler = adapter(pool, pool)
    scheduler.remove("wn-1")
    assert scheduler.find("wn-1") is None


def test_a_command_that_says_sent_and_was_refused_is_a_failure() -> None:
    ad = (
        '[\n{"Machine": "wn-1.x", "Name": "slot1@wn-1.x", "MyAddress": "<10.0.0.1:1>", "Cpus": 1, "Start": true, '
        '"DynamicClusterHold": ""}\n]\n'
    )
    says = Says(ad)
    says.runner.on(["condor_config_val"], "ok")
    complaint = "ERROR\nAUTHENTICATE:1003:Failed to authenticate with any method"
    says.runner.on(["condor_reconfig"], 'Sent "Reconfig" command to startd', stderr=complaint)
    with pytest.raises(AuthError):
        adapter(says.runner, says).hold("wn-1", MARK)


# -- jobs ------------------------------------------------------------------------------------------------


def test_only_jobs_that_are_there_are_touched(pool: HtcondorDouble) -> None:
    job_id = pool.submit(run_s=100)
    pool.wait(6)
    scheduler = adapter(pool, pool)
    pool.argvs.clear()
    scheduler.vacate("wn-1", [job_id, "99.0"])
    assert pool.argvs[-1] == ("condor_vacate_job", job_id)
    pool.argvs.clear()
    scheduler.vacate("wn-1", [])
    scheduler.evacuate("wn-1", [], delete_jobs=True)
    assert {argv[0] for argv in pool.argvs} == {"condor_status", "condor_advertise"}


@pytest.mark.parametrize("job_id", ["-all", "1.0; x", "alice", ""])
def test_odd_job_ids_go_nowhere(pool: HtcondorDouble, job_id: str) -> None:
    with pytest.raises(BadConfigError, match="odd job ids"):
        adapter(pool, pool).vacate("wn-1", [job_id])


def test_jobs_of_a_dead_machine_are_marked_and_start_when_their_lease_ends(pool: HtcondorDouble) -> None:
    job_id = pool.submit(run_s=100)
    pool.wait(6)
    pool.machines["wn-1"].alive = False
    scheduler = adapter(pool, pool)
    scheduler.evacuate("wn-1", [job_id], delete_jobs=False)
    assert pool.jobs[job_id].lost == "wn-1"
    (job,) = scheduler.poll().jobs
    assert "lease" in job.reason
    assert job.hosts == ()
    pool.machines["wn-2"] = Machine("wn-2", "10.0.0.2", began_at=pool.now())
    pool.wait(2420)
    (job,) = scheduler.poll().jobs
    assert job.hosts == ("wn-2",)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("Couldn't find/vacate all jobs in cluster 9", NotFoundError),
        ("Permission denied to remove job 1.0", AuthError),
        ("condor_off: unknown host nope", NotFoundError),
        ("Can't send end of message", AuthError),
        ('Attempt to set configuration "START = False" on startd failed.', BadConfigError),
        ("failed to send classad to <10.0.0.1:9618>", AuthError),
        ("something new", DynamicClusterError),
    ],
)
def test_complaints_have_meanings(said: str, error: type[DynamicClusterError]) -> None:
    assert meaning(said) is error


def test_unstick_needs_no_command(pool: HtcondorDouble) -> None:
    pool.argvs.clear()
    adapter(pool, pool).unstick(["1.0"])
    assert pool.argvs == []


# -- the module that may be missing ----------------------------------------------------------------------


def test_the_module_is_looked_for_once_and_when_needed(pool: HtcondorDouble) -> None:
    asked: list[str] = []

    def find() -> Evaluator:
        asked.append("")
        return Evaluator(None)

    scheduler = HtcondorScheduler(pool, pool, "c1", find_evaluator=find)
    assert asked == []
    scheduler.poll()
    scheduler.poll()
    assert asked == [""]


def test_without_the_package_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> ModuleType:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(classads.importlib, "import_module", nothing)
    evaluator = Evaluator(find_classad())
    assert not evaluator.able
    assert evaluator.number("1 + 1", {}) is None
    assert evaluator.holds("true", {}, {}) is None


def test_importing_the_package_does_not_mislead_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    def misleading(name: str) -> ModuleType:
        os.environ["CONDOR_CONFIG"] = "/dev/null"
        return ModuleType(name)

    monkeypatch.setattr(classads.importlib, "import_module", misleading)
    monkeypatch.delenv("CONDOR_CONFIG", raising=False)
    assert find_classad() is not None
    assert "CONDOR_CONFIG" not in os.environ
    monkeypatch.setenv("CONDOR_CONFIG", "/etc/condor/other")
    find_classad()
    assert os.environ["CONDOR_CONFIG"] == "/etc/condor/other"


def test_texts_that_could_lead_a_library_astray_are_not_given_to_it() -> None:
    class Trap:
        ClassAdException = ValueError

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

    evaluator = Evaluator(Trap())  # type: ignore[arg-type]  # it must not be touched
    assert evaluator.number("(" * 9000 + "1" + ")" * 9000, {}) is None


# -- check-cluster ---------------------------------------------------------------------------------------


def test_every_program_is_tried_or_looked_for() -> None:
    found = checks(CONFIG | {"bin_dir": "/opt/bin", "command_prefix": ["sudo"], "pool": "cm", "schedd": "s"})
    programs = {check.argv[1].rpartition("/")[2] for check in found}
    assert programs == {
        *("condor_status", "condor_q", "condor_ping", "condor_rm", "condor_vacate_job", "condor_qedit"),
        *("condor_config_val", "condor_reconfig", "condor_off", "condor_advertise"),
    }
    assert all(check.argv[0] == "sudo" for check in found)
    changing = {"condor_config_val", "condor_reconfig", "condor_off", "condor_advertise"}
    assert all(check.look_only == (check.argv[1].rpartition("/")[2] in changing) for check in found)
