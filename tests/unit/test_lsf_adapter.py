"""The LSF adapter against a small LSF with the manners of the recorded OpenLava, and of the documented LSF."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_lsf import LSF, NOW, OPENLAVA, FakeLsf

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    BusyError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import JobState, Wait
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.schedulers.lsf.adapter import LsfScheduler, LsfSettings

RECORDED = Path(__file__).parents[1] / "recorded" / "openlava"
SMALL = Resource("small", "x", "t", Capacity(4, 4000), max_nodes=3, features=frozenset({"fast"}))
LONG = replace(SMALL, name="long", reservation=Reservation("long", "", "big"))
MARK = "dynamiccluster:c1:n1"


class FixedClock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0


def adapter(lsf: FakeLsf, settings: LsfSettings | None = None, **options: object) -> LsfScheduler:
    return LsfScheduler(lsf.runner, FixedClock(), "c1", settings=settings, **options)  # type: ignore[arg-type]


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


def test_unknown_reasons_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    lsf = FakeLsf()
    text = (RECORDED / "s5_bjobs_UF.txt").read_text()
    lsf.uf = text.replace("Job slot limit reached: 1 host", "The moon is full: 1 host")
    scheduler = adapter(lsf)
    scheduler.poll()
    view = scheduler.poll()
    assert caplog.text.count("The moon is full") == 1
    assert next(job for job in view.jobs if job.job_id == "105").wait is Wait.HELPS


# -- what a host is told ---------------------------------------------------------------------------------


def test_hold_and_release() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", jobs=1)
    scheduler = adapter(lsf)
    scheduler.hold("small-1", MARK)
    scheduler.hold("small-1", MARK)
    assert lsf.changes() == [("badmin", "hclose", "-C", MARK, "small-1")]
    (host,) = scheduler.poll().hosts
    assert host.hold is not None
    assert (host.hold.mark, host.hold.ours, host.state) == (MARK, True, HostState.UP)
    scheduler.release("small-1", MARK)
    scheduler.release("small-1", MARK)
    assert lsf.changes()[1:] == [("badmin", "hopen", "small-1")]


def test_the_hold_of_somebody_else_stays() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", status="closed_Adm", message="disk is dying")
    scheduler = adapter(lsf)
    with pytest.raises(BusyError, match="disk is dying"):
        scheduler.hold("small-1", MARK)
    with pytest.raises(BusyError, match="disk is dying"):
        scheduler.release("small-1", MARK)
    lsf.hosts["small-1"].message = ""
    with pytest.raises(BusyError, match="no comment"):
        scheduler.hold("small-1", MARK)
    assert not lsf.changes()


def test_a_full_host_is_not_held() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", status="closed_Full", jobs=4)
    scheduler = adapter(lsf)
    scheduler.hold("small-1", MARK)
    assert lsf.hosts["small-1"].message == MARK


def test_what_is_not_there_cannot_be_held() -> None:
    lsf = FakeLsf()
    lsf.host("other")
    with pytest.raises(NotFoundError):
        adapter(lsf).hold("small-9", MARK)
    with pytest.raises(NotFoundError):
        adapter(lsf, LsfSettings(placeholder_hosts=("other",))).hold("other", MARK)


@pytest.mark.parametrize("name", ["$(reboot)", "--help", "a b", "", "x" * 300, "a;b", "../x"])
def test_hostile_names_reach_no_command(name: str) -> None:
    lsf = FakeLsf()
    scheduler = adapter(lsf)
    for call in (
        lambda: scheduler.hold(name, MARK),
        lambda: scheduler.release(name, MARK),
        lambda: scheduler.add(name, "10.0.0.1", SMALL),
        lambda: scheduler.remove(name),
        lambda: scheduler.find(name),
        lambda: scheduler.vacate(name, ["1"]),
    ):
        with pytest.raises(BadConfigError):
            call()
    assert not [argv for argv in lsf.runner.argvs if name and name in argv]
    with pytest.raises(BadConfigError):
        scheduler.hold("small-1", "two words")
    with pytest.raises(BadConfigError):
        scheduler.vacate("small-1", ["1; rm"])


def test_what_badmin_says_when_it_may_not() -> None:
    lsf = FakeLsf()
    lsf.host("small-1")
    lsf.complaints["hclose"] = 255, "Close <small-1> ...... Host control failed.: User permission denied\n"
    with pytest.raises(AuthError):
        adapter(lsf).hold("small-1", MARK)
    lsf.complaints["hclose"] = 0, "Close <small-1> ......\n"
    with pytest.raises(TransientError):
        adapter(lsf).hold("small-1", MARK)
    del lsf.complaints["hclose"]
    lsf.hang.add("hclose")
    with pytest.raises(UnknownOutcomeError):
        adapter(lsf).hold("small-1", MARK)


# -- joining and leaving ---------------------------------------------------------------------------------


def test_a_host_is_added_as_recorded() -> None:
    lsf = FakeLsf()
    lsf.queues = {"main": ""}
    scheduler = adapter(lsf, LsfSettings(host_resources=("cs",)))
    scheduler.add("small-1", "10.0.0.1", SMALL)
    added = ("lsaddhost", "-m", "IntelI5", "-t", "linux", "-f", "100", "-R", "cs fast", "-M", "4", "small-1")
    assert lsf.changes() == [added]
    found = scheduler.find("small-1")
    assert found is not None
    assert (found.state, found.address, found.total) == (HostState.JOINING, "10.0.0.1", SMALL.capacity)
    scheduler.add("small-1", "10.0.0.1", SMALL)
    assert lsf.programs().count("lsrmhost") == 0


def test_a_host_that_somebody_else_removes_is_gone() -> None:
    for version in (OPENLAVA, LSF):
        lsf = FakeLsf(version)
        scheduler = adapter(lsf)
        scheduler.add("small-1", "10.0.0.1", SMALL)
        lsf.host("small-1")
        assert [host.address for host in scheduler.poll().hosts] == ["10.0.0.1"]
        del lsf.hosts["small-1"]
        assert scheduler.poll().hosts == ()


def test_a_host_of_a_queue_gets_the_queues_resource() -> None:
    lsf = FakeLsf()
    scheduler = adapter(lsf)
    scheduler.add("a", "", LONG)
    scheduler.add("b", "", SMALL)
    scheduler.add("c", "", replace(SMALL, queues=frozenset({"main"})))
    assert [host.words for host in lsf.hosts.values()] == [
        ["big", "fast", "queue_long"],
        ["fast", "queue_long"],
        ["fast"],
    ]
    lsf.hosts["c"].in_batch = True
    lsf.hosts["c"].cores = 4
    host = next(host for host in scheduler.poll().hosts if host.name == "c")
    assert host.queues == {"main"}


def test_a_host_left_over_with_other_words_is_put_right() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", words=["big"], status="unavail", load="unavail")
    adapter(lsf).add("small-1", "10.0.0.1", SMALL)
    assert [argv[0] for argv in lsf.changes()] == ["lsaddhost", "lsrmhost", "lsaddhost"]
    for changes in ({"status": "ok"}, {"jobs": 1}):
        works = FakeLsf()
        works.host("small-1", **({"words": ["big"], "status": "unavail"} | changes))
        adapter(works).add("small-1", "10.0.0.1", SMALL)
        assert [argv[0] for argv in works.changes()] == ["lsaddhost"]


def test_names_must_be_resolvable() -> None:
    lsf = FakeLsf()
    lsf.names = set()
    with pytest.raises(TransientError, match="resolvable"):
        adapter(lsf).add("small-1", "10.0.0.1", SMALL)


def test_an_early_lsaddhost_has_no_option_for_slots() -> None:
    lsf = FakeLsf()
    lsf.no_slots_option = True
    scheduler = adapter(lsf)
    scheduler.add("a", "", SMALL)
    scheduler.add("b", "", SMALL)
    assert ["-M" in argv for argv in lsf.changes()] == [True, False, False]


def test_an_empty_host_is_closed_and_removed() -> None:
    lsf = FakeLsf()
    lsf.host("small-1")
    scheduler = adapter(lsf)
    scheduler.remove("small-1")
    assert [argv[:2] for argv in lsf.changes()] == [("badmin", "hclose"), ("lsrmhost", "small-1")]
    assert scheduler.poll().hosts == ()  # though mbatchd lists it until its next look
    scheduler.remove("small-1")
    assert len(lsf.changes()) == 2


def test_a_busy_host_is_not_removed() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", jobs=1)
    with pytest.raises(BusyError):
        adapter(lsf).remove("small-1")
    assert not lsf.changes()


def test_a_job_that_is_quicker_keeps_its_host() -> None:
    lsf = FakeLsf()
    lsf.host("small-1")
    lsf.sneaky = "small-1"
    with pytest.raises(BusyError):
        adapter(lsf).remove("small-1")
    assert [argv[:2] for argv in lsf.changes()] == [("badmin", "hclose"), ("badmin", "hopen")]
    assert lsf.hosts["small-1"].in_lim


def test_a_host_that_cannot_be_seen_is_not_removed() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", jobs=1, slots="?")  # its own record is the odd one
    lsf.host("other")
    with pytest.raises(TransientError, match="cannot be seen"):
        adapter(lsf).remove("small-1")
    assert not lsf.changes()


def test_static_hosts_stay() -> None:
    lsf = FakeLsf()
    lsf.host("cn01", static=True)
    with pytest.raises(BadConfigError, match=r"lsf\.cluster"):
        adapter(lsf).remove("cn01")
    lsf.names = set()
    lsf.hosts["cn01"].static = False
    with pytest.raises(BadConfigError, match="resolve"):
        adapter(lsf).remove("cn01")


def test_lsf_hosts_join_and_expire_by_themselves() -> None:
    lsf = FakeLsf(LSF)
    scheduler = adapter(lsf)
    scheduler.add("small-1", "10.0.0.1", SMALL)
    assert not lsf.changes()
    (host,) = scheduler.poll().hosts
    assert (host.name, host.state, host.total) == ("small-1", HostState.JOINING, SMALL.capacity)
    lsf.host("small-1", status="closed_Adm", message=MARK)
    scheduler.remove("small-1")
    assert lsf.changes() == [("lsadmin", "expire", "small-1")]
    assert scheduler.poll().hosts == ()
    old = FakeLsf(LSF)
    old.host("small-1", status="closed_Adm", message=MARK)
    old.complaints["expire"] = 255, "lsadmin: Unknown command expire\n"
    adapter(old).remove("small-1")  # it stays closed until LSF_DYNAMIC_HOST_TIMEOUT


# -- jobs ------------------------------------------------------------------------------------------------


def test_only_jobs_that_are_still_there_are_requeued() -> None:
    lsf = FakeLsf()
    lsf.places = {"1": "small-1:small-1", "2": "other", "3": "-", "5[2]": "4*small-1"}
    scheduler = adapter(lsf)
    scheduler.vacate("small-1", ["1", "2", "3", "4", "5[2]", "999"])
    assert lsf.told == [("brequeue", "1", "5[2]")]
    scheduler.vacate("small-1", [])
    assert len(lsf.told) == 1


def test_a_job_that_ends_meanwhile_is_success() -> None:
    lsf = FakeLsf()
    lsf.places = {"1": "small-1"}
    lsf.complaints["brequeue"] = 255, "Job <1> : Job has already finished\n"
    adapter(lsf).vacate("small-1", ["1"])
    lsf.complaints["brequeue"] = 255, "Job <1> : User permission denied\n"
    with pytest.raises(AuthError):
        adapter(lsf).vacate("small-1", ["1"])


def test_jobs_of_a_dead_host_go_back_to_the_queue() -> None:
    lsf = FakeLsf()
    lsf.places = {"1": "small-1", "2": "small-1"}
    lsf.stubborn = {"2"}
    adapter(lsf).evacuate("small-1", ["1", "2", "7"], delete_jobs=False)
    assert lsf.told == [("brequeue", "1", "2"), ("bkill", "-r", "2"), ("brequeue", "-e", "2")]


def test_a_host_that_is_silent_cannot_be_vacated() -> None:
    lsf = FakeLsf()
    lsf.places = {"2": "small-1"}
    lsf.stubborn = {"2"}
    with pytest.raises(TransientError, match="not responding"):
        adapter(lsf).vacate("small-1", ["2"])


def test_jobs_of_a_dead_host_are_deleted() -> None:
    lsf = FakeLsf()
    lsf.places = {"1": "small-1", "2": "small-1"}
    lsf.stubborn = {"2"}
    adapter(lsf).evacuate("small-1", ["1", "2"], delete_jobs=True)
    assert lsf.told == [("bkill", "1", "2"), ("bkill", "-r", "2")]


def test_lsf_gives_up_on_no_job() -> None:
    lsf = FakeLsf()
    adapter(lsf).unstick(["1"])
    assert not lsf.runner.calls


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
