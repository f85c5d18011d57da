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
        data, guessed, hidden = _behind_types(document, context)
        raise ConfigProblems([*problems, *hidden, *_contradictions(document, data, guessed, context)])
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
        return None, [explain.problem_of(document, item) for item in _items(error)]


def _items(error: ValidationError) -> list[dict[str, Any]]:
    return [dict(item) for item in error.errors(include_url=False, include_context=False, include_input=False)]


def _errors(data: dict[str, Any], context: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        Settings.model_validate(data, context=context)
    except ValidationError as error:
        return _items(error)
    return []


def _behind_types(document: Document, context: dict[str, Any]) -> tuple[dict[str, Any], list[Path], list[Problem]]:
    """What is wrong in sections whose ``type:`` is unknown or missing, which the schema does not look into.

    They are judged by the type that was probably meant; where none is close, only what is wrong with each of the
    types is told. Returns the data with the close types put in, where these stand, and the problems.
    """
    data, guessed, hidden = copy.deepcopy(document.data), [], []
    for item in _errors(document.data, context):
        if item["type"] not in ("union_tag_invalid", "union_tag_not_found"):
            continue
        path = explain.written_path(tuple(item["loc"]))
        body: Any = data
        for part in path:
            body = body[part]
        if not isinstance(body, dict):
            continue
        meant = explain.problem_of(document, item).nearest
        kinds = [meant] if meant else explain.types_at(tuple(item["loc"]))
        found = [_below(document, path, {**body, "type": kind}, context) for kind in kinds]
        hidden += [problem for problem in found[0] if all(problem in others for others in found[1:])]
        if meant:
            body["type"] = meant
            guessed.append((*path, "type"))
    return data, guessed, hidden


def _below(document: Document, path: Path, body: dict[str, Any], context: dict[str, Any]) -> list[Problem]:
    """What the schema refuses in the section at ``path`` alone, if it were ``body``."""
    data: Any = body
    for part in reversed(path):
        data = {part: data}
    errors = [item for item in _errors(data, context) if explain.written_path(tuple(item["loc"]))[: len(path)] == path]
    return [explain.problem_of(document, item) for item in errors]


def _contradictions(
    document: Document, data: dict[str, Any], guessed: list[Path], context: dict[str, Any]
) -> list[Problem]:
    """What the cross checks find in a file that has bad values too, once those are replaced by harmless ones.

    So an operator sees all problems at once. What touches a replaced value is not judged. ``data`` is changed;
    ``guessed`` is where it is not the document's own.
    """
    replaced = list(guessed)
    for _ in range(5):  # where no harmless value is known, the section above goes in the next round
        try:
            settings = Settings.model_validate(data, context=context)
        except ValidationError as error:
            for item in _items(error):
                path = _replace(data, tuple(item["loc"]))
                meant = explain.problem_of(document, item).nearest
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
