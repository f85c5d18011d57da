"""``check-cluster``: every command of the configuration, tried once, changing nothing."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from dynamiccluster.cli import exits
from dynamiccluster.cli.common import emit, of_file, screen, table
from dynamiccluster.cli.text import clean
from dynamiccluster.errors import BadConfigError, DynamicClusterError, UnknownOutcomeError
from dynamiccluster.model.check import CheckResult, CheckState, CommandCheck

if TYPE_CHECKING:
    from dynamiccluster.config.schema import Settings
    from dynamiccluster.kit.runner import Completed, Runner

_DENIED = re.compile(
    r"permission denied|not permitted|access denied|not authori[sz]ed|must be root|a password is", re.IGNORECASE
)
_NO_PROGRAM = re.compile(r"not found|No such file or directory")
_WORST = (CheckState.MISSING, CheckState.DENIED, CheckState.FAILED, CheckState.SLOW)
SCRIPT = "the site's script is there; it was not run"
_LONGEST = 240  # characters of a message in the table: programs answer with pages of help; JSON has all of it
_AFTER_A_LATE_ONE_S = 5.0  # a scheduler that lives answers these questions in less
_CODES = {CheckState.MISSING: exits.BAD_CONFIG, CheckState.DENIED: exits.FORBIDDEN}


@click.command("check-cluster", epilog=exits.TEXT)
@of_file
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="For people or scripts.")
def check_cluster(file: str, output: str) -> None:
    """Try every command that a configuration FILE names, once. Nothing is started or changed.

    Commands of the scheduler are run with questions; the site's own scripts, those of clouds and notifications too,
    could change something and are only looked for. Run it as the user that the service will have.
    """
    from dynamiccluster.config.load import load
    from dynamiccluster.kit.runner import SubprocessRunner

    settings = load(file).settings
    limit_s, poll_s = settings.cluster.config.command_timeout_s, settings.general.cluster_poller_interval
    runner = SubprocessRunner()
    checks = all_checks(settings)
    if output != "json":
        click.echo(f"trying {len(checks)} commands, each for {limit_s:g} s at most ...", err=True)
    results = list(all_tried(checks, runner, limit_s, poll_s))
    if output == "json":
        emit({"ok": verdict(results) == exits.OK, "checks": [_document(result) for result in results]})
    else:
        _show(results, settings.cluster.type)
    click.get_current_context().exit(verdict(results))


def all_checks(settings: Settings) -> tuple[CommandCheck, ...]:
    """The scheduler's commands, and the site's scripts."""
    from dynamiccluster.schedulers.registry import scheduler_checks

    kind = settings.cluster.type
    return (*scheduler_checks(kind, settings.cluster.config.model_dump()), *_scripts(settings))


def _scripts(settings: Settings) -> Iterator[CommandCheck]:
    general, cluster = settings.general, settings.cluster.config
    templates = {
        "dynamic-cluster.post_vm_provision_command": general.post_vm_provision_command,
        "dynamic-cluster.post_vm_destroy_command": general.post_vm_destroy_command,
        "dynamic-cluster.names.add_command": general.names.add_command,
        "dynamic-cluster.names.remove_command": general.names.remove_command,
        "cluster.config.post_add_node_command": cluster.post_add_node_command,
        "cluster.config.post_remove_node_command": cluster.post_remove_node_command,
    }
    for key, template in templates.items():
        if template:
            yield CommandCheck(key, tuple(shlex.split(template)), SCRIPT, look_only=True)
    yield from _of_clouds(settings)
    yield from _of_plugins(settings)


def _of_clouds(settings: Settings) -> Iterator[CommandCheck]:
    """Commands of clouds; each once, however many resources name it."""
    seen: set[tuple[str, ...]] = set()
    for name, item in settings.cloud.items():
        for key in ("list", "launch", "terminate", "offers", "console", "worker"):
            command = getattr(item.config, f"{key}_command", None)
            if command and command not in seen:
                seen.add(command)
                yield CommandCheck(f"cloud.{name}.config.{key}_command", tuple(command), SCRIPT, look_only=True)


def _of_plugins(settings: Settings) -> Iterator[CommandCheck]:
    """What notifications and the checker run. Their arguments are theirs: what is odd, check-config says."""
    for name, item in settings.plugins.items():
        script = item.arguments.get("script") if item.class_name.rpartition(".")[2] in ("notify", "Notifier") else None
        if isinstance(script, list) and script and all(isinstance(word, str) for word in script):
            yield CommandCheck(f"plugins.{name}.arguments.script", tuple(script), SCRIPT, look_only=True)
    wanted = settings.general.config_checker
    command = wanted.plugin.arguments.get("command") if wanted and wanted.plugin else None
    if isinstance(command, str) and command.split():
        key = "dynamic-cluster.config-checker.plugin.arguments.command"
        yield CommandCheck(key, tuple(command.split()), SCRIPT, look_only=True)


def all_tried(checks: Iterable[CommandCheck], runner: Runner, limit_s: float, poll_s: float) -> Iterator[CheckResult]:
    """What comes of each. Once a command was killed, the others have little time: who waits knows enough."""
    for check in checks:
        result = tried(check, runner, limit_s, poll_s)
        if result.state is CheckState.SLOW and result.seconds >= limit_s:
            limit_s = min(limit_s, _AFTER_A_LATE_ONE_S)
        yield result


def tried(check: CommandCheck, runner: Runner, limit_s: float, poll_s: float) -> CheckResult:
    """What comes of one check. ``limit_s``: of the command; ``poll_s``: what takes longer is too slow for polls."""
    if check.look_only:
        return _looked_for(check)
    try:
        completed = runner.run(check.argv, timeout_s=limit_s, env=check.env)
    except UnknownOutcomeError as error:
        return CheckResult(check, CheckState.SLOW, str(error), limit_s)
    except BadConfigError as error:
        state = CheckState.DENIED if "may not be run" in str(error) else CheckState.MISSING
        return CheckResult(check, state, str(error))
    except DynamicClusterError as error:
        return CheckResult(check, CheckState.FAILED, str(error))
    return _judged(check, completed, poll_s)


def _judged(check: CommandCheck, completed: Completed, poll_s: float) -> CheckResult:
    def result(state: CheckState, message: str) -> CheckResult:
        return CheckResult(check, state, message, completed.seconds)

    said = completed.complaint
    printed = f"{completed.stderr}\n{completed.stdout}"  # some complain on standard output
    if completed.returncode != 0 and not any(words in printed for words in check.harmless):
        if completed.returncode in (126, 127) and _NO_PROGRAM.search(
            said
        ):  # sudo's, env's, and the shell's word for it
            return result(CheckState.MISSING, said)
        if _DENIED.search(said) or any(words in said for words in check.denied):
            return result(CheckState.DENIED, said)
        return result(CheckState.FAILED, f"return code {completed.returncode}: {said}")
    if check.expects and not re.search(check.expects, f"{completed.stdout}{completed.stderr}"):
        return result(CheckState.FAILED, f"the answer is not what it should be: {said[:200]}")
    if completed.seconds > poll_s:
        return result(CheckState.SLOW, f"takes {completed.seconds:.1f} s, and there is a poll every {poll_s:g} s")
    return result(CheckState.OK, "")


def _looked_for(check: CommandCheck) -> CheckResult:
    program = check.argv[0]
    if shutil.which(program):
        return CheckResult(check, CheckState.OK, "")
    if os.path.isfile(program):
        return CheckResult(check, CheckState.DENIED, f"{program!r} may not be run")
    return CheckResult(check, CheckState.MISSING, f"there is no program {program!r}")


def verdict(results: Iterable[CheckResult]) -> int:
    """The exit code for all of them: that of the worst."""
    states = {result.state for result in results if not _may_be(result)}
    worst = next((state for state in _WORST if state in states), CheckState.OK)
    return exits.OK if worst is CheckState.OK else _CODES.get(worst, exits.FAILED)


def _may_be(result: CheckResult) -> bool:
    return result.check.optional and result.state is CheckState.MISSING


def _document(result: CheckResult) -> dict[str, object]:
    return {
        "key": result.check.key,
        "command": list(result.check.argv),
        "proves": result.check.proves,
        "state": str(result.state),
        "needed": not result.check.optional,
        "run": not result.check.look_only,
        "message": result.message,
        "seconds": round(result.seconds, 3),
    }


def _show(results: list[CheckResult], kind: str) -> None:
    if not results:
        click.echo(f"a cluster of type {kind} has no commands to try")
        return
    listing = table("key", "command", "result", "seconds", "what it says", right=("seconds",))
    for result in results:
        state = f"{result.state}, optional" if _may_be(result) else str(result.state)
        command = shlex.join(result.check.argv)
        listing.add_row(
            result.check.key.removeprefix("cluster.config."),
            clean(command if len(command) <= 60 else command[:57] + "..."),
            state,
            f"{result.seconds:.2f}",
            clean(result.message or result.check.proves, _LONGEST),
        )
    screen().print(listing)
    wrong = sum(result.state is not CheckState.OK and not _may_be(result) for result in results)
    click.echo(f"{len(results)} commands, {wrong} of them not as they should be" if wrong else "all commands work")
