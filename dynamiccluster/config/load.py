"""From a file to settings and policy, or to every problem at once."""

from __future__ import annotations

import copy
import os
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from dynamiccluster.config import crosscheck, explain, legacy, redact, remarks
from dynamiccluster.config.document import Document, read
from dynamiccluster.config.problems import ConfigProblems, Notice, Path, Problem
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.to_policy import policy_of
from dynamiccluster.config.walk import descend
from dynamiccluster.model.policy import Policy


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used."""

    path: str
    settings: Settings = field(repr=False)  # URLs in it may hold passwords; everything else hides its own
    policy: Policy
    notices: tuple[Notice, ...] = ()
    lines: Mapping[Path, int] = field(default_factory=dict, repr=False)  # where each key stands

    def redacted(self) -> dict[str, Any]:
        """The configuration as plain data without secrets, for the REST API and for people."""
        return redact.redacted(self.settings)

    def secrets(self) -> list[str]:
        """Every secret in it, in the clear: for the log's redactor, and for nothing else."""
        return redact.secret_values(self.settings)


def load(path: str | os.PathLike[str], *, env: Mapping[str, str] | None = None) -> Loaded:
    """The configuration in a file. ``env`` is where ``from_env`` looks; by default the process's environment.

    Reads the file, the files that ``from_file`` names, and looks whether some others are there; no commands, no
    network.

    :raises ConfigProblems: everything that is wrong with it.
    """
    document = read(os.fspath(path))
    problems, old = legacy.apply(document)
    document.drop_blanks()
    context = {"base": pathlib.Path(document.file).absolute().parent, "env": os.environ if env is None else env}
    settings, refused = _validate(document, document.data, context)
    problems += refused
    if settings is None:
        raise ConfigProblems([*problems, *_contradictions(document, context)])
    problems += crosscheck.problems_of(settings, document)
    notices = (*old, *remarks.notices_of(settings, document))
    if problems:
        raise ConfigProblems(problems, notices)
    return Loaded(document.file, settings, policy_of(settings), notices, document.lines)


def _validate(
    document: Document, data: dict[str, Any], context: dict[str, Any]
) -> tuple[Settings | None, list[Problem]]:
    try:
        return Settings.model_validate(data, context=context), []
    except ValidationError as error:
        errors = error.errors(include_url=False, include_context=False, include_input=False)
        return None, [explain.problem_of(document, dict(item)) for item in errors]


def _contradictions(document: Document, context: dict[str, Any]) -> list[Problem]:
    """What the cross checks find in a file that has bad values too, once those are replaced by harmless ones.

    So an operator sees all problems at once. What touches a replaced value is not judged.
    """
    data = copy.deepcopy(document.data)
    replaced: list[Path] = []
    for _ in range(5):  # where no harmless value is known, the section above goes in the next round
        try:
            settings = Settings.model_validate(data, context=context)
        except ValidationError as error:
            errors = error.errors(include_url=False, include_context=False, include_input=False)
            for item in errors:
                path = _replace(data, tuple(item["loc"]))
                meant = explain.problem_of(document, dict(item)).nearest
                replaced += [path, (*path[:-1], meant)] if meant else [path]
            continue
        clouds_whole = not any(path[:1] == ("cloud",) for path in replaced)
        found = crosscheck.problems_of(settings, document, between_resources=clouds_whole)
        keys = [document.key(path) for path in replaced]
        return [problem for problem in found if not any(_touches(problem.key, key) for key in keys)]
    return []


def _replace(data: dict[str, Any], location: Path) -> Path:
    """Put the example of a bad or missing key in its place if it is required, else remove it, else what holds it.

    Returns the path of what was changed.
    """
    path = explain.written_path(location)
    _, info = descend(Settings, location)
    here: Any = data
    for part in path[:-1]:
        here = here.get(part) if isinstance(here, dict) else None
    if isinstance(here, dict) and info is not None and info.is_required() and info.examples:
        here[path[-1]] = copy.deepcopy(info.examples[0])
        return path
    for length in range(len(path), 0, -1):
        here = data
        for part in path[: length - 1]:
            here = here.get(part) if isinstance(here, dict) else None
        if isinstance(here, dict) and path[length - 1] in here:
            del here[path[length - 1]]
            return path[:length]
    return path


def _touches(key: str, replaced: str) -> bool:
    """Whether one of two dotted keys is the other, or holds it."""
    short, long = sorted((key, replaced), key=len)
    return long == short or long.startswith((short + ".", short + "["))
