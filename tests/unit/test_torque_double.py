"""How the Torque double behaves in time: what the recordings' stories tell, beyond single outputs."""

from __future__ import annotations

import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from dynamiccluster.errors import UnknownOutcomeError
from dynamiccluster.testing.torque_double.cluster import FOUR, SIX
from dynamiccluster.testing.torque_double.double import TorqueDouble

NOON = 1795176000.0


@pytest.fixture
def double(tmp_path: Path) -> TorqueDouble:
    return TorqueDouble(str(tmp_path), now=NOON)


def older(tmp_path: Path) -> TorqueDouble:
    return TorqueDouble(str(tmp_path), now=NOON, version=FOUR, scheduler="pbs_sched")


def node(double: TorqueDouble, name: str) -> dict[str, str]:
    text = double.run("pbsnodes", "-x", name)
    return {one.tag: one.text or "" for one in ElementTree.fromstring(text)[0]}  # noqa: S314 - our own text


def state_of(double: TorqueDouble, job_id: str) -> str:
    return double.run("qstat", "-f", "-1", job_id).partition("job_state = ")[2][:1]


def add(double: TorqueDouble, name: str, np: int = 4, properties: str = "") -> None:
    more = f',properties="{properties}"' if properties else ""
    double.run("qmgr", "-c", f"create node {name} np={np}{more}")


def join(double: TorqueDouble, name: str, np: int = 4, properties: str = "") -> None:
    """A node that is free, with a living mom."""
    double.boot(name)
    add(double, name, np, properties)
    double.pass_time(25)
    if node(double, name)["state"] == "offline":
        double.run("pbsnodes", "-c", name)
    assert node(double, name)["state"] == "free"


def submit(double: TorqueDouble, *words: str, sleep: int = 600) -> str:
    done = double.run("qsub", *words, user="alice", stdin=f"sleep {sleep}\n")
    return done.strip().partition(".")[0]


def test_a_new_node_is_not_trusted_before_the_moms_know_it(double: TorqueDouble) -> None:
    double.boot("node01")
    add(double, "node01")
    states = []
    for _ in range(30):
        states.append(node(double, "node01")["state"])
        double.pass_time(1)
    assert list(dict.fromkeys(states)) in (
        ["down,offline,MOM-list-not-sent", "down", "free"],
        ["down,offline,MOM-list-not-sent", "free"],
    )
    assert 10 <= states.count("down,offline,MOM-list-not-sent") <= 12
    assert states.index("free") <= 12 + 10


def test_a_node_that_is_not_trusted_yet_cannot_be_held(double: TorqueDouble) -> None:
    add(double, "node01")
    done = double.runner().run(["pbsnodes", "-o", "-N", "ours", "node01"], timeout_s=1)
    assert (done.returncode, done.stdout) == (0, "")
    assert "okclients" in done.stderr
    double.pass_time(13)
    double.run("pbsnodes", "-o", "-N", "ours", "node01")
    assert (node(double, "node01")["state"], node(double, "node01")["note"]) == ("down,offline", "ours")


def test_without_the_name_there_is_no_node(double: TorqueDouble) -> None:
    double.resolve("other", "10.0.0.2")
    with pytest.raises(RuntimeError, match="Unknown node"):
        add(double, "node01")
    double.resolve("node01", "10.0.0.1")
    add(double, "node01")


def test_the_older_version_opens_no_node_by_itself(tmp_path: Path) -> None:
    double = older(tmp_path)
    double.boot("node01")
    add(double, "node01")
    assert node(double, "node01")["state"] == "down,offline"
    double.pass_time(60)
    assert node(double, "node01")["state"] == "offline"
    double.run("pbsnodes", "-c", "node01")
    assert node(double, "node01")["state"] == "free"


def test_a_job_runs_and_is_forgotten_a_minute_after_its_end(double: TorqueDouble) -> None:
    join(double, "node01")
    job = submit(double, "-l", "nodes=1:ppn=2", sleep=100)
    double.pass_time(12)
    assert node(double, "node01")["jobs"] == f"0-1/{job}.thn01"
    double.pass_time(105)
    assert "exit_status = 0" in double.run("qstat", "-f", job)
    double.pass_time(70)
    with pytest.raises(RuntimeError, match="Unknown Job Id"):
        double.run("qstat", job)


def test_what_no_defined_node_fits_is_refused_until_a_placeholder_stands_for_it(double: TorqueDouble) -> None:
    join(double, "node01")
    with pytest.raises(RuntimeError, match=r"190: .*cannot locate feasible nodes"):
        submit(double, "-l", "nodes=1:ppn=2:cloud")
    add(double, "stands-for", 4, "cloud")
    double.pass_time(13)
    double.run("pbsnodes", "-o", "stands-for")
    job = submit(double, "-l", "nodes=1:ppn=2:cloud")
    double.pass_time(15)
    assert state_of(double, job) == "Q"
    assert "NoResources" in double.run("checkjob", job)


def test_maui_defers_for_an_hour_whatever_comes(double: TorqueDouble) -> None:
    """s8 of the recording: a node that fits is idle for 45 s; after releasehold the job runs at the next cycle."""
    add(double, "stands-for", 16)
    job = submit(double, "-l", "nodes=1:ppn=16")
    double.pass_time(15)
    assert "exceeds available partition procs" in double.run("checkjob", job)
    join(double, "node04", 16)
    double.pass_time(45)
    assert state_of(double, job) == "Q"
    double.run("releasehold", "-a", job)
    double.pass_time(11)
    assert state_of(double, job) == "R"


def test_a_deferral_ends_by_itself_after_an_hour(double: TorqueDouble) -> None:
    add(double, "stands-for", 16)
    job = submit(double, "-l", "nodes=1:ppn=16")
    double.pass_time(15)
    join(double, "node04", 16)
    double.pass_time(3500)
    assert state_of(double, job) == "Q"
    double.pass_time(120)
    assert state_of(double, job) == "R"


def test_pbs_sched_deletes_what_can_never_run(tmp_path: Path) -> None:
    double = older(tmp_path)
    join(double, "node01")
    add(double, "node02")
    first, second = submit(double, "-l", "nodes=2:ppn=4"), submit(double, "-l", "nodes=1:ppn=4")
    double.pass_time(12)
    assert (state_of(double, first), state_of(double, second)) == ("Q", "R")
    assert "Not enough of the right type of nodes" in double.run("qstat", "-f", first)
    double.run("qmgr", "-c", "delete node node02")
    double.pass_time(12)
    assert state_of(double, first) == "C"


def test_jobs_stay_on_a_node_whose_mom_has_died(double: TorqueDouble) -> None:
    join(double, "node01")
    job = submit(double, "-l", "nodes=1:ppn=1", sleep=30)
    double.pass_time(12)
    double.crash("node01")
    double.pass_time(5)
    assert node(double, "node01")["state"] == "free"
    double.pass_time(25)
    assert node(double, "node01")["state"] == "down"
    double.pass_time(600)
    assert state_of(double, job) == "R"
    assert node(double, "node01")["jobs"] == f"0/{job}.thn01"
    assert f"jobs={job}.thn01" in node(double, "node01")["status"]


def test_maui_shows_what_it_saw_last(double: TorqueDouble) -> None:
    join(double, "node01")
    job = submit(double, "-l", "nodes=1:ppn=1")
    double.pass_time(15)
    before = double.run("showq")
    double.place.set_faults({"server": "down"})
    double.pass_time(3600)
    assert double.run("showq") == before
    assert f"{job} " in before
    with pytest.raises(RuntimeError, match="111"):
        double.run("qstat")


def test_without_maui_nothing_starts(double: TorqueDouble) -> None:
    join(double, "node01")
    double.place.set_faults({"maui": "down"})
    job = submit(double, "-l", "nodes=1:ppn=1")
    double.pass_time(60)
    assert state_of(double, job) == "Q"
    with pytest.raises(RuntimeError, match="lost connection"):
        double.run("diagnose", "-p")


@pytest.mark.parametrize("alive", [True, False])
def test_a_node_with_jobs_is_deleted_with_all_its_jobs(double: TorqueDouble, alive: bool) -> None:
    """qmgr blocks; the server goes on without it: two minutes for each job, then the node is gone (recorded)."""
    join(double, "node01")
    jobs = [submit(double, "-l", "nodes=1:ppn=2") for _ in range(2)]
    double.pass_time(15)
    if not alive:
        double.crash("node01")
        double.pass_time(40)
    with pytest.raises(UnknownOutcomeError):
        double.runner().run(["qmgr", "-c", "delete node node01"], timeout_s=1)
    double.pass_time(90)
    assert node(double, "node01")["name"] == "node01"
    listed = double.run("qstat", "-f", "-1", jobs[0])
    assert ("start_count = 2" in listed) is alive
    double.pass_time(35)
    with pytest.raises(RuntimeError, match="Unknown Job Id"):
        double.run("qstat", jobs[0])
    double.pass_time(125)
    with pytest.raises(RuntimeError, match="Unknown Job Id"):
        double.run("qstat", jobs[1])
    with pytest.raises(RuntimeError):
        node(double, "node01")


def test_an_idle_node_goes_within_seconds(double: TorqueDouble) -> None:
    join(double, "node01")
    join(double, "node02")
    double.run("pbsnodes", "-o", "node01")
    double.run("qmgr", "-c", "delete node node01")
    assert "node01" not in double.run("pbsnodes", "-x")
    assert "Down" in double.run("checknode", "node01") or "State" in double.run("checknode", "node01")


def test_a_held_node_keeps_its_jobs_and_takes_no_other(double: TorqueDouble) -> None:
    join(double, "node01")
    first = submit(double, "-l", "nodes=1:ppn=2")
    double.pass_time(12)
    double.run("pbsnodes", "-o", "-N", "ours", "node01")
    second = submit(double, "-l", "nodes=1:ppn=1")
    double.pass_time(60)
    assert (state_of(double, first), state_of(double, second)) == ("R", "Q")
    assert "jobs active on node but state is Drained" in double.run("checknode", "node01")


def test_an_array_runs_as_many_at_once_as_it_may(double: TorqueDouble) -> None:
    join(double, "node01")
    array = submit(double, "-t", "1-5%2", "-l", "nodes=1:ppn=1", sleep=30)
    double.pass_time(12)
    listed = double.run("qstat", "-t", "-f", "-1")
    assert listed.count("job_state = R") == 2
    assert listed.count("Hold_Types = l") == 3
    double.pass_time(35)
    assert double.run("qstat", "-t", "-f", "-1").count("job_state = R") == 2
    assert array in double.run("qstat")


def test_a_job_waits_for_another_one(double: TorqueDouble) -> None:
    join(double, "node01")
    first = submit(double, "-l", "nodes=1:ppn=1", sleep=30)
    second = submit(double, "-W", f"depend=afterok:{first}", "-l", "nodes=1:ppn=1")
    double.pass_time(12)
    assert state_of(double, second) == "H"
    double.pass_time(45)
    assert state_of(double, second) == "R"


def test_a_reservation_keeps_others_away(double: TorqueDouble) -> None:
    join(double, "node01")
    double.pass_time(11)
    double.run("setres", "-a", "projX", "node01")
    stranger = submit(double, "-l", "nodes=1:ppn=1")
    member = submit(double, "-A", "projX", "-l", "nodes=1:ppn=1")
    double.pass_time(30)
    assert (state_of(double, stranger), state_of(double, member)) == ("Q", "R")
    assert "projX.0" in double.run("showres", "-n")
    double.run("releaseres", "projX.0")
    double.run("releasehold", "-a", stranger)
    double.pass_time(15)
    assert state_of(double, stranger) == "R"


def test_a_rerun_job_starts_again_and_a_purged_one_is_gone(double: TorqueDouble) -> None:
    join(double, "node01")
    job = submit(double, "-l", "nodes=1:ppn=1")
    double.pass_time(12)
    double.crash("node01")
    done = double.runner().run(["qrerun", job], timeout_s=1)
    assert done.returncode != 0
    double.run("qrerun", "-f", job)
    assert state_of(double, job) == "Q"
    double.run("qdel", "-p", job)
    with pytest.raises(RuntimeError, match="153"):
        double.run("qstat", job)


@pytest.mark.parametrize(
    ("fault", "code", "out"),
    [({"garbage": "<Data><Jo"}, 0, "<Data><Jo"), ({"rc": 1, "stderr": "no"}, 1, ""), ({"cut": 0.5}, 0, None)],
)
def test_faults_on_request(double: TorqueDouble, fault: dict[str, object], code: int, out: str | None) -> None:
    whole = double.run("qstat", "-x", "-t")
    double.place.set_faults({"qstat": {**fault, "times": 1}})
    done = double.runner().run(["qstat", "-x", "-t"], timeout_s=1)
    assert done.returncode == code
    assert done.stdout == (whole[: len(whole) // 2] if out is None else out)
    assert double.run("qstat", "-x", "-t") == whole


def test_a_command_that_hangs(double: TorqueDouble) -> None:
    double.place.set_faults({"pbsnodes": {"hang": True}})
    with pytest.raises(UnknownOutcomeError):
        double.run("pbsnodes", "-x")


@pytest.mark.parametrize("scheduler", ["maui", "pbs_sched"])
def test_a_real_script_runs_under_a_mom_that_is_a_process(tmp_path: Path, scheduler: str) -> None:
    """The only test here in real time: server, mom and job are processes, and time runs twenty times as fast."""
    double = TorqueDouble(str(tmp_path), now=NOON, speed=20, version=SIX, scheduler=scheduler)
    programs = {name: f"{double.bin}/{name}" for name in ("pbs_server", "pbs_mom", "qmgr", "qsub", "qstat")}
    subprocess.run([programs["pbs_server"]], check=True)
    pid = int((tmp_path / "pbs_server.pid").read_text())
    mom = subprocess.Popen([programs["pbs_mom"], "node01", "4", "4000"])
    try:
        double.run("qmgr", "-c", "create node node01 np=4")
        (tmp_path / "script").write_text('echo "$PBS_JOBID on $(cat "$PBS_NODEFILE")"; exit 3\n')
        submitted = [programs["qsub"], "-l", "nodes=1:ppn=1", str(tmp_path / "script")]
        subprocess.run(submitted, env={"STAND_IN_USER": "alice"}, check=True, capture_output=True)
        end = time.monotonic() + 20
        while "exit_status = 3" not in double.run("qstat", "-f", "0") and time.monotonic() < end:
            if "Deferred" in (double.run("showq") if scheduler == "maui" else ""):
                double.run("releasehold", "-a", "0")
            time.sleep(0.1)
        assert (tmp_path / "output" / "0.OU").read_text() == "0 on node01\n"
    finally:
        mom.kill()
        mom.wait()
        subprocess.run(["/bin/kill", "-9", str(pid)], check=True)


@pytest.mark.parametrize(
    ("change", "properties"),
    [("= c", "c"), ("+= c", "a,b,c"), ("-= a", "b"), ('= "c,d"', "c,d")],
)
def test_properties_are_set_added_and_taken_away(double: TorqueDouble, change: str, properties: str) -> None:
    add(double, "node01", 4, "a,b")
    double.run("qmgr", "-c", f"set node node01 properties {change}")
    assert node(double, "node01")["properties"] == properties
