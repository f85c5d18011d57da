"""The runner: programs end, are bounded, are killed with their children; templates never give a value a meaning."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamiccluster.errors import BadConfigError, DynamicClusterError, UnknownOutcomeError
from dynamiccluster.kit.runner import PLAIN, SubprocessRunner, parse_template, run_template
from dynamiccluster.testing.runner import FakeRunner

RUNNER = SubprocessRunner()


def test_a_program_is_run_without_a_shell() -> None:
    done = RUNNER.run(["echo", "$HOME; `id` | cat"], timeout_s=5)
    assert done.stdout == "$HOME; `id` | cat\n"
    assert (done.returncode, done.stderr) == (0, "")
    assert done.argv == ("echo", "$HOME; `id` | cat")


def test_return_code_and_complaint() -> None:
    done = RUNNER.run(["sh", "-c", "echo out; echo ' very\n bad' >&2; exit 3"], timeout_s=5)
    assert done.returncode == 3
    assert done.complaint == "very bad"
    assert RUNNER.run(["false"], timeout_s=5).complaint == "return code 1"


def test_stdin_is_closed_unless_given() -> None:
    assert RUNNER.run(["cat"], timeout_s=5).stdout == ""
    text = "zeile\n" * 200_000  # more than a pipe holds, both ways at once
    assert RUNNER.run(["cat"], timeout_s=20, stdin=text).stdout == text
    assert RUNNER.run(["true"], timeout_s=5, stdin=text).returncode == 0  # nobody reads it


def test_nothing_is_localised_and_env_is_added() -> None:
    done = RUNNER.run(["env"], timeout_s=5, env={"SLURM_CONF": "/x"})
    lines = done.stdout.splitlines()
    assert {"LC_ALL=C", "SLURM_CONF=/x", f"PATH={os.environ['PATH']}"} <= set(lines)


def test_odd_bytes_are_replaced() -> None:
    assert RUNNER.run(["printf", r"a\377b"], timeout_s=5).stdout == "a\ufffdb"


def test_a_missing_program_is_named() -> None:
    with pytest.raises(BadConfigError, match="no program '/nonexistent/squeue'"):
        RUNNER.run(["/nonexistent/squeue"], timeout_s=5)
    with pytest.raises(BadConfigError, match="may not be run"):
        RUNNER.run(["/etc/passwd"], timeout_s=5)
    with pytest.raises(BadConfigError, match="empty command"):
        RUNNER.run([], timeout_s=5)
    with pytest.raises(BadConfigError, match="cannot be passed"):
        RUNNER.run(["echo", "a\0b"], timeout_s=5)


def test_what_the_system_refuses(tmp_path: Path) -> None:
    with pytest.raises(DynamicClusterError, match="more arguments than the system takes"):
        RUNNER.run(["echo", "x" * 3_000_000], timeout_s=5)
    script = tmp_path / "script"
    script.write_bytes(b"\x7fELF no program")
    script.chmod(0o755)
    with pytest.raises(BadConfigError, match="cannot be run: Exec format error"):
        RUNNER.run([str(script)], timeout_s=5)


def test_timeout_kills_the_whole_group(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    with pytest.raises(UnknownOutcomeError, match=r"did not end within 0\.5 s"):
        RUNNER.run(["sh", "-c", f"sleep 60 & echo $! > {pid_file}; wait"], timeout_s=0.5)
    child = int(pid_file.read_text())
    deadline = time.monotonic() + 5
    while _alive(child) and time.monotonic() < deadline:
        time.sleep(0.01)  # a killed process is reaped by its new parent in its own time
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_too_much_output_is_never_taken_for_a_whole_answer() -> None:
    with pytest.raises(UnknownOutcomeError, match="more than 1000 bytes"):
        RUNNER.run(["yes"], timeout_s=20, max_output_bytes=1000)
    assert len(RUNNER.run(["head", "-c", "1000", "/dev/zero"], timeout_s=5, max_output_bytes=1000).stdout) == 1000
    flood = RUNNER.run(["sh", "-c", "head -c 1000000 /dev/zero >&2; echo fine"], timeout_s=20)
    assert flood.stdout == "fine\n"
    assert len(flood.stderr) == 64 * 1024


def test_a_background_child_that_keeps_the_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    done = RUNNER.run(["sh", "-c", f"echo started; sleep 60 & echo $! > {pid_file}"], timeout_s=30)
    try:
        assert done.stdout == "started\n"
        assert time.monotonic() - began < 10
        assert _alive(int(pid_file.read_text()))  # a daemon that a site's script started goes on
    finally:
        os.kill(int(pid_file.read_text()), 9)


def test_template_of_the_seed_without_a_shell() -> None:
    template = parse_template('/usr/bin/qmgr -c "set node {0} {1} {2} {3}"')
    assert not template.shell
    assert template.highest == 3
    values = ["n1", "properties", "-", "big"]
    assert template.argv(values) == ["/usr/bin/qmgr", "-c", "set node n1 properties - big"]


def test_template_of_the_seed_with_a_shell() -> None:
    text = "/usr/bin/releaseres `/usr/bin/showres -n | grep User | grep {0} | grep {1} | awk '{{print $3}}' `"
    argv = parse_template(text).argv(["n1", "chem"])
    assert argv[:2] == ["/bin/sh", "-c"]
    assert argv[2].endswith("grep n1 | grep chem | awk '{print $3}' `")


def test_a_shell_template_runs() -> None:
    done = run_template(RUNNER, "printf 'a {0} x\\nb {1} y\\n' | awk '{{print $2}}'", ["n1", "n2"], timeout_s=5)
    assert done.stdout == "n1\nn2\n"


def test_empty_values() -> None:
    assert parse_template("qhost -q {0} {1}").argv(["", ""]) == ["qhost", "-q"]
    hook = parse_template("/site/hook {0} {1} {2}")
    assert hook.argv(["n1", "", "vm"], keep_empty=True) == ["/site/hook", "n1", "", "vm"]


@pytest.mark.parametrize("value", ["a b", "$(id)", "`id`", "a;b", "a|b", "x'", '"', "a\nb", "n1\n", "ü", "a/b", "[1]"])
def test_hostile_values_are_refused_by_name(value: str) -> None:
    for text in ("qdel -p {0} {1}", "qdel -p {0} {1} | cat"):
        with pytest.raises(BadConfigError, match=r"the value for \{1\}"):
            parse_template(text).argv(["n1", value])


def test_job_ids_may_have_brackets() -> None:
    assert parse_template("qdel {0} {1}").argv(["12[3].head", "n1"], job_ids=[0]) == ["qdel", "12[3].head", "n1"]
    with pytest.raises(BadConfigError):
        parse_template("qdel {0} {1}").argv(["12[3].head", "n[1]"], job_ids=[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "x 'open",
        "x {",
        "x }",
        "x {name}",
        "x {}",
        "x {0.__class__}",
        "x {0!r}",
        "x {0:>9}",
        "x {0[0]}",
        "x {²}",
    ],
)
def test_bad_templates(text: str) -> None:
    with pytest.raises(BadConfigError):
        parse_template(text)


def test_too_few_values() -> None:
    with pytest.raises(BadConfigError, match=r"no value for \{2\}"):
        parse_template("x {0} {2}").argv(["a", "b"])


@given(st.text(max_size=20))
def test_a_value_is_refused_or_stays_one_plain_word(value: str) -> None:
    """Whatever the value: it is refused, or the shell's own splitting gives it back unchanged."""
    template = parse_template("echo {0} | cat")
    try:
        line = template.argv([value])[2]
    except BadConfigError:
        assert value
        assert not PLAIN.fullmatch(value)
        return
    assert shlex.split(line) == ["echo", *([value] if value else []), "|", "cat"]


def test_the_double_answers_by_rules() -> None:
    fake = FakeRunner()
    fake.on(["squeue"], "old")
    fake.on(["squeue", "-h"], "new")
    fake.on(lambda argv: "-x" in argv, "", returncode=1, stderr="odd option")
    fake.on(["scontrol"], UnknownOutcomeError("lost"))
    fake.on(["cat"], lambda call: call.stdin or "")
    assert fake.run(["squeue", "-h"], timeout_s=1).stdout == "new"
    assert fake.run(["squeue"], timeout_s=1).stdout == "old"
    assert fake.run(["squeue", "-x"], timeout_s=1).complaint == "odd option"
    assert fake.run(["cat"], timeout_s=1, stdin="hello").stdout == "hello"
    with pytest.raises(UnknownOutcomeError):
        fake.run(["scontrol", "ping"], timeout_s=1)
    with pytest.raises(BadConfigError, match="sinfo"):
        fake.run(["sinfo"], timeout_s=1)
    assert [argv[0] for argv in fake.argvs] == ["squeue", "squeue", "squeue", "cat", "scontrol", "sinfo"]
