"""``check-cloud``: whether resources could be launched, without launching."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from dynamiccluster.cli import exits
from dynamiccluster.cli.common import config_option, emit, one_file, screen, table
from dynamiccluster.cli.text import clean
from dynamiccluster.model.check import Finding, FindingState
from dynamiccluster.model.wording import amount, unknown

if TYPE_CHECKING:
    from dynamiccluster.config.load import Loaded

_LONGEST = 300  # characters of a message in the table; JSON has all of it
_CODES = {FindingState.WRONG: exits.BAD_CONFIG, FindingState.DENIED: exits.FORBIDDEN}


@click.command("check-cloud", epilog=exits.TEXT)
@click.argument("words", metavar="[FILE] [RESOURCE]...", nargs=-1)
@config_option()
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="For people or scripts.")
def check_cloud(words: tuple[str, ...], config: str | None, output: str) -> None:
    """See whether each RESOURCE (all, if none is named) could be launched: credentials, image, type, network, quota,
    permissions. Nothing is launched or changed.

    Run it as the user that the service will have.
    """
    from dynamiccluster.config.load import load

    file, resources = (config, words) if config else _file_first(words)
    loaded = load(file)
    known = loaded.policy.resources
    for name in resources:
        if name not in known:
            raise exits.Failure(clean(unknown("resource", name, known)), exits.NOT_FOUND)
    with _unlogged():
        found = {name: tuple(findings(loaded, name)) for name in resources or known}
    states = [finding.state for several in found.values() for finding in several]
    if output == "json":
        emit({"ok": verdict(states) == exits.OK, "resources": [_document(*each) for each in found.items()]})
    else:
        for name, several in found.items():
            _show(name, several)
        click.echo(_summary(states))
    click.get_current_context().exit(verdict(states))


def _file_first(words: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The file, if the first word is what no resource is called; and the resources."""
    named = bool(words) and (os.sep in words[0] or words[0].endswith((".yaml", ".yml")) or os.path.isfile(words[0]))
    return (words[0], words[1:]) if named else (one_file(None, None), words)


def findings(loaded: Loaded, name: str) -> Iterator[Finding]:
    """What its adapter sees of one resource."""
    from dynamiccluster.clouds.registry import check_resource
    from dynamiccluster.kit.runner import SubprocessRunner
    from dynamiccluster.kit.secrets import Redactor

    item, general = loaded.settings.cloud[name], loaded.settings.general
    redactor = Redactor()
    redactor.add(*loaded.secrets())
    seen = check_resource(
        item.type,
        loaded.policy.resources[name],
        dict(item.config),
        cluster_id=general.cluster_id,
        runner=SubprocessRunner(),
    )
    for finding in seen:  # SDKs quote addresses, which may hold a password
        yield replace(finding, message=redactor.redact(finding.message), fix=redactor.redact(finding.fix))


@contextmanager
def _unlogged() -> Iterator[None]:
    """What adapters and SDKs log is for those who run the service; here the findings say it."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def verdict(states: Iterable[FindingState]) -> int:
    """The exit code for all of them: that of the worst."""
    seen = set(states)
    return next((code for state, code in _CODES.items() if state in seen), exits.OK)


def _document(name: str, several: Sequence[Finding]) -> dict[str, object]:
    return {
        "resource": name,
        "ok": verdict(finding.state for finding in several) == exits.OK,
        "findings": [
            {
                "subject": finding.subject,
                "state": str(finding.state),
                "message": finding.message,
                "fix": finding.fix,
            }
            for finding in several
        ],
    }


def _show(name: str, several: Sequence[Finding]) -> None:
    listing = table("what", "result", "what it says")
    listing.title, listing.title_justify = clean(name), "left"
    for finding in several:
        said = f"{finding.message}. {finding.fix}" if finding.fix else finding.message
        listing.add_row(clean(finding.subject), str(finding.state), clean(said, _LONGEST))
    screen().print(listing)


def _summary(states: Sequence[FindingState]) -> str:
    wrong = sum(state in _CODES for state in states)
    unseen = sum(state is FindingState.UNKNOWN for state in states)
    told = "all as they should be" if len(states) != 1 else "as it should be"
    if wrong:
        told = f"{wrong} not as {'it' if wrong == 1 else 'they'} should be"
    return f"{amount(len(states), 'thing')} looked at, {told}" + (f", {unseen} could not be seen" if unseen else "")
