"""How the LSF double behaves in time: what the recording's story tells, beyond single outputs."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from dynamiccluster.errors import UnknownOutcomeError
from dynamiccluster.testing.lsf_double.cluster import LSF
from dynamiccluster.testing.lsf_double.double import LsfDouble

NOON = 1795176000.0


@pytest.fixture
def double(tmp_path: Path) -> LsfDouble:
    return LsfDouble(str(tmp_path), now=NOON, shared=("fast",))


def submit(double: LsfDouble, *words: str, sleep: int = 600, user: str = "bob") -> str:
    return double.run("bsub", *words, "sleep", str(sleep), user=user).split("<")[1].split(">")[0]


def state_of(double: LsfDouble, job: str) -> str:
    return double.run("bjobs", "-w", job).splitlines()[1].split()[2]


def status_of(double: LsfDouble, host: str) -> str:
    return double.run("bhosts", "-w", host).splitlines()[1].split()[1]


def reasons_of(double: LsfDouble, job: str) -> str:
    return double.run("bjobs", "-p", "-l", job).partition("PENDING REASONS:")[2]


def add(double: LsfDouble, name: str, slots: int = 4, resources: str = "") -> None:
    more = ["-R", resources] if resources else []
    double.run("lsaddhost", "-m", "IntelI5", "-t", "linux", "-f", "100", *more, "-M", str(slots), name)


def join(double: LsfDouble, name: str, slots: int = 4, resources: str = "") -> None:
    add(double, name, slots, resources)
    double.boot(name)
    double.pass_time(50)
    assert status_of(double, name) == "ok"


def test_a_host_is_ready_only_when_both_of_its_daemons_are(double: LsfDouble) -> None:
    add(double, "cn02")
    assert "cn02" not in double.run("bhosts")
    assert "cn02" in double.run("lshosts")
    double.boot("cn02")
    double.pass_time(12)
    assert status_of(double, "cn02") == "ok"
    assert "cn02            unavail" in double.run("lsload")
    job = submit(double)
    double.pass_time(8)
    assert state_of(double, job) == "PEND"
    assert "Load information unavailable: cn02" in reasons_of(double, job)
    double.pass_time(20)
    assert "cn02                ok" in double.run("lsload")
    assert state_of(double, job) == "RUN"


def test_a_host_without_daemons_is_unreachable_then_unavailable(double: LsfDouble) -> None:
    add(double, "cn03")
    double.pass_time(12)
    assert status_of(double, "cn03") == "unreach"
    double.pass_time(70)
    assert status_of(double, "cn03") == "unavail"


def test_without_the_name_there_is_no_host(double: LsfDouble) -> None:
    double.resolve("other", "10.0.0.2")
    with pytest.raises(RuntimeError, match="invalid hostname"):
        add(double, "cn02")
    double.resolve("cn02", "10.0.0.1")
    add(double, "cn02")


def test_more_slots_than_there_are_is_refused_whatever_the_hosts_do(double: LsfDouble) -> None:
    with pytest.raises(RuntimeError, match="Too many processors requested"):
        submit(double, "-n", "4")
    add(double, "stands-for", 4)
    job = submit(double, "-n", "4")
    assert state_of(double, job) == "PEND"


def test_closed_hides_death(double: LsfDouble) -> None:
    join(double, "cn02")
    double.run("badmin", "hclose", "-C", "ours", "cn02")
    double.crash("cn02")
    double.pass_time(90)
    assert status_of(double, "cn02") == "closed_Adm"
    assert "cn02                ok" in double.run("lsload")
    assert 'ADMIN ACTION MESSAGE: "ours"' in double.run("bhosts", "-l", "cn02")


def test_a_closed_host_keeps_its_job_and_takes_no_other(double: LsfDouble) -> None:
    join(double, "cn02")
    first = submit(double)
    double.pass_time(5)
    double.run("badmin", "hclose", "cn02")
    second = submit(double)
    double.pass_time(30)
    assert (state_of(double, first), state_of(double, second)) == ("RUN", "PEND")
    double.run("badmin", "hopen", "cn02")
    double.pass_time(5)
    assert state_of(double, second) == "RUN"


def test_a_host_removed_with_its_job_takes_the_job_along(double: LsfDouble) -> None:
    join(double, "cn02")
    job = submit(double)
    double.pass_time(5)
    double.run("lsrmhost", "cn02")
    assert state_of(double, job) == "EXIT"
    assert "lost_and_found" in double.run("bjobs", "-l", job)
    assert "cn02" not in double.run("lshosts")


@pytest.mark.parametrize("rerunnable", [True, False])
def test_jobs_of_a_dead_host_are_unknown_until_it_is_given_up(double: LsfDouble, rerunnable: bool) -> None:
    join(double, "cn02")
    job = submit(double, *(["-r"] if rerunnable else []))
    double.pass_time(5)
    double.crash("cn02")
    double.pass_time(30)
    assert state_of(double, job) == "RUN"
    double.pass_time(45)
    assert state_of(double, job) == "UNKWN"
    assert status_of(double, "cn02") == "unreach"
    double.pass_time(120)
    assert status_of(double, "cn02") == "unavail"
    assert state_of(double, job) == ("PEND" if rerunnable else "UNKWN")


def test_a_job_of_a_dead_host_can_be_forgotten_and_sent_back(double: LsfDouble) -> None:
    join(double, "cn02")
    job = submit(double)
    double.pass_time(5)
    double.crash("cn02")
    with pytest.raises(RuntimeError):
        double.run("brequeue", job)
    double.run("bkill", "-r", job)
    assert state_of(double, job) == "EXIT"
    double.run("brequeue", "-e", job)
    assert state_of(double, job) == "PEND"


def test_select_and_span_decide_where_a_job_runs(double: LsfDouble) -> None:
    join(double, "cn02")
    join(double, "cn03", resources="fast cs")
    picky = submit(double, "-R", "select[fast]")
    never = submit(double, "-R", "select[gpu && mem>100]")
    wide = submit(double, "-n", "4", "-R", "span[ptile=2]")
    double.pass_time(5)
    assert "cn03" in double.run("bjobs", "-w", picky)
    assert "cn02:cn02:cn03:cn03" in double.run("bjobs", "-w", wide)
    assert "Job's resource requirements not satisfied" in reasons_of(double, never)


def test_memory_is_reserved(double: LsfDouble) -> None:
    join(double, "cn02")
    first, second = (submit(double, "-R", "rusage[mem=15000]") for _ in range(2))
    double.pass_time(5)
    assert (state_of(double, first), state_of(double, second)) == ("RUN", "PEND")
    assert "reserving resource (mem)" in reasons_of(double, second)


def test_an_array_runs_as_many_at_once_as_it_may(double: LsfDouble) -> None:
    join(double, "cn02")
    submit(double, "-J", "arr[1-5]%2", sleep=20)
    double.pass_time(5)
    listed = double.run("bjobs", "-u", "all", "-w")
    assert (listed.count("RUN"), listed.count("PEND")) == (2, 3)
    assert " : 1 host;" in double.run("bjobs", "-u", "all", "-w", "-p")
    double.pass_time(30)
    assert "DONE" in double.run("bjobs", "-u", "all", "-a", "-w")


def test_a_job_waits_for_another_one(double: LsfDouble) -> None:
    join(double, "cn02")
    first = submit(double, "-J", "first", sleep=20)
    second = submit(double, "-w", "done(first)")
    double.pass_time(5)
    assert "Job dependency condition not satisfied" in reasons_of(double, second)
    double.pass_time(25)
    assert (state_of(double, first), state_of(double, second)) == ("DONE", "RUN")


def test_held_jobs_and_limits_of_queues(double: LsfDouble) -> None:
    join(double, "cn02")
    held = submit(double, "-H")
    many = [submit(double, "-q", "long") for _ in range(3)]
    double.pass_time(5)
    assert state_of(double, held) == "PSUSP"
    assert [state_of(double, job) for job in many] == ["RUN", "RUN", "PEND"]
    assert "per-user job slot limit" in reasons_of(double, many[2])
    double.run("bresume", held)
    double.pass_time(5)
    assert state_of(double, held) == "RUN"


@pytest.mark.parametrize(("daemon", "command"), [("mbatchd", "bjobs"), ("mbatchd", "bhosts"), ("lim", "bhosts")])
def test_commands_wait_for_ever_for_a_daemon(double: LsfDouble, daemon: str, command: str) -> None:
    double.place.set_faults({daemon: "down"})
    with pytest.raises(UnknownOutcomeError):
        double.run(command)


def test_nothing_to_show_is_255(double: LsfDouble) -> None:
    done = double.runner().run(["bjobs", "-u", "all", "-w"], timeout_s=1)
    assert (done.returncode, done.stdout, done.stderr) == (255, "", "No unfinished job found\n")


def test_json_as_documented(tmp_path: Path) -> None:
    double = LsfDouble(str(tmp_path), now=NOON, dialect=LSF)
    assert "LSF" in double.run("lsid").splitlines()[0]
    fields = "jobid stat user queue nreq_slot exec_host pend_reason submit_time"
    empty = json.loads(double.run("bjobs", "-u", "all", "-o", fields, "-json"))
    assert empty == {"COMMAND": "bjobs", "JOBS": 0, "RECORDS": []}
    double.boot("cn01", cores=4)
    double.pass_time(60)
    job = submit(double, "-n", "4", "-R", "span[hosts=1]")
    double.pass_time(5)
    (record,) = json.loads(double.run("bjobs", "-u", "all", "-o", fields, "-json"))["RECORDS"]
    assert (record["JOBID"], record["STAT"], record["EXEC_HOST"]) == (job, "RUN", "4*cn01")
    assert all(isinstance(value, str) for value in record.values())
    double.run("badmin", "hclose", "-C", "ours: a/b", "cn01")
    text = double.run("bhosts", "-o", "host_name status max njobs comments", "-json")
    assert "ours: a\\/b" in text
    hosts = {one["HOST_NAME"]: one for one in json.loads(text)["RECORDS"]}
    assert (hosts["cn01"]["STATUS"], hosts["cn01"]["COMMENTS"], hosts["cn01"]["NJOBS"]) == (
        "closed_Adm",
        "ours: a/b",
        "4",
    )
    with pytest.raises(RuntimeError, match="nonsense is not a valid field name"):
        double.run("bjobs", "-o", "jobid nonsense", "-json")
    double.crash("cn01")
    double.run("lsadmin", "expire", "cn01")
    assert "cn01" not in double.run("lshosts")


def test_a_real_script_runs_under_a_worker_that_is_a_process(tmp_path: Path) -> None:
    """The only test here in real time: master, worker and job are processes, and time runs twenty times as fast."""
    double = LsfDouble(str(tmp_path), now=NOON, speed=20)
    subprocess.run([f"{double.bin}/mbatchd"], check=True)
    pid = int((tmp_path / "mbatchd.pid").read_text())
    worker = subprocess.Popen([f"{double.bin}/lsf_worker", "cn02", "4", "4000", ""])
    try:
        add(double, "cn02")
        done = double.runner("bob").run(
            ["bsub", "-n", "2"], timeout_s=1, stdin='echo "$LSB_JOBID on $LSB_HOSTS"; exit 3\n'
        )
        assert done.returncode == 0
        end = time.monotonic() + 20
        while "EXIT" not in double.run("bjobs", "-w", "101") and time.monotonic() < end:
            time.sleep(0.1)
        assert (tmp_path / "output" / "101.out").read_text() == "101 on cn02 cn02\n"
        assert "exit code 3" in double.run("bjobs", "-l", "101")
    finally:
        worker.kill()
        worker.wait()
        subprocess.run(["/bin/kill", "-9", str(pid)], check=True)
