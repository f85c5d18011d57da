"""The operator's command templates, and what is put into them.

A template is split into words without a shell; only one with a pipe or back-quotes goes to ``/bin/sh``, and then every
value in it must be plain (``kit/runner``). A word that is a placeholder alone may become several words, which is how
``pbsnodes {0} {1}`` gets its ``-N NOTE``. Three commands of the original's guide do harm as they are printed there and
are used in part only; ``docs/compatibility.md`` says how, and ``check-config`` tells whoever has them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.runner import PLAIN_JOB_ID, CommandTemplate, parse_template

Value = str | tuple[str, ...]
"""A plain value; or words that we have made ourselves, which need not be plain and never reach a shell."""

_OPERATORS = frozenset({"=", "+=", "-="})


@dataclass(frozen=True, slots=True)
class Commands:
    """The ``..._command`` keys of ``cluster: config:``, with the defaults that work."""

    qstat: str = "/usr/bin/qstat -x -t"
    pbsnodes: str = "/usr/bin/pbsnodes {0} {1}"
    add_node: str = '/usr/bin/qmgr -c "create node {0}"'
    check_node: str = "/usr/bin/checknode {0}"
    remove_node: str = '/usr/bin/qmgr -c "delete node {0}"'
    set_node: str = '/usr/bin/qmgr -c "set node {0} {1} {2} {3}"'
    diagnose_p: str = "/usr/bin/diagnose -p"
    showres: str = "/usr/bin/showres -n"
    setres: str = "/usr/bin/setres {0} {1} {2}"
    releaseres: str = "/usr/bin/releaseres"
    delete_job: str = "/usr/bin/qdel -p {0}"
    signal_job: str = "/usr/bin/qsig -s {0} {1}"
    requeue_job: str = "/usr/bin/qrerun {0} {1}"
    check_job: str = "/usr/bin/checkjob {0}"
    release_hold: str = "/usr/bin/releasehold -a {0}"

    def __post_init__(self) -> None:
        """:raises BadConfigError: one of them is no command."""
        for each in fields(self):
            parse_template(getattr(self, each.name))


def filled(template: str, *values: Value) -> list[str]:
    """The command with the values put in; a word that is empty once filled in is left out.

    :raises BadConfigError: a value that may not stand where the template has it.
    """
    parsed = parse_template(template)
    if parsed.shell:
        return _for_shell(parsed, values)
    if parsed.highest >= len(values):
        raise BadConfigError(f"{template!r}: there is no value for {{{parsed.highest}}}, only {len(values)} given")
    for value in values:
        if isinstance(value, str) and value and not PLAIN_JOB_ID.fullmatch(value):
            raise BadConfigError(f"{template!r}: the value {value[:100]!r} has characters that are not allowed")
    words: list[str] = []
    for word in shlex.split(template):
        alone = re.fullmatch(r"\{(\d+)\}", word)
        value = values[int(alone[1])] if alone else ""
        if isinstance(value, tuple):
            words += value  # an empty word among them has its meaning: pbsnodes -N ''
            continue
        flat = [" ".join(each) if isinstance(each, tuple) else each for each in values]
        text = word.format(*flat)
        if text:
            words.append(text)
    return words


def _for_shell(parsed: CommandTemplate, values: Sequence[Value]) -> list[str]:
    """Operators of ``qmgr`` are put in as they are; everything else must be plain."""
    text = parsed.text
    plain: list[str] = []
    for number, value in enumerate(values):
        if isinstance(value, str):
            plain.append(value)
        elif len(value) == 1 and value[0] in _OPERATORS:
            text = re.sub(rf"(?<!\{{)\{{{number}\}}", value[0], text)
            plain.append("")
        else:
            plain.append(" ".join(value))  # refused below, by its number, if it is not plain
    job_ids = range(len(plain))
    return parse_template(text).argv(plain, job_ids=job_ids)


def is_shell(template: str) -> bool:
    return parse_template(template).shell


def program(template: str) -> list[str] | None:
    """The command without its options: ``sudo -n /usr/bin/qstat`` of ``sudo -n /usr/bin/qstat -x -t``. ``None`` if it
    goes to a shell."""
    if is_shell(template):
        return None
    words = shlex.split(template)
    options = [at for at, word in enumerate(words) if at and (word.startswith("-") or "{" in word)]
    after = [at for at in options if all(later in options for later in range(at, len(words)))]
    return words[: after[0]] if after else words


def qstat_with(template: str, needed: Sequence[tuple[str, ...]], without: Sequence[str] = ()) -> list[str]:
    """The command that lists jobs, with the options that we rely on if it lacks them, and without harmful ones.

    ``needed``: each an option, and its value if it has one.
    """
    if is_shell(template):
        return filled(template)
    words = [word for word in shlex.split(template) if word not in without]
    given = {letter for word in words if re.fullmatch(r"-[A-Za-z]+", word) for letter in word[1:]}
    return [*words, *(word for option in needed if option[0][1] not in given for word in option)]


def bulk_showres(template: str) -> list[str] | None:
    """The command that lists the reservations of all nodes; ``None`` if the template can only ask for one.

    Of ``showres -n | grep {0}`` only what stands before the pipe is used: with it, a Maui that does not answer looks
    like a node without reservations, and ``node1`` is found in ``node10``.
    """
    first = template.split("|")[0].strip()
    if "`" in first or "{" in first or not first:
        return None
    return shlex.split(first)


def releaseres_program(template: str) -> list[str] | None:
    """The command that ends reservations, to which their ids are added; ``None`` for one that finds them itself.

    Of ``releaseres `showres -n | grep User | grep {0} | grep {1} ...` `` only the first words are used: it would end
    every reservation of a node whose name begins like this one's, and without any it ends with an error.
    """
    if "`" in template and "showres" in template:
        return shlex.split(template.split("`")[0]) or None
    if is_shell(template) or "{" in template:
        return None
    return shlex.split(template)
