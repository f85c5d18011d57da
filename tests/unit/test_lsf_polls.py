"""What the LSF adapter asks, and makes of the answers: a small LSF with the manners of the recorded OpenLava."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_lsf import LSF, MARK, NOW, SMALL, FakeLsf, adapter

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    TransientError,
)
from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import JobState, Wait
from dynamiccluster.schedulers.lsf.adapter import LsfSettings
from dynamiccluster.schedulers.lsf.calls import found_nothing

RECORDED = Path(__file__).parents[1] / "recorded" / "openlava"
DOCUMENTED = Path(__file__).parents[1] / "documented" / "lsf"


# -- polls -----------------------------------------------------------------------------------------------


def test_a_poll_of_openlava_is_four_commands() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", jobs=2)
    lsf.uf = (RECORDED / "s5_bjobs_UF.txt").read_text()
    scheduler = adapter(lsf)
    scheduler.poll()
    before = len(lsf.runner.argvs)
    view = scheduler.poll()
    assert [argv[0] for argv in lsf.runner.argvs[before:]] == ["bhosts", "lshosts", "lsload", "bjobs"]
    assert lsf.runner.argvs[-1] == ("bjobs", "-u", "all", "-UF")
    assert len(view.jobs) == 7
    (host,) = view.hosts
    assert (host.state, host.total, host.used.cores, host.busy) == (HostState.UP, Capacity(4, 4000), 2, True)
    assert (view.started_at, view.completed_at) == (NOW, NOW)


def test_instants_are_asked_for_in_utc_and_words_in_english() -> None:
    lsf = FakeLsf()
    adapter(lsf).poll()
    assert all(call.env == {"TZ": "UTC", "LC_ALL": "C"} for call in lsf.runner.calls)


def test_no_jobs_is_an_answer_and_no_failure() -> None:
    view = adapter(FakeLsf()).poll()
    assert view.jobs == ()
    assert view.hosts == ()


def test_no_jobs_as_json_may_end_like_no_jobs_as_text() -> None:
    empty = (DOCUMENTED / "bjobs_o_json_empty.json").read_text()
    assert found_nothing(Completed(("bjobs",), 255, empty, "No unfinished job found\n", 0.0))
    assert not found_nothing(Completed(("bjobs",), 255, '{"RECORDS":[{"JOBID":"1"', "", 0.0))


def test_arrays_cost_one_more_command_while_elements_wait() -> None:
    lsf = FakeLsf()
    text = (RECORDED / "s5_bjobs_UF.txt").read_text()
    lsf.uf = text.replace("Job <105>, Job Name <gpu>", "Job <105[2]>, Job Name <gpu[2]>")
    lsf.arrays = "105  gpu[1-9]%1 bob  9 9 0 0 0 0 0 0\n"
    view = adapter(lsf).poll()
    assert lsf.runner.argvs[-1] == ("bjobs", "-u", "all", "-A", "-w")
    array = next(job for job in view.jobs if job.job_id == "105")
    assert (array.throttle, array.startable_tasks) == (1, 1)


def test_an_old_openlava_has_only_the_long_list() -> None:
    lsf = FakeLsf()
    lsf.runner.on(["bjobs", "-u", "all", "-UF"], "", returncode=255, stderr="bjobs: invalid option -- 'U'\nUsage: x\n")
    lsf.runner.on(["bjobs", "-u", "all", "-l"], (RECORDED / "s1_bjobs_u_all_l.txt").read_text())
    scheduler = adapter(lsf)
    assert len(scheduler.poll().jobs) == 11
    before = len(lsf.runner.argvs)
    scheduler.poll()
    assert ("bjobs", "-u", "all", "-UF") not in lsf.runner.argvs[before:]


def test_lsf_answers_in_json() -> None:
    lsf = FakeLsf(LSF)
    lsf.host("small-1", status="closed_Adm", message=MARK, jobs=1)
    lsf.json_jobs = [
        {
            "JOBID": "7",
            "STAT": "RUN",
            "USER": "bob",
            "QUEUE": "main",
            "PROJ_NAME": "p",
            "JOB_NAME": "n",
            "NREQ_SLOT": "1",
            "EXEC_HOST": "small-1",
            "EFFECTIVE_RESREQ": "select[type == local]",
            "RUNTIMELIMIT": "",
            "SUBMIT_TIME": "Nov 20 06:54",
            "START_TIME": "Nov 20 06:55",
            "PEND_REASON": "",
        }
    ]
    view = adapter(lsf).poll()
    assert [(job.job_id, job.state, job.hosts) for job in view.jobs] == [("7", JobState.RUNNING, ("small-1",))]
    (host,) = view.hosts
    assert host.hold is not None
    assert host.hold.ours
    assert any("-json" in argv for argv in lsf.runner.argvs if argv[0] == "bhosts")


def test_fields_that_lsf_does_not_know_are_not_asked_for_again() -> None:
    lsf = FakeLsf(LSF)
    lsf.unknown_fields = {"gpu_num", "ask_hosts"}
    scheduler = adapter(lsf)
    scheduler.poll()
    asked = [argv[argv.index("-o") + 1] for argv in lsf.runner.argvs if argv[0] == "bjobs"]
    assert len(asked) == 3
    assert "gpu_num" not in asked[-1]
    assert "exclusive" in asked[-1]
    before = len(lsf.runner.argvs)
    scheduler.poll()
    assert len([argv for argv in lsf.runner.argvs[before:] if argv[0] == "bjobs"]) == 1


def test_lsf_without_json_is_read_like_openlava() -> None:
    lsf = FakeLsf(LSF)
    lsf.no_json = {"bjobs", "bhosts"}
    lsf.host("small-1")
    lsf.uf = (RECORDED / "s5_bjobs_UF.txt").read_text()
    scheduler = adapter(lsf)
    assert len(scheduler.poll().jobs) == 7
    before = len(lsf.runner.argvs)
    assert len(scheduler.poll().hosts) == 1
    assert not [argv for argv in lsf.runner.argvs[before:] if "-json" in argv]


@pytest.mark.parametrize("dialect", ["lsf", "openlava"])
def test_a_dialect_that_is_told_is_not_asked_for(dialect: str) -> None:
    lsf = FakeLsf()
    adapter(lsf, LsfSettings(dialect=dialect)).poll()
    assert "lsid" not in lsf.programs()
    assert any("-json" in argv for argv in lsf.runner.argvs) == (dialect == "lsf")


@pytest.mark.parametrize(
    ("program", "code", "said", "error"),
    [
        ("lsload", 246, "lsload: LIM is down; try later\n", TransientError),
        ("bhosts", 255, "Failed in an LSF library call: LIM is down; try later\n", TransientError),
        ("bjobs", 255, "batch system daemon not responding ... still trying\n", TransientError),
        ("bjobs", 255, "User permission denied\n", AuthError),
        ("lsid", 255, "lsid: Cannot open lsf.conf file\n", BadConfigError),
    ],
)
def test_daemons_that_are_down(program: str, code: int, said: str, error: type[Exception]) -> None:
    lsf = FakeLsf()
    lsf.complaints[program] = code, said
    with pytest.raises(error):
        adapter(lsf).poll()


@pytest.mark.parametrize("program", ["bjobs", "bhosts", "lsid"])
def test_a_question_that_never_ends_has_changed_nothing(program: str) -> None:
    lsf = FakeLsf()
    lsf.hang.add(program)
    with pytest.raises(TransientError, match="did not end"):
        adapter(lsf).poll()


def test_a_closed_host_whose_jobs_are_lost_is_not_called_up() -> None:
    lsf = FakeLsf()
    lsf.host("cn02", status="closed_Adm", message=MARK, jobs=2)
    lsf.uf = (RECORDED / "s5_bjobs_UF.txt").read_text()
    scheduler = adapter(lsf)
    assert scheduler.poll().hosts[0].state is HostState.UP
    lsf.uf = lsf.uf.replace("Status <RUN>, Queue <normal>", "Status <UNKWN>, Queue <normal>")
    (host,) = scheduler.poll().hosts
    assert host.state is HostState.UNKNOWN
    assert "UNKWN" in host.detail


def test_half_a_list_is_no_list() -> None:
    lsf = FakeLsf()
    lsf.uf = (RECORDED / "s5_bjobs_UF.txt").read_text()[:3000]
    with pytest.raises(TransientError, match="cut off"):
        adapter(lsf).poll()
    lsf.uf = "\n"
    with pytest.raises(TransientError, match="printed nothing"):
        adapter(lsf).poll()


def test_a_list_without_its_end_is_no_list_once_a_whole_one_was_seen() -> None:
    lsf = FakeLsf()
    text = lsf.uf = (RECORDED / "s5_bjobs_UF.txt").read_text()
    scheduler = adapter(lsf)
    scheduler.poll()
    lsf.uf = text[: text.index("\n RESOURCE REQUIREMENT DETAILS:")]
    assert lsf.uf.endswith("\n")
    with pytest.raises(TransientError, match="cut off"):
        scheduler.poll()


def test_unknown_reasons_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    lsf = FakeLsf()
    text = (RECORDED / "s5_bjobs_UF.txt").read_text()
    lsf.uf = text.replace("Job slot limit reached: 1 host", "The moon is full: 1 host")
    scheduler = adapter(lsf)
    scheduler.poll()
    view = scheduler.poll()
    assert caplog.text.count("The moon is full") == 1
    assert next(job for job in view.jobs if job.job_id == "105").wait is Wait.HELPS


# -- declarations ----------------------------------------------------------------------------------------


def test_resources_that_lsf_does_not_know_are_named() -> None:
    lsf = FakeLsf()
    scheduler = adapter(lsf)
    scheduler.declare([replace(SMALL, capacity=Capacity())])
    with pytest.raises(BadConfigError, match=r"lsf\.shared does not have: gpu Boolean, ssd Boolean|gpu .*, ssd "):
        scheduler.declare([replace(SMALL, features=frozenset({"ssd", "gpu", "fast"}))])


def test_placeholders_are_added_once_and_shown_as_such(caplog: pytest.LogCaptureFixture) -> None:
    lsf = FakeLsf()
    names: list[tuple[str, str]] = []
    scheduler = adapter(
        lsf, LsfSettings(placeholder_hosts=("dc-1",)), resolve=lambda name, address: names.append((name, address))
    )
    scheduler.declare([SMALL])
    scheduler.declare([SMALL])
    (added,) = lsf.changes()
    assert added[-3:] == ("-M", "12", "dc-1")
    ((name, address),) = names
    assert (name, address.startswith("192.0.2.")) == ("dc-1", True)
    lsf.hosts["dc-1"].in_batch = True
    (host,) = scheduler.poll().hosts
    assert host.template
    lsf.names = set()
    with pytest.raises(BadConfigError, match="placeholder dc-2"):
        adapter(lsf, LsfSettings(placeholder_hosts=("dc-1", "dc-2"))).declare([SMALL])
    assert "refuses" not in caplog.text


def test_without_placeholders_there_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    lsf = FakeLsf()
    lsf.host("hn01", slots=0)
    adapter(lsf).declare([SMALL])
    assert "placeholder_hosts" in caplog.text
    caplog.clear()
    lsf.host("hn02", slots=8)
    adapter(lsf).declare([SMALL])
    assert "placeholder_hosts" not in caplog.text


# -- how programs are called -----------------------------------------------------------------------------


def test_commands_places_and_prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LSB_BJOBS_FORMAT", "jobid")
    lsf = FakeLsf()
    scheduler = adapter(
        lsf,
        commands={"bjobs": ("/site/bjobs", "-X"), "bhosts": ("bhosts",)},
        bin_dir="/opt/lsf/bin",
        envdir=str(tmp_path),
        timeout_s=7.0,
    )
    scheduler.poll()
    front = ("env", "-u", "LSB_BJOBS_FORMAT", "TZ=UTC", "LC_ALL=C", f"LSF_ENVDIR={tmp_path}")
    assert {argv[: len(front)] for argv in lsf.runner.argvs} == {front}
    assert lsf.runner.argvs[-1][len(front) :] == ("/site/bjobs", "-X", "-u", "all", "-UF")
    assert "/opt/lsf/bin/bhosts" in lsf.runner.argvs[2]
    assert {call.timeout_s for call in lsf.runner.calls} == {7.0}
    assert {(call.env or {}).get("LSF_ENVDIR") for call in lsf.runner.calls} == {str(tmp_path)}
    monkeypatch.delenv("LSB_BJOBS_FORMAT")
    before = len(lsf.runner.argvs)
    adapter(lsf, command_prefix=("sudo", "-n")).poll()
    assert lsf.runner.argvs[before][:5] == ("sudo", "-n", "env", "TZ=UTC", "LC_ALL=C")


def test_an_envdir_that_is_not_there_is_not_waited_for() -> None:
    with pytest.raises(BadConfigError, match="envdir"):
        adapter(FakeLsf(), envdir="/no/such/place").poll()
