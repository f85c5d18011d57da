"""Turns the schema's refusals into problems that an operator can act on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from dynamiccluster.config import legacy
from dynamiccluster.config.document import Document
from dynamiccluster.config.problems import Path, Problem
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.walk import TYPE, Shape, descend, keys, places, types_with


def written_path(location: Path) -> Path:
    """The path of a pydantic error in the file: without the tags of types and the marks of mapping keys."""
    return tuple(part for part in location if part != "[key]" and not str(part).startswith(TYPE))


def problem_of(document: Document, error: Mapping[str, Any]) -> Problem:
    """One refusal of the schema (an entry of ``ValidationError.errors()``) in words, without any value."""
    location: Path = tuple(error["loc"])
    path = written_path(location)
    kind = error["type"]
    if kind == "extra_forbidden":
        return _unknown(document, location, path)
    if location[-1:] == ("[key]",):
        return document.problem(path, "cannot be a name here: " + _own_words(error))
    here, info = descend(Settings, location)
    expected = here.phrase
    if info is not None and info.examples and expected and not isinstance(info.examples[0], dict):
        expected += f", for example `{_example(info.examples[0])}`"
    if kind == "missing":
        return document.problem(path, "is missing", expected)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _type(document, path, here)
    if kind == "too_short":
        return document.problem(path, "is empty", "at least one entry")
    if here.model is not None or here.variants:
        return document.problem(path, _own_words(error) if kind == "value_error" else f"is not {here.phrase}")
    if kind == "value_error":
        return document.problem(path, _own_words(error), expected)
    return document.problem(path, "is not a valid value", expected)


def types_at(location: Path) -> list[str]:
    """The known types of the section at a location."""
    return [tag.removeprefix(TYPE) for tag in descend(Settings, location)[0].variants]


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant; "" if none is close."""
    by_lower = {item.lower().replace("_", "-"): item for item in known}
    close = difflib.get_close_matches(word.lower().replace("_", "-"), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else ""


def _own_words(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def _example(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).replace("'", "")


def _unknown(document: Document, location: Path, path: Path) -> Problem:
    section, _ = descend(Settings, location[:-1])
    key = str(location[-1])
    known = set(keys(section.model)) if section.model else set()
    hint = nearest(key, [*sorted(known), *sorted(legacy.second_names(path[:-1]))])
    types = types_with(Settings, location)
    if types:
        text = f"is not a key of this type; it belongs to type {' or '.join(types)}"
        return document.problem(path, text, "", hint)
    elsewhere = places(Settings, key)
    if elsewhere and hint.lower() != key.lower():
        hint = " or ".join(elsewhere[:3])
        return document.problem(path, "is not a key of this section", "a known key", hint)
    return document.problem(path, "is not a known key", "" if hint else f"one of {', '.join(sorted(known))}", hint)


def _type(document: Document, path: Path, here: Shape) -> Problem:
    known = [tag.removeprefix(TYPE) for tag in here.variants]
    body: Any = document.data
    for part in path:
        body = body.get(part) if isinstance(body, dict) else None
    if not isinstance(body, dict):
        return document.problem(path, "is not a mapping", here.phrase)
    if "type" not in body:
        return document.problem((*path, "type"), "is missing", f"one of {', '.join(known)}")
    meant = nearest(str(body["type"]), known)
    return document.problem((*path, "type"), "is not a known type", f"one of {', '.join(known)}", meant)
