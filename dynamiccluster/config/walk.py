"""Looks into the schema: which keys stand where, and what each of them expects, in words."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import Tag
from pydantic.fields import FieldInfo

from dynamiccluster.config.fields import Says, Section
from dynamiccluster.config.problems import Path, dotted

TYPE = "type="
"""Begins the tag of a class that was chosen by a ``type:`` key; such tags stand in the paths of pydantic's errors."""


@dataclass(slots=True)
class Shape:
    """What stands at one place of the schema."""

    model: type[Section] | None = None
    variants: dict[str, type[Section]] = field(default_factory=dict)  # by tag
    item: Any = None  # annotation of the values of a mapping or list
    phrase: str = ""


def shape(annotation: Any, metadata: Sequence[Any] = ()) -> Shape:
    """What an annotation allows; ``metadata`` is what pydantic has taken off it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return shape(inner, [*metadata, *more])
    phrase = _phrase(metadata)
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        if len(members) == 1:
            return shape(members[0], metadata)
        variants = {tag: shape(member).model for member in members for tag in _tags(member)}
        chosen = {tag: model for tag, model in variants.items() if model is not None}
        kinds = ", ".join(tag.removeprefix(TYPE) for tag in chosen)
        return Shape(variants=chosen, phrase=f"a mapping with a type: {kinds}" if chosen else phrase)
    if origin is dict:
        return Shape(item=get_args(annotation)[1], phrase=phrase or "a mapping")
    if origin is tuple:
        return Shape(item=get_args(annotation)[0], phrase=phrase or "a list")
    if origin is Literal:
        return Shape(phrase=_one_of([str(value) for value in get_args(annotation)]))
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return Shape(model=annotation, phrase=phrase or "a mapping")
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return Shape(phrase=_one_of([str(value) for value in annotation]))
    return Shape(phrase=phrase)


def field_shape(info: FieldInfo) -> Shape:
    return shape(info.annotation, info.metadata)


def keys(model: type[Section]) -> dict[str, FieldInfo]:
    """The YAML keys of a section."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def descend(root: type[Section], path: Path) -> tuple[Shape, FieldInfo | None]:
    """What stands at a path of the schema, in pydantic's terms (with tags); an empty shape if nothing does."""
    here, info = Shape(model=root), None
    for part in path:
        if here.variants:
            model = here.variants.get(str(part))
            here, info = (Shape(model=model), info) if model else (Shape(), None)
        elif here.model is not None:
            info = keys(here.model).get(str(part))
            here = field_shape(info) if info else Shape()
        elif here.item is not None:
            here, info = shape(here.item), None
        else:
            return Shape(), None
    return here, info


def sections(root: type[Section], path: Path = ()) -> Iterator[tuple[Path, type[Section]]]:
    """Every section of the schema with its path: ``<name>`` for free names, tags for types."""
    yield path, root
    for key, info in keys(root).items():
        yield from _below(field_shape(info), (*path, key))


def _below(here: Shape, path: Path) -> Iterator[tuple[Path, type[Section]]]:
    if here.model is not None:
        yield from sections(here.model, path)
    for tag, model in here.variants.items():
        yield from sections(model, (*path, tag))
    if here.item is not None:
        yield from _below(shape(here.item), (*path, "<name>"))


def places(root: type[Section], key: str) -> list[str]:
    """Where in the schema a key of this name stands, dotted, each place once."""
    found: dict[str, None] = {}
    for path, model in sections(root):
        if key in keys(model):
            found[dotted((*(part for part in path if not str(part).startswith(TYPE)), key))] = None
    return list(found)


def types_with(root: type[Section], location: Path) -> list[str]:
    """The other types whose section at this location has the key that ends it, where some ``type:`` was chosen."""
    found = []
    for at, part in enumerate(location):
        if str(part).startswith(TYPE):
            for tag in descend(root, location[:at])[0].variants:
                section = descend(root, (*location[:at], tag, *location[at + 1 : -1]))[0].model
                if tag != part and section is not None and location[-1] in keys(section):
                    found.append(tag.removeprefix(TYPE))
    return found


def _phrase(metadata: Sequence[Any]) -> str:
    phrase = next((item.phrase for item in reversed(metadata) if isinstance(item, Says)), "")
    for item in metadata:
        if isinstance(item, annotated_types.Le) and not phrase.endswith(str(item.le)):
            phrase += f", at most {item.le}"
    return phrase


def _tags(member: Any) -> list[str]:
    return [item.tag for item in getattr(member, "__metadata__", ()) if isinstance(item, Tag)]


def _one_of(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
