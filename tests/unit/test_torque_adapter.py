"""The Torque adapter on a Torque that behaves as the recorded ones: its manners, its traps, its failures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from torque_harness import TorqueHarness

from dynamiccluster.errors import BadConfigError, BusyError, NotFoundError, TransientError, UnknownOutcomeError
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.torque.commands import Commands
from dynamiccluster.schedulers.torque.placeholders import address_of
from dynamiccluster.testing.torque_double.main import MAUI

SMALL = Resource("small", "x", "t", Capacity(4, 4000), max_nodes=3, features=frozenset({"fast", "std"}))
BIG = Resource("big", "x", "t", Capacity(16, 64000), max_nodes=2, features=frozenset({"big"}))
MARK = "dynamiccluster:c1:wn-1"


@pytest.fixture
def torque(tmp_path: Path) -> TorqueHarness:
    return TorqueHarness(tmp_path)


def joined(torque: TorqueHarness, name: str = "wn-1", resource: Resource = SMALL) -> None:
    address = torque.boot(name)
    torque.resolve(name, address)
    torque.scheduler.add(name, address, resource)
    torque.wait(25)
    assert host(torque, name).state is HostState.UP


def host(torque: TorqueHarness, name: str) -> Host:
    return next(host for host in torque.scheduler.poll().hosts if host.name == name)


def job(torque: TorqueHarness, job_id: str) -> Job | None:
    return next((job for job in torque.scheduler.poll().jobs if job.job_id == job_id), None)


def submit(torque: TorqueHarness, asked: str, script: str = "sleep 600\n", *words: str) -> str:
    return torque.sh("qsub", "-q", "main", *words, "-l", asked, user="alice", stdin=script)


def nodes(torque: TorqueHarness) -> dict[str, str]:
    """Name and state as ``pbsnodes -l all`` has them."""
    return dict(line.split()[:2] for line in torque.sh("pbsnodes", "-l", "all").splitlines())


# -- polls ---------------------------------------------------------------------------------------------------------


def test_a_poll_is_one_command_of_each_kind_however_many_nodes_and_jobs(torque: TorqueHarness) -> None:
    torque.scheduler.declare([SMALL, BIG])
    torque.wait(15)
    for _ in range(20):
        submit(torque, "nodes=1:ppn=2")
    torque.scheduler.poll()
    torque.commands()
    torque.wait(5)
    view = torque.scheduler.poll()
    assert len(view.jobs) == 20
    assert [Path(argv[0]).name for argv in torque.commands()] == ["pbsnodes", "qstat", "diagnose"]


def test_queues_are_asked_for_once_a_minute(torque: TorqueHarness) -> None:
    asked = []
    for _ in range(13):
        torque.scheduler.poll()
        asked.append([argv[1:] for argv in torque.commands("qstat")].count(("-Q", "-f")))
        torque.wait(10)
    assert asked == [1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]


def test_an_empty_server_is_an_empty_view(torque: TorqueHarness) -> None:
    view = torque.scheduler.poll()
    assert (view.hosts, view.jobs, view.stale_facets) == ((), (), ())
    assert not torque.commands("diagnose")  # nobody waits


@pytest.mark.parametrize("program", ["pbsnodes", "qstat"])
@pytest.mark.parametrize(
    "fault",
    [
        {"rc": 1, "stderr": "cannot connect"},
        {"hang": True},
        {"cut": 0.5},
        {"garbage": "Erreur: connexion refusée\n"},
        {"garbage": "<Data><Node></Node></Data>"},
    ],
)
def test_a_failed_question_is_no_empty_cluster(torque: TorqueHarness, program: str, fault: dict[str, object]) -> None:
    joined(torque)
    submit(torque, "nodes=1:ppn=1")
    torque.place.set_faults({program: fault})
    with pytest.raises(TransientError):
        torque.scheduler.poll()
    torque.place.set_faults({})
    assert torque.scheduler.poll().hosts


def test_a_server_that_is_down_is_no_empty_cluster_though_maui_goes_on_talking(torque: TorqueHarness) -> None:
    joined(torque)
    torque.place.set_faults({"server": "down"})
    with pytest.raises(TransientError, match="onnect"):
        torque.scheduler.poll()
    with pytest.raises(TransientError):
        torque.scheduler.hold("wn-1", MARK)
    with pytest.raises(TransientError):
        torque.scheduler.remove("wn-1")


# -- Maui ----------------------------------------------------------------------------------------------------------


def test_a_dead_maui_does_not_freeze_torque(torque: TorqueHarness) -> None:
    torque.scheduler.declare([SMALL])
    torque.wait(15)
    first = submit(torque, "nodes=1:ppn=2", "sleep 9\n", "-p", "5")
    torque.wait(15)
    assert torque.scheduler.poll().stale_facets == ()
    torque.place.set_faults({"maui": "down"})
    torque.wait(10)
    torque.commands()
    view = torque.scheduler.poll()
    assert view.stale_facets == ("priorities",)
    (waiting,) = view.jobs
    assert (waiting.job_id, waiting.wait) == (first, Wait.HELPS)
    torque.wait(10)
    torque.scheduler.poll()
    assert len(torque.commands("diagnose")) == 1  # not asked again for a minute
    torque.place.set_faults({})
    torque.wait(60)
    assert torque.scheduler.poll().stale_facets == ()


def test_a_maui_that_hangs_costs_one_time_limit_a_minute(torque: TorqueHarness) -> None:
    torque.scheduler.declare([SMALL])
    submit(torque, "nodes=1:ppn=2")
    torque.place.set_faults({"diagnose": {"hang": True}})
    for _ in range(6):
        assert torque.scheduler.poll().stale_facets == ("priorities",)
        torque.wait(10)
    assert len(torque.commands("diagnose")) == 1


def test_without_maui_torques_own_priorities_count_and_nothing_is_missed(tmp_path: Path) -> None:
    torque = TorqueHarness(tmp_path, "4.2.10.h2", "pbs_sched")
    torque.scheduler.declare([SMALL])
    torque.wait(5)
    waiting = submit(torque, "nodes=2:ppn=4:fast")
    torque.wait(15)
    view = torque.scheduler.poll()
    assert view.stale_facets == ()
    (found,) = view.jobs
    assert (found.job_id, found.wait) == (waiting, Wait.HELPS)
    assert "Not enough of the right type" in found.reason
    torque.commands()
    torque.scheduler.poll()
    assert not torque.commands(*MAUI)
    torque.scheduler.unstick([waiting])


def test_a_deferred_job_is_released_once_there_is_room_and_not_before(torque: TorqueHarness) -> None:
    torque.scheduler.declare([BIG])
    torque.wait(15)
    waiting = submit(torque, "nodes=1:ppn=16:big")
    torque.wait(40)
    assert "Deferred" in torque.sh("showq")
    found = job(torque, waiting)
    assert found is not None
    assert (found.wait, found.stuck) == (Wait.HELPS, False)
    joined(torque, "wn-1", BIG)
    torque.wait(45)
    assert "Deferred" in torque.sh("showq")  # a node alone does not help (recorded)
    found = job(torque, waiting)
    assert found is not None
    assert found.stuck
    torque.scheduler.unstick([waiting])
    torque.wait(15)
    found = job(torque, waiting)
    assert found is not None
    assert found.state is JobState.RUNNING


def test_a_job_that_its_user_holds_is_never_released(torque: TorqueHarness) -> None:
    torque.scheduler.declare([BIG])
    torque.wait(15)
    held = submit(torque, "nodes=1:ppn=16:big")
    torque.wait(20)
    torque.sh("qhold", held, user="alice")
    torque.wait(15)
    torque.commands()
    torque.scheduler.unstick([held])
    assert not torque.commands("releasehold")
    found = job(torque, held)
    assert found is not None
    assert (found.wait, found.reason) == (Wait.NO, "held by its user")


def test_what_maui_blocks_for_other_reasons_is_remembered_until_it_lists_the_job_again(torque: TorqueHarness) -> None:
    torque.scheduler.declare([SMALL])
    torque.wait(15)
    blocked = submit(torque, "nodes=1:ppn=2")
    torque.wait(40)
    text = "job is deferred.  Reason:  PolicyViolation  (x)\nHolds:    Defer  (hold reason:  PolicyViolation)\n"
    torque.place.set_faults({"checkjob": {"garbage": text}})
    torque.scheduler.unstick([blocked])
    assert not torque.commands("releasehold")
    found = job(torque, blocked)
    assert found is not None
    assert (found.wait, found.reason, found.stuck) == (Wait.NO, "Maui: deferred: PolicyViolation", False)
    torque.place.set_faults({})
    torque.sh("releasehold", "-a", blocked.partition(".")[0])
    torque.place.set_faults({"diagnose": {"garbage": f"PRIORITY\n{blocked.partition('.')[0]}  7  0\n"}})
    found = job(torque, blocked)
    assert found is not None
    assert (found.wait, found.priority) == (Wait.HELPS, 7.0)


def test_unsticking_looks_at_no_more_than_it_has_time_for(torque: TorqueHarness) -> None:
    torque.wait(15)
    torque.scheduler.poll()
    torque.scheduler.unstick([f"{number}.thn01+1" for number in range(1000)])
    assert len(torque.commands("checkjob")) == 50
    with pytest.raises(BadConfigError):
        torque.scheduler.unstick(["$(reboot)"])


# -- placeholders --------------------------------------------------------------------------------------------------


def test_jobs_of_every_declared_shape_are_accepted_before_a_node_exists(torque: TorqueHarness) -> None:
    torque.scheduler.declare([SMALL, BIG])
    for asked in ("nodes=3:ppn=4:fast:std", "nodes=2:ppn=16:big", "nodes=1:ppn=4:fast+1:ppn=16:big", "procs=30"):
        assert submit(torque, asked).endswith(".thn01")
    view = torque.scheduler.poll()
    assert all(host.template for host in view.hosts)
    assert [host.total.cores for host in view.hosts] == [4, 16]  # one of each shape is shown
    assert len(nodes(torque)) == 5


def test_placeholders_are_held_as_soon_as_the_server_lets_them_be(torque: TorqueHarness) -> None:
    torque.scheduler.declare([SMALL])
    assert set(nodes(torque).values()) == {"down,offline,MOM-list-not-sent"}
    torque.wait(15)
    assert set(nodes(torque).values()) == {"down"}
    joined(torque)
    held = {name: state for name, state in nodes(torque).items() if name.startswith("dc-template")}
    assert set(held.values()) == {"down,offline"}
    assert "dynamiccluster:c1:placeholder" in torque.sh("pbsnodes", "-ln")


def test_declaring_again_changes_nothing(torque: TorqueHarness) -> None:
    torque.scheduler.declare([SMALL])
    torque.wait(15)
    torque.scheduler.declare([SMALL])
    torque.commands()
    torque.scheduler.declare([SMALL, replace(SMALL, name="same", max_nodes=2)])
    assert [argv[1:] for argv in torque.commands()] == [("-x",)]


def test_placeholders_have_addresses_of_their_own(torque: TorqueHarness) -> None:
    torque.scheduler.declare([SMALL, BIG])
    lines = Path(torque.place.hosts_file()).read_text(encoding="utf-8").split()
    addresses = [word for word in lines if word.startswith("127.") and word != "127.0.0.1"]
    assert len(set(addresses)) == 5
    assert address_of("a") == address_of("a") != address_of("b")


def test_names_that_do_not_resolve_are_the_sites_to_mend(tmp_path: Path) -> None:
    torque = TorqueHarness(tmp_path, resolve=None)
    with pytest.raises(BadConfigError, match=r"dc-template-.*must resolve"):
        torque.scheduler.declare([SMALL, BIG])
    assert len(torque.commands("qmgr")) == 2  # one try for each shape
    TorqueHarness(tmp_path, resolve=None, template_limit=0).scheduler.declare([SMALL])


def test_a_shape_without_cores_is_refused_and_the_others_are_not(torque: TorqueHarness) -> None:
    with pytest.raises(BadConfigError, match="without cores"):
        torque.scheduler.declare([Resource("x", "x", "t", Capacity(), max_nodes=2), BIG])
    assert len(nodes(torque)) == 2


def test_the_shape_of_the_last_node_stays_while_somebody_waits_for_it(torque: TorqueHarness) -> None:
    odd = replace(SMALL, capacity=Capacity(6, 4000), features=frozenset({"odd"}))
    joined(torque, "wn-1", odd)
    torque.scheduler.hold("wn-1", MARK)
    waiting = submit(torque, "nodes=1:ppn=6:odd")
    torque.scheduler.remove("wn-1")
    (left,) = torque.scheduler.poll().hosts
    assert (left.template, left.total.cores, left.features) == (True, 6, {"odd"})
    torque.sh("qdel", "-p", waiting)
    joined(torque, "wn-2", replace(odd, capacity=Capacity(8, 4000)))
    torque.scheduler.hold("wn-2", MARK)
    torque.scheduler.remove("wn-2")  # nobody waits
    assert len(nodes(torque)) == 1


# -- nodes ---------------------------------------------------------------------------------------------------------


def test_a_new_node_has_its_size_and_properties(torque: TorqueHarness) -> None:
    joined(torque)
    found = host(torque, "wn-1")
    assert (found.total, found.features, found.hold) == (Capacity(4, 4000), {"fast", "std"}, None)
    torque.commands()
    torque.scheduler.add("wn-1", found.address, SMALL)
    assert {Path(argv[0]).name for argv in torque.commands()} == {"pbsnodes"}


def test_a_node_of_other_attributes_is_corrected(torque: TorqueHarness) -> None:
    joined(torque)
    found = host(torque, "wn-1")
    other = replace(SMALL, capacity=Capacity(8, 4000), features=frozenset({"other", "two"}))
    torque.scheduler.add("wn-1", found.address, other)
    corrected = host(torque, "wn-1")
    assert (corrected.total.cores, corrected.features) == (8, {"other", "two"})


def test_a_node_that_4_2_makes_offline_is_opened(tmp_path: Path) -> None:
    torque = TorqueHarness(tmp_path, "4.2.10.h2", "pbs_sched")
    joined(torque)
    assert host(torque, "wn-1").hold is None


def test_a_name_that_the_server_cannot_look_up_is_tried_again(torque: TorqueHarness) -> None:
    with pytest.raises(TransientError, match="cannot resolve"):
        torque.scheduler.add("wn-1", "10.0.0.1", SMALL)
    joined(torque)


@pytest.mark.parametrize("name", ["$(reboot)", "a b", "-x", "ALL", "a,b", "a\nb"])
def test_hostile_names_never_reach_a_command(torque: TorqueHarness, name: str) -> None:
    for act in (
        lambda: torque.scheduler.add(name, "10.0.0.1", SMALL),
        lambda: torque.scheduler.hold(name, MARK),
        lambda: torque.scheduler.remove(name),
        lambda: torque.scheduler.find(name),
        lambda: torque.scheduler.evacuate(name, ["1.thn01"], True),
    ):
        with pytest.raises(BadConfigError):
            act()
    assert not torque.commands()


def test_a_new_node_cannot_be_held_for_some_seconds(torque: TorqueHarness) -> None:
    address = torque.boot("wn-1")
    torque.resolve("wn-1", address)
    torque.scheduler.add("wn-1", address, SMALL)
    with pytest.raises(TransientError, match="okclients"):
        torque.scheduler.hold("wn-1", MARK)
    torque.wait(15)
    torque.scheduler.hold("wn-1", MARK)


def test_errors_with_return_code_0_are_errors(torque: TorqueHarness) -> None:
    joined(torque)
    torque.place.set_faults(
        {"pbsnodes": {"only": "-o", "rc": 0, "stderr": "Error setting note attribute for wn-1 - x"}}
    )
    with pytest.raises(Exception, match="Error setting note"):
        torque.scheduler.hold("wn-1", MARK)
    with pytest.raises(NotFoundError):
        torque.scheduler.release("wn-9", MARK)


def test_a_hold_keeps_what_stood_in_the_note_and_a_release_brings_it_back(torque: TorqueHarness) -> None:
    joined(torque)
    torque.sh("pbsnodes", "-N", "rack 4", "wn-1")
    torque.scheduler.hold("wn-1", MARK)
    held = host(torque, "wn-1").hold
    assert held is not None
    assert (held.mark, held.ours) == (MARK, True)
    assert f"{MARK} | rack 4" in torque.sh("pbsnodes", "-ln")
    torque.scheduler.release("wn-1", MARK)
    assert host(torque, "wn-1").hold is None
    assert host(torque, "wn-1").detail == "free: rack 4"


def test_a_note_of_ours_left_behind_is_taken_away(torque: TorqueHarness) -> None:
    """Or an administrator's own hold without a note would look like ours."""
    joined(torque)
    torque.scheduler.hold("wn-1", MARK)
    torque.sh("pbsnodes", "-c", "wn-1")
    torque.scheduler.release("wn-1", MARK)
    torque.sh("pbsnodes", "-o", "wn-1")
    found = host(torque, "wn-1").hold
    assert found is not None
    assert not found.ours
    with pytest.raises(BusyError):
        torque.scheduler.release("wn-1", MARK)


def test_a_node_with_jobs_is_never_deleted(torque: TorqueHarness) -> None:
    joined(torque)
    kept = submit(torque, "nodes=1:ppn=1")
    torque.wait(15)
    torque.scheduler.hold("wn-1", MARK)
    torque.commands()
    with pytest.raises(BusyError, match=kept):
        torque.scheduler.remove("wn-1")
    assert not [argv for argv in torque.commands("qmgr") if "delete" in argv[-1]]


def test_a_node_is_closed_before_it_is_deleted(torque: TorqueHarness) -> None:
    joined(torque)
    torque.commands()
    torque.scheduler.remove("wn-1")
    changes = [argv for argv in torque.commands("qmgr", "pbsnodes") if argv[1] != "-x"]
    assert [argv[1:3] for argv in changes] == [("-o", "-N"), ("-c", "delete node wn-1")]
    assert torque.scheduler.find("wn-1") is None


def test_a_job_that_starts_at_the_last_moment_keeps_its_node(torque: TorqueHarness) -> None:
    joined(torque)
    listing = torque.sh("pbsnodes", "-x")
    submit(torque, "nodes=1:ppn=1")
    torque.wait(15)
    torque.place.set_faults({"pbsnodes": {"garbage": listing + "\n", "times": 2, "only": "-x"}})
    with pytest.raises(BusyError):
        torque.scheduler.remove("wn-1")
    found = host(torque, "wn-1")
    assert found.busy
    assert found.hold is None


def test_a_deletion_that_blocks_is_looked_after(torque: TorqueHarness) -> None:
    joined(torque)
    torque.place.set_faults({"qmgr": {"hang": True, "only": "delete"}})
    with pytest.raises(UnknownOutcomeError):
        torque.scheduler.remove("wn-1")
    torque.place.set_faults({})
    torque.scheduler.remove("wn-1")
    assert torque.scheduler.find("wn-1") is None


def test_a_node_is_not_removed_unseen(torque: TorqueHarness) -> None:
    joined(torque)
    listing = torque.sh("pbsnodes", "-x").replace("<np>4</np>", "<np>?</np>")
    good = "<Node><name>n2</name><state>free</state><np>2</np></Node></Data>"
    torque.place.set_faults({"pbsnodes": {"garbage": listing.replace("</Data>", good)}})
    with pytest.raises(TransientError, match="cannot be seen"):
        torque.scheduler.remove("wn-1")


def test_a_person_sees_what_maui_thinks(torque: TorqueHarness) -> None:
    joined(torque)
    found = torque.scheduler.find("wn-1")
    assert found is not None
    assert found.detail == "free (Maui: Idle)"
    torque.place.set_faults({"maui": "down"})
    found = torque.scheduler.find("wn-1")
    assert found is not None
    assert found.detail == "free"


# -- jobs on nodes -------------------------------------------------------------------------------------------------


def test_jobs_that_may_not_be_rerun_are_left_running(torque: TorqueHarness) -> None:
    joined(torque)
    stubborn = submit(torque, "nodes=1:ppn=1", "sleep 600\n", "-r", "n")
    torque.wait(15)
    torque.scheduler.hold("wn-1", MARK)
    torque.scheduler.vacate("wn-1", [stubborn])
    found = job(torque, stubborn)
    assert found is not None
    assert (found.state, found.rerunnable) == (JobState.RUNNING, False)


def test_on_a_dead_host_those_are_purged(torque: TorqueHarness) -> None:
    joined(torque)
    stubborn = submit(torque, "nodes=1:ppn=1", "sleep 600\n", "-r", "n")
    other = submit(torque, "nodes=1:ppn=1")
    torque.wait(15)
    torque.crash("wn-1")
    torque.wait(40)
    torque.scheduler.evacuate("wn-1", [stubborn, other], delete_jobs=False)
    found = job(torque, other)
    assert found is not None
    assert found.state is JobState.PENDING
    gone = job(torque, stubborn)
    assert gone is None or gone.state is JobState.DONE
    assert not host(torque, "wn-1").busy


def test_vacated_jobs_may_be_sent_a_signal_instead(tmp_path: Path) -> None:
    torque = TorqueHarness(tmp_path, vacate_signal="SIGUSR1")
    joined(torque)
    told = submit(torque, "nodes=1:ppn=1")
    torque.wait(15)
    torque.commands()
    torque.scheduler.vacate("wn-1", [told])
    assert torque.commands("qsig", "qrerun") == [("/usr/bin/qsig", "-s", "SIGUSR1", told)]


def test_the_sites_own_commands_are_used(tmp_path: Path) -> None:
    commands = Commands(qstat="/opt/t/qstat", pbsnodes="/opt/t/pbsnodes {0} {1}", diagnose_p="/opt/m/diagnose -p")
    torque = TorqueHarness(tmp_path, commands=commands)
    torque.scheduler.declare([SMALL])
    torque.scheduler.poll()
    submit(torque, "nodes=1:ppn=1")
    torque.commands()
    torque.scheduler.poll()
    assert torque.commands("qstat", "diagnose") == [("/opt/t/qstat", "-x", "-t"), ("/opt/m/diagnose", "-p")]


def test_a_dialect_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfigError, match="dialect"):
        TorqueHarness(tmp_path, dialect="slurm")


def test_a_record_of_an_earlier_machine_is_made_anew_and_one_in_use_is_not(torque: TorqueHarness) -> None:
    torque.resolve("wn-1", "10.0.0.1")
    torque.scheduler.add("wn-1", "10.0.0.1", SMALL)
    torque.wait(15)
    torque.commands()
    torque.scheduler.add("wn-1", "10.0.0.1", SMALL)
    assert not torque.commands("qmgr")
    torque.resolve("wn-1", "10.0.0.2")
    torque.scheduler.add("wn-1", "10.0.0.2", SMALL)
    changes = [argv[1:3] for argv in torque.commands("qmgr", "pbsnodes") if argv[1] != "-x"]
    assert changes[:3] == [("-o", "-N"), ("-c", "delete node wn-1"), ("-c", "create node wn-1")]
    torque.boot("wn-1")
    torque.wait(25)
    torque.commands()
    torque.scheduler.add("wn-1", "10.0.0.3", SMALL)
    assert not torque.commands("qmgr")
