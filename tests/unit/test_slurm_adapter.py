"""The Slurm adapter against a small Slurm with the manners of the real one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from fake_slurm import TOKEN, FakeNode, FakeSlurm

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    BusyError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import Wait
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.schedulers.slurm.adapter import SlurmScheduler
from dynamiccluster.schedulers.slurm.jobs_parse import output_format
from dynamiccluster.testing.runner import Call

NOW = 1_800_000_000.0
SMALL = Resource("small", "x", "t", Capacity(4, 4000), max_nodes=3, features=frozenset({"std"}))
GPU = Resource("gpu", "x", "t", Capacity(8, 8000, 2), max_nodes=2, gpu_type="a100")
LONG = Resource("long", "x", "t", Capacity(4, 4000), max_nodes=1, reservation=Reservation("long", "", "big"))
MARK = "dynamiccluster:c1:n1"


class FixedClock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def adapter(slurm: FakeSlurm, **options: object) -> SlurmScheduler:
    return SlurmScheduler(slurm.runner, FixedClock(), "c1", new_token=lambda: TOKEN, **options)  # type: ignore[arg-type]


def job_line(job_id: str, reason: str, eligible_at: float = 0, name: str = "x", licences: str = "(null)") -> str:
    values = {
        "JobArrayID": job_id,
        "SubmitTime": f"{NOW - 100:.0f}",
        "PriorityLong": "5",
        "State": "PENDING",
        "Reason": reason,
        "EligibleTime": f"{eligible_at:.0f}" if eligible_at else "N/A",
        "StartTime": "N/A",
        "Licenses": licences,
        "UserName": "alice",
        "Partition": "main",
        "tres-alloc": "cpu=1,mem=100M,node=1",
        "MinMemory": "100M",
        "Name": name,
    }
    separated = [word.partition(":") for word in output_format(TOKEN).split(",")]
    return "".join(values.get(column, "") + separator for column, _, separator in separated) + "\n"


def registered(slurm: FakeSlurm, name: str = "small-1", **changes: object) -> FakeNode:
    node = FakeNode(name, 4, 4000, ["queue_long", "queue_main", "std"], address="10.0.0.1", base="IDLE")
    for key, value in changes.items():
        setattr(node, key, value)
    slurm.nodes[name] = node
    slurm._refresh()
    return node


def test_shapes_are_declared_once_with_as_many_templates_as_nodes() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    scheduler.declare([SMALL, replace(SMALL, name="same", max_nodes=2), GPU, LONG])
    made = {}
    for name, node in slurm.nodes.items():
        made.setdefault(name.rsplit("-", 1)[0], []).append(node)
    assert sorted(len(nodes) for nodes in made.values()) == [1, 2, 3]
    assert {(node.cores, node.gres, *node.features) for node in slurm.nodes.values()} == {
        (4, "(null)", "queue_long", "queue_main", "std"),
        (8, "gpu:a100:2", "queue_long", "queue_main"),
        (4, "(null)", "big", "queue_long"),
    }
    before = len(slurm.changes())
    scheduler.declare([SMALL, GPU, LONG])
    assert len(slurm.changes()) == before
    view = scheduler.poll()
    assert [host.template for host in view.hosts] == [True, True, True]


def test_templates_leave_room_for_real_nodes() -> None:
    slurm = FakeSlurm(max_nodes=12)
    adapter(slurm).declare([replace(SMALL, max_nodes=5), replace(GPU, max_nodes=5)])
    assert len(slurm.nodes) == 2  # 12 - 10 to come


@pytest.mark.parametrize("complains", [False, True])
def test_a_full_node_table_leaves_out_the_shapes_that_come_last(complains: bool) -> None:
    full = FakeSlurm(max_nodes=1, complains=complains)
    with pytest.raises(BadConfigError, match="MaxNodeCount"):
        adapter(full).declare([SMALL, GPU])
    assert len(full.nodes) == 1


def test_gpus_that_slurm_does_not_know_are_found_out() -> None:
    slurm = FakeSlurm()
    slurm.gres_types = set()
    with pytest.raises(BadConfigError, match="GresTypes"):
        adapter(slurm).declare([GPU, SMALL])
    assert {node.cores for node in slurm.nodes.values()} == {4}  # the others are there all the same


def test_a_template_limit_and_a_resource_without_size() -> None:
    slurm = FakeSlurm()
    with pytest.raises(BadConfigError, match="without cores"):
        adapter(slurm, template_limit=2).declare([SMALL, Resource("unknown", "x", "t", Capacity(), max_nodes=2)])
    assert len(slurm.nodes) == 2


def test_adding_a_node_and_adding_it_again() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    scheduler.add("small-1", "10.0.0.1", SMALL)
    node = slurm.node("small-1")
    assert (node.base, node.address, node.cores, node.memory) == ("FUTURE", "10.0.0.1", 4, 4000)
    (host,) = scheduler.poll().hosts
    assert (host.state, host.template) == (HostState.JOINING, False)
    before = len(slurm.changes())
    scheduler.add("small-1", "10.0.0.1", SMALL)
    assert len(slurm.changes()) == before


@pytest.mark.parametrize("complains", [False, True])
def test_a_full_node_table_is_found_out(complains: bool) -> None:
    slurm = FakeSlurm(max_nodes=0, complains=complains)
    with pytest.raises(BadConfigError, match="MaxNodeCount"):
        adapter(slurm).add("small-1", "10.0.0.1", SMALL)


def test_a_leftover_is_made_anew_and_a_living_node_is_corrected() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    registered(slurm, base="DOWN", cores=2)
    scheduler.add("small-1", "10.0.0.9", SMALL)
    assert (slurm.node("small-1").base, slurm.node("small-1").cores) == ("FUTURE", 4)
    living = registered(slurm, "small-2", features=["std"])
    assert living.partitions == ["all"]
    scheduler.add("small-2", "10.0.0.2", SMALL)
    assert living.address == "10.0.0.2"
    assert sorted(living.features) == ["queue_long", "queue_main", "std"]
    assert living.partitions == ["main", "long", "all"]
    assert set(slurm.nodes) == {"small-1", "small-2"}


@pytest.mark.parametrize("complains", [False, True])
def test_what_a_crash_has_left_does_not_keep_partitions_as_they_were(complains: bool) -> None:
    slurm = FakeSlurm(complains=complains)
    registered(slurm, "dc-template-touch-0", base="FUTURE")
    living = registered(slurm, features=["std"], partitions=["all"])
    adapter(slurm).add("small-1", "10.0.0.1", SMALL)
    assert living.partitions == ["main", "long", "all"]
    assert set(slurm.nodes) == {"small-1"}


def test_a_node_that_registers_while_it_is_added_is_added_by_the_next_attempt() -> None:
    """24.11.5 deletes it then, as it is free."""
    slurm = FakeSlurm(complains=True)
    scheduler = adapter(slurm)
    told = slurm.runner.run

    def registers_in_between(argv: Sequence[str], **options: Any) -> Completed:
        if "create" in argv and not slurm.changes():
            registered(slurm)
        return told(argv, **options)

    slurm.runner.run = registers_in_between  # type: ignore[method-assign]  # the one moment that matters
    with pytest.raises(TransientError, match="already exists"):
        scheduler.add("small-1", "10.0.0.1", SMALL)
    scheduler.add("small-1", "10.0.0.1", SMALL)
    assert slurm.node("small-1").base == "FUTURE"


def test_hold_and_release() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    node = registered(slurm)
    scheduler.hold("small-1", MARK)
    scheduler.hold("small-1", MARK)
    assert node.reason == MARK
    assert len(slurm.changes()) == 1
    with pytest.raises(BusyError):
        scheduler.hold("small-1", "dynamiccluster:c1:other")
    with pytest.raises(BusyError):
        scheduler.release("small-1", "dynamiccluster:c1:other")
    scheduler.release("small-1", MARK)
    scheduler.release("small-1", MARK)
    assert len(slurm.changes()) == 2
    assert "DRAIN" not in node.flags


def test_the_hold_of_a_person_stays() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    registered(slurm, flags={"DRAIN"}, reason="disk is dying")
    for act in (scheduler.hold, scheduler.release):
        with pytest.raises(BusyError, match="disk is dying"):
            act("small-1", MARK)
    assert not slurm.changes()


def test_removing() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    scheduler.declare([SMALL])
    node = registered(slurm, used=1)
    with pytest.raises(BusyError):
        scheduler.remove("small-1")
    node.used, node.flags = 0, {"COMPLETING", "DYNAMIC_NORM"}
    with pytest.raises(BusyError):
        scheduler.remove("small-1")
    node.flags = {"DYNAMIC_NORM"}
    scheduler.remove("small-1")
    scheduler.remove("small-1")
    assert "small-1" not in slurm.nodes


def test_a_node_whose_record_cannot_be_read_is_not_taken_for_gone() -> None:
    slurm = FakeSlurm()
    registered(slurm, "small-2")
    registered(slurm, cores="odd", used=1)
    with pytest.raises(TransientError, match="cannot be seen"):
        adapter(slurm).remove("small-1")
    assert "small-1" in slurm.nodes


def test_nodes_of_slurm_conf_are_never_deleted() -> None:
    slurm = FakeSlurm()
    registered(slurm, flags=set())
    with pytest.raises(BadConfigError, match=r"slurm\.conf"):
        adapter(slurm).remove("small-1")
    assert "small-1" in slurm.nodes


@pytest.mark.parametrize(("waiting", "left"), [("7\n", 1), ("", 0)])
def test_the_last_node_of_a_shape_leaves_a_template_if_anybody_waits(waiting: str, left: int) -> None:
    slurm = FakeSlurm()
    slurm.asked_jobs = waiting
    registered(slurm, features=["odd"])
    adapter(slurm).remove("small-1")
    assert [node.features for node in slurm.nodes.values()] == [["odd"]] * left


def test_a_deletion_that_never_answers_is_looked_at() -> None:
    slurm = FakeSlurm()
    slurm.hang_on = {"delete"}
    scheduler = adapter(slurm)
    registered(slurm)
    scheduler.remove("small-1")  # it was carried out all the same
    registered(slurm)
    slurm.runner.on(["scontrol", "delete"], UnknownOutcomeError("did not end"))
    with pytest.raises(UnknownOutcomeError):
        scheduler.remove("small-1")


def test_a_node_to_come_that_has_moved_is_not_made_anew() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    scheduler.add("small-1", "10.0.0.1", SMALL)
    scheduler.add("small-1", "10.0.0.2", SMALL)
    assert slurm.changes()[-1] == ("scontrol", "update", "nodename=small-1", "nodeaddr=10.0.0.2")
    assert not [argv for argv in slurm.changes() if "delete" in argv]
    known = len(slurm.changes())
    scheduler.add("small-1", "10.0.0.2", SMALL)
    scheduler.add("small-1", "", SMALL)
    assert len(slurm.changes()) == known


def test_requeued_jobs_are_stuck_until_the_wait_is_lifted() -> None:
    """Whoever requeued them: we, somebody else, or Slurm itself because their node had failed."""
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    slurm.jobs_on["small-1"] = ["5", "7_1", "9+0", "9+1", "12"]
    scheduler.vacate("small-1", ["5", "7_1", "9+1", "13"])
    assert slurm.changes() == [("scontrol", "requeue", "5,7_1,9")]
    wait_over = NOW - 100 + 121  # submitted, as Slurm has it, with the requeue
    slurm.jobs = "".join(job_line(job_id, "BeginTime", wait_over) for job_id in ("5", "6", "7_[1-2]", "8_3", "9+1"))
    slurm.jobs += job_line("10", "BeginTime", wait_over + 60)  # the user's own wish
    slurm.restarts = "5|1|\n6|0|\n7_[1-2]|1|\n8_3|2|\n9+0|1|\n9+1|1|\nodd\n"
    stuck = [job.job_id for job in scheduler.poll().jobs if job.stuck]
    assert stuck == ["5", "7", "8_3", "9+1"]
    assert slurm.runner.argvs[-1][-4:] == ("-j", "5,6,7,8_3,9", "-O", "JobArrayID:|,RestartCnt:|")
    slurm.asked_jobs = "5|BeginTime|\n7_[1-2]|JobArrayTaskLimit|\n9+1|BeginTime|\n11|BadConstraints|\n"
    scheduler.unstick([*stuck, "11"])
    assert slurm.changes()[1:] == [
        ("scontrol", "release", "11"),
        ("scontrol", "update", "starttime=now", "jobid=5,7_[1-2],9"),
    ]
    slurm.jobs = job_line("5", "Resources", NOW - 5)
    (job,) = scheduler.poll().jobs
    assert not job.stuck
    assert job.wait is Wait.HELPS


def test_restarts_are_asked_for_only_where_times_look_like_a_requeue() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    slurm.jobs = job_line("1", "BeginTime", NOW + 300) + job_line("2", "Resources")
    assert not any(job.stuck for job in scheduler.poll().jobs)
    asked = [argv for argv in slurm.runner.argvs if argv[0] == "squeue"]
    assert len(asked) == 1
    slurm.jobs = "".join(job_line(f"{number}", "BeginTime", NOW + 20) for number in range(1, 500))
    slurm.restarts = "".join(f"{number}|0|\n" for number in range(1, 500))
    assert not any(job.stuck for job in scheduler.poll().jobs)
    assert "-j" not in slurm.runner.argvs[-1]
    slurm.jobs = job_line("1", "BeginTime", NOW + 20)
    real = slurm._squeue

    def gone(call: Call) -> Completed | str:
        if "-j" in call.argv:
            return Completed(call.argv, 1, "", "slurm_load_jobs error: Invalid job id specified", 0.0)
        return real(call)

    slurm.runner.on(["squeue"], gone)
    assert not scheduler.poll().jobs[0].stuck


def test_requeue_complaints_that_do_not_matter_and_one_that_does() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    slurm.complaints["requeue"] = (
        "Invalid job id specified for job 5\nJob is pending execution for job 6\n"
        "Requested operation is presently disabled for job 7\n"
    )
    slurm.jobs_on["small-1"] = ["5", "6", "7", "8"]
    scheduler.vacate("small-1", ["5", "6", "7"])
    slurm.complaints["requeue"] += "Access/permission denied for job 8\n"
    with pytest.raises(AuthError):
        scheduler.vacate("small-1", ["8"])


def test_evacuating_a_dead_host() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    node = registered(slurm, used=2, flags={"NOT_RESPONDING", "COMPLETING", "DYNAMIC_NORM"})
    slurm.jobs_on["small-1"] = ["5", "6"]
    scheduler.evacuate("small-1", ["5"], delete_jobs=True)
    assert slurm.changes()[0] == ("scancel", "5")
    assert node.base == "DOWN"
    scheduler.evacuate("small-1", ["6", "7"], delete_jobs=False)
    assert slurm.changes()[-1] == ("scontrol", "requeue", "6")  # 7 is elsewhere by now
    scheduler.evacuate("gone-1", [], delete_jobs=False)


def test_licences_are_asked_for_only_when_somebody_wants_one() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    slurm.jobs = job_line("1", "Priority")
    scheduler.poll()
    assert not [argv for argv in slurm.runner.argvs if "licenses" in argv]
    slurm.jobs = job_line("1", "Priority", licences="matlab:1") + job_line("2", "Priority", licences="matlab:1")
    slurm.licences = "LicenseName=matlab Total=1 Used=0 Free=1 Reserved=0 Remote=no\n"
    assert [job.wait for job in scheduler.poll().jobs] == [Wait.HELPS, Wait.NO]


def test_a_poll_takes_three_commands_however_many_jobs() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    scheduler.poll()
    before = len(slurm.runner.calls)
    slurm.jobs = "".join(job_line(str(at), "Resources") for at in range(1000))
    for at in range(50):
        registered(slurm, f"n{at}")
    view = scheduler.poll()
    assert (len(view.jobs), len(view.hosts)) == (1000, 50)
    assert len(slurm.runner.calls) - before == 3
    assert [argv[0] for argv in slurm.runner.argvs[before:]] == ["scontrol", "squeue", "scontrol"]  # hosts first


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", TransientError),
        ("slurm_load_jobs error: Socket timed out on send/recv operation", TransientError),
        ("slurm_load_jobs error: Zero Bytes were transmitted or received", TransientError),
        ("squeue: error: Munge encode failed: Failed to access socket", AuthError),
        ("squeue: fatal: Unable to process configuration file", BadConfigError),
        ("scontrol: fatal: Could not establish a configuration source", BadConfigError),
    ],
)
def test_a_failed_poll_raises_by_its_meaning(said: str, kind: type[Exception]) -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    slurm.runner.on(["squeue"], "", returncode=1, stderr=said)
    with pytest.raises(kind):
        scheduler.poll()


def test_garbage_and_hanging_and_cut_output_are_transient() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    for answer in ("<html>login first</html>\n", job_line("1", "Resources")[:-30]):
        slurm.jobs = answer
        with pytest.raises(TransientError):
            scheduler.poll()
    slurm.runner.on(["squeue"], UnknownOutcomeError("squeue did not end"))
    with pytest.raises(TransientError):
        scheduler.poll()


def test_an_action_whose_answer_is_lost_is_unknown() -> None:
    slurm = FakeSlurm()
    registered(slurm)
    slurm.complaints["update"] = "slurm_update error: Socket timed out on send/recv operation"
    with pytest.raises(UnknownOutcomeError):
        adapter(slurm).hold("small-1", MARK)


@pytest.mark.parametrize("name", ["ALL", "all", "DEFAULT", "n[1-9]", "a,b", "-x", "a b", "", "a=b", "x" * 300])
def test_names_that_slurm_would_take_for_something_else(name: str) -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    for act in (scheduler.remove, scheduler.find, lambda host: scheduler.hold(host, MARK)):
        with pytest.raises(BadConfigError):
            act(name)
    assert not slurm.runner.calls


def test_odd_ids_marks_and_addresses_reach_no_command() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    with pytest.raises(BadConfigError):
        scheduler.vacate("small-1", ["5; rm"])
    with pytest.raises(BadConfigError):
        scheduler.hold("small-1", "dynamiccluster:c1:n1 state=DOWN")
    with pytest.raises(BadConfigError):
        scheduler.add("small-1", "10.0.0.1 state=DOWN", SMALL)
    assert not slurm.changes()


def test_what_is_not_there() -> None:
    slurm = FakeSlurm()
    scheduler = adapter(slurm)
    assert scheduler.find("small-1") is None
    for act in (scheduler.hold, scheduler.release):
        with pytest.raises(NotFoundError):
            act("small-1", MARK)


def test_a_missing_configuration_file_is_said_at_once() -> None:
    slurm = FakeSlurm()
    with pytest.raises(BadConfigError, match=r"no file /nowhere/slurm\.conf"):
        adapter(slurm, slurm_conf="/nowhere/slurm.conf").poll()
    assert not slurm.runner.calls


def test_the_environment_cannot_mislead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_USERS", "bob")
    slurm = FakeSlurm()
    slurm.runner.on(
        ["sudo"],
        lambda call: (
            slurm._squeue(call) if "squeue" in call.argv else slurm._scontrol(replace(call, argv=call.argv[1:]))
        ),
    )
    adapter(slurm, command_prefix=("sudo",)).poll()
    (squeue,) = [call for call in slurm.runner.calls if "squeue" in call.argv]
    assert squeue.argv[:5] == ("sudo", "env", "-u", "SQUEUE_USERS", "squeue")
    environment = squeue.env
    assert environment is not None
    assert (environment["SLURM_TIME_FORMAT"], environment["SLURM_BITSTR_LEN"]) == ("%s", "0")


def test_an_unknown_reason_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    slurm = FakeSlurm()
    slurm.jobs = job_line("1", "NewReason")
    scheduler = adapter(slurm)
    scheduler.poll()
    scheduler.poll()
    assert [record.message for record in caplog.records] == [
        "unknown pending reason 'NewReason': its jobs are taken to wait for nodes"
    ]


@pytest.mark.parametrize(("flag", "said"), [("PLANNED", "would end slurmctld"), ("RESERVED", "in a reservation")])
def test_a_node_that_slurm_has_plans_for_is_not_deleted_yet(flag: str, said: str) -> None:
    slurm = FakeSlurm()
    registered(slurm, flags={"DYNAMIC_NORM", "DRAIN", flag}, reason="dynamiccluster:c1:small-1")
    scheduler = adapter(slurm)
    with pytest.raises(TransientError, match=said):
        scheduler.remove("small-1")
    registered(slurm, base="DOWN", flags={"DYNAMIC_NORM", flag})
    with pytest.raises(TransientError, match=said):
        scheduler.add("small-1", "10.0.0.2", GPU)
    assert not [argv for argv in slurm.changes() if "delete" in argv]
    slurm.node("small-1").flags.discard(flag)
    scheduler.remove("small-1")
    assert "small-1" not in slurm.nodes
