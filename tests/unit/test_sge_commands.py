"""Grid Engine's commands: the guide's and the site's, where the programs are, and what they mean when they complain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from fake_sge import GUIDE
from sge_recorded import recorded

from dynamiccluster.config.schema_cluster_sge import SgeConfig, sge_remarks
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    DynamicClusterError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.schedulers.sge.checks import checks
from dynamiccluster.schedulers.sge.command_lines import CommandLines, Templates
from dynamiccluster.schedulers.sge.commands import SgeCommands, meaning
from dynamiccluster.schedulers.sge.programs import completed, leading_words, located, program, root_of
from dynamiccluster.testing.runner import FakeRunner


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A SGE_ROOT with all programs; PATH has none."""
    place = tmp_path / "sge"
    (place / "default" / "common").mkdir(parents=True)
    (place / "bin" / "lx-amd64").mkdir(parents=True)
    for name in ("qstat", "qhost", "qconf", "qmod", "qdel"):
        path = place / "bin" / "lx-amd64" / name
        path.touch()
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("SGE_ROOT", raising=False)
    return place


def lines(templates: Templates | None = None, root: str = "") -> CommandLines:
    return CommandLines(templates or Templates(), ("qconf",), root, "")


# -- templates ---------------------------------------------------------------------------------------------


def test_the_guides_commands_work_where_the_guide_puts_them(root: Path) -> None:
    bin_dir = f"{root}/bin/lx-amd64"
    written = {name: getattr(GUIDE, name).replace("/opt/sge/bin/lx-amd64", bin_dir) for name in GUIDE.__slots__}
    guide = lines(Templates(**written))
    assert guide.jobs(with_projects=False) == [f"{bin_dir}/qstat", "-u", "*", "-xml", "-r"]
    assert guide.hosts(("slots", "gpu")) == [f"{bin_dir}/qhost", "-F", "slots,gpu", "-q", "-j", "-xml"]
    assert guide.change_group("-aattr", "n1", "@allhosts") == [
        *(f"{bin_dir}/qconf", "-aattr", "hostgroup", "hostlist", "n1", "@allhosts")
    ]
    assert guide.switch("-d", "n1") == [f"{bin_dir}/qmod", "-d", "*@n1"]
    assert guide.reschedule(["1", "2.3"], force=True) == [f"{bin_dir}/qmod", "-f", "-rj", "1", "2.3"]
    assert guide.details(["1", "2"]) == [f"{bin_dir}/qstat", "-j", "1,2", "-xml"]
    assert guide.set_slots(4, "main", "n1") == [*(f"{bin_dir}/qconf", "-rattr", "queue", "slots", "4", "main@n1")]
    assert guide.unset_slots("main", "n1") == [*(f"{bin_dir}/qconf", "-purge", "queue", "slots", "main@n1")]
    assert guide.remove_host("n1") == [f"{bin_dir}/qconf", "-de", "n1"]
    assert guide.delete_job("7") == [f"{bin_dir}/qdel", "-f", "7"]
    shell = guide.parallel_environment("smp")
    assert shell == ["/bin/sh", "-c", f"{bin_dir}/qconf -sp smp | grep allocation_rule | awk '{{print $2}}'"]
    assert guide.environment["SGE_ROOT"] == str(root)  # as the path tells
    assert (guide.environment["TZ"], guide.environment["SGE_SINGLE_LINE"]) == ("UTC", "1")


def test_programs_are_found_elsewhere(root: Path) -> None:
    bin_dir = f"{root}/bin/lx-amd64"
    found = lines(GUIDE, str(root))
    assert found.jobs(with_projects=True)[:1] == [f"{bin_dir}/qstat"]
    assert found.jobs(with_projects=True)[1:] == ["-ext", "-pri", "-u", "*", "-xml", "-r"]
    assert found.parallel_environment("smp")[2].startswith(f"{bin_dir}/qconf -sp smp |")
    assert found.qconf("-sc") == [f"{bin_dir}/qconf", "-sc"]
    assert found.environment["SGE_ROOT"] == str(root)


def test_programs_in_path_are_left_to_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{root}/bin/lx-amd64")
    assert lines(GUIDE).switch("-e", "n1") == ["qmod", "-e", "*@n1"]
    assert program("qstat", "") == "qstat"
    assert program("qstat", "/nowhere") == "qstat"
    assert "SGE_ROOT" not in lines().environment


def test_a_root_for_many_kinds_of_machine(root: Path) -> None:
    other = root / "bin" / "aix51"
    other.mkdir()
    (other / "qstat").touch(0o755)
    assert program("qstat", str(root)) == f"{root}/bin/lx-amd64/qstat"
    (root / "bin" / "lx-amd64" / "qstat").chmod(0o644)
    assert program("qstat", str(root)) != f"{other}/qstat"


def test_what_is_nowhere_stays_as_it_was_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamiccluster.schedulers.sge.programs._USUAL_ROOTS", (str(root.parent / "none"),))
    assert located("/opt/sge/bin/lx-amd64/qstat -xml", "") == "/opt/sge/bin/lx-amd64/qstat -xml"
    assert program("qstat", "") == ""
    assert root_of("/opt/nothing/bin/lx-amd64/qstat -xml") == ""
    assert root_of("qstat -xml") == ""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("sudo -n /opt/x/qmod {0} *@{1}", ("sudo", "-n", "/opt/x/qmod")),
        ("qmod {0} *@{1}", ("qmod",)),
        ("/usr/local/sbin/switch-host {0} {1}", ()),
        ("qmod '", ()),
    ],
)
def test_what_stands_before_the_options(command: str, expected: tuple[str, ...]) -> None:
    assert leading_words(command, "qmod") == expected


def test_a_script_of_the_sites_is_given_nothing_more(root: Path) -> None:
    own = lines(Templates(qstat="/usr/local/sbin/all-jobs", qmod="/usr/local/sbin/switch {0} {1}"), str(root))
    assert own.jobs(with_projects=True) == ["/usr/local/sbin/all-jobs"]
    assert own.reschedule(["1"], force=False) == [f"{root}/bin/lx-amd64/qmod", "-rj", "1"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("qstat -xml -r", "qstat -u '*' -xml -r"),
        ("/x/qstat -u '*' -xml -r", "/x/qstat -u '*' -xml -r"),
        ("qstat -r -xml -u alice", "qstat -r -xml -u alice"),
        ("qstat", "qstat -xml -r -u '*'"),
        ("sudo qstat -xml -r | cat", "sudo qstat -u '*' -xml -r | cat"),
        ("qstat -xml -r -urg", "qstat -u '*' -xml -r -urg"),
    ],
)
def test_missing_options_are_added(command: str, expected: str) -> None:
    assert completed(command, "qstat", {"-xml": (), "-r": (), "-u": ("*",)}) == expected


@pytest.mark.parametrize("name", ["$(reboot)", "a b", "n1;id", "../x", "n1\n", "`id`"])
def test_no_value_becomes_syntax(root: Path, name: str) -> None:
    guide = lines(GUIDE, str(root))
    for call in (
        lambda: guide.switch("-d", name),
        lambda: guide.set_slots(1, "main", name),
        lambda: guide.set_slots(1, name, "n1"),
        lambda: guide.change_group("-aattr", "n1", f"@{name}"),
        lambda: guide.parallel_environment(name),
        lambda: guide.delete_job(name),
    ):
        with pytest.raises(BadConfigError):
            call()


# -- configuration -----------------------------------------------------------------------------------------


def config(**keys: object) -> SgeConfig:
    return SgeConfig.model_validate(keys)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hostgroup_command", "qconf {0} hostgroup hostlist {1}"),
        ("qmod_command", "qmod -d *@{0}"),
        ("remove_node_command", "qconf -de"),
        ("set_slots_command", "qconf -rattr queue slots {0} {1}"),
        ("unset_slots_command", "qconf -purge queue slots {0}"),
        ("qconf_sp_command", "qconf -sp"),
        ("qdel_command", "qdel -f"),
        ("qdel_command", "qdel -f {0} {1}"),
        ("hostgroups", ["allhosts"]),
        ("hostgroups", []),
        ("account_from", "owner"),
    ],
)
def test_what_could_only_do_harm_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=key):
        config(**{key: value})


def test_what_is_corrected_is_said() -> None:
    guide = {f"{name}_command": getattr(GUIDE, name) for name in GUIDE.__slots__}
    said = list(sge_remarks(config(**guide)))
    assert [key for key, _ in said] == ["qstat_command", "qstat_command"]
    assert "-u '*' is added" in said[0][1]
    assert "/opt/sge/bin/lx-amd64 has no qconf, qdel, qhost, qmod, qstat on this machine" in said[1][1]
    assert list(sge_remarks(config())) == []
    assert [text for _, text in sge_remarks(config(qstat_command="qstat -u '*'"))] == ["has no -xml -r, which is added"]
    assert [text for _, text in sge_remarks(config(qhost_command="qhost -q {0} {1}"))] == [
        "has no -j -xml, which is added"
    ]


def test_every_command_is_tried_and_none_changes_anything() -> None:
    keys = config().model_dump()
    trials = {check.key.removeprefix("cluster.config."): check for check in checks(keys)}
    assert set(trials) == {key for key in keys if key.endswith("_command") and not key.startswith("post_")}
    for check in trials.values():
        assert not {"alice", "main", "n1"} & set(check.argv)
        assert check.proves
        assert "must be manager" in check.denied
    assert trials["qdel_command"].argv[-1] == "999999999"
    assert trials["hostgroup_command"].argv[-1] == "@dc-check-cluster"


# -- what they say -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('unable to send message to qmaster using port 6444 on host "x": got send error', TransientError),
        ("error: commlib error: got select error (Connection refused)", TransientError),
        ('unable to send message to qmaster using port 6444 on host "x": can\'t resolve host name', TransientError),
        ('unable to resolve host "n1"', TransientError),
        ('can\'t resolve hostname "n1"', TransientError),
        (
            "failed receiving gdi request response for mid=1 (got syncron message receive timeout error).",
            UnknownOutcomeError,
        ),
        ('error: commlib error: got read error (closing "sgemaster/qmaster/1")', UnknownOutcomeError),
        ('denied: "alice" must be manager for this operation', AuthError),
        ('alice - you have no permission to modify queue "short.q@node001"', AuthError),
        ('denied: host "node001" is neither submit nor admin host', AuthError),
        ('denied: execution host "node099" does not exist', NotFoundError),
        ('invalid queue "*@node009"', NotFoundError),
        ("node050 is not an execution host", NotFoundError),
        ("critical error: Please set the environment variable SGE_ROOT.", BadConfigError),
        ('Host object "n" is still referenced in cluster queue "q".', DynamicClusterError),
    ],
)
def test_complaints(said: str, kind: type[DynamicClusterError]) -> None:
    assert meaning(said) is kind


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("session_qmaster-down.txt", {TransientError}),
        ("session_not-manager.txt", {AuthError}),
    ],
)
def test_recorded_complaints(name: str, expected: set[type[DynamicClusterError]]) -> None:
    found = [
        line for line in recorded(name).splitlines() if "error" in line or "denied" in line or "permission" in line
    ]
    assert found
    assert {meaning(line) for line in found} == expected


def commands(runner: FakeRunner) -> SgeCommands:
    return SgeCommands(runner, lines(), 5.0)


def test_a_question_that_fails_has_changed_nothing() -> None:
    runner = FakeRunner()
    runner.on(lambda argv: True, UnknownOutcomeError("late"))
    with pytest.raises(TransientError):
        commands(runner).ask("-sc")
    with pytest.raises(UnknownOutcomeError):
        commands(runner).tell("-ah", "n1")
    runner.on(lambda argv: True, "", returncode=1, stderr="failed receiving gdi request response")
    with pytest.raises(TransientError):
        commands(runner).ask_jobs(with_projects=False)


def test_only_what_is_said_counts_not_the_return_code() -> None:
    runner = FakeRunner()
    runner.on(lambda argv: True, 'denied: execution host "n1" does not exist\n', returncode=1)
    commands(runner).remove_host("n1", harmless=("does not exist",))
    with pytest.raises(NotFoundError):
        commands(runner).remove_host("n1", harmless=())
    runner.on(lambda argv: True, "", returncode=1)
    with pytest.raises(DynamicClusterError, match="return code 1"):
        commands(runner).tell("-ah", "n1", harmless=("x",))


def test_what_is_said_of_single_jobs_stops_nothing_else() -> None:
    runner = FakeRunner()
    said = 'The job 2 is not restartable\ninvalid queue or job "3"\nPushed rescheduling of job 4 on host n1\n'
    runner.on(lambda argv: True, said, returncode=1)
    commands(runner).reschedule(["2", "3", "4"])
    runner.on(lambda argv: True, "", returncode=1, stderr='denied: "x" must be operator for this operation')
    with pytest.raises(AuthError):
        commands(runner).reschedule(["2"])


def test_files_are_gone_afterwards_and_can_be_read_by_all() -> None:
    runner = FakeRunner()
    seen: dict[str, object] = {}

    def look(call: object) -> str:
        path = Path(call.argv[-1])  # type: ignore[attr-defined]  # a Call
        seen[str(path)] = (path.read_text(encoding="utf-8"), path.stat().st_mode & 0o444)
        return ""

    runner.on(lambda argv: True, look)  # type: ignore[arg-type]  # as above
    commands(runner).tell_file("-Ae", "hostname n1\n")
    ((path, (text, mode)),) = seen.items()  # type: ignore[misc]  # a tuple
    assert text == "hostname n1\n"
    assert mode == 0o444
    assert not Path(path).exists()


def test_many_jobs_are_told_in_batches() -> None:
    runner = FakeRunner()
    runner.on(lambda argv: True, "")
    commands(runner).reschedule([str(at) for at in range(1100)])
    assert [len(argv) - 2 for argv in runner.argvs] == [500, 500, 100]


def test_the_environment_goes_with_every_command() -> None:
    runner = FakeRunner()
    runner.on(lambda argv: True, "")
    SgeCommands(runner, CommandLines(Templates(), ("qconf",), "/opt/sge", "cell2"), 5.0).ask("-sc")
    environment: Mapping[str, str] = runner.calls[0].env or {}
    assert environment["SGE_ROOT"] == "/opt/sge"
    assert environment["SGE_CELL"] == "cell2"
