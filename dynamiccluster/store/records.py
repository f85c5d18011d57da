"""Records of the model to JSON text and back.

What a newer version wrote is read too: fields that we do not know are passed over, fields that are not there have
their defaults. Text that is not valid Unicode (a hostile job name) is repaired rather than stopping the service.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from dynamiccluster.errors import StoreError
from dynamiccluster.model.action import Action
from dynamiccluster.model.launch import Launch
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.worker_node import WorkerNode

T = TypeVar("T")

NODE: TypeAdapter[WorkerNode] = TypeAdapter(WorkerNode)
LAUNCH: TypeAdapter[Launch] = TypeAdapter(Launch)
ACTION: TypeAdapter[Action] = TypeAdapter(Action)

MEMORY_FIELDS: dict[str, TypeAdapter[Any]] = {
    name: TypeAdapter(hint) for name, hint in typing.get_type_hints(Memory).items()
}
"""One adapter per field of ``Memory``: the fields are stored one by one."""


def dump(record: object) -> str:
    """A record (or one field of ``Memory``) as JSON."""
    try:
        return to_json(record, inf_nan_mode="constants").decode()
    except PydanticSerializationError:
        return to_json(_repaired(record), inf_nan_mode="constants").decode()


def clean(text: str) -> str:
    """``text`` without lone surrogates, which no database takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_repaired(key): _repaired(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        return [_repaired(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: _repaired(getattr(value, each.name)) for each in dataclasses.fields(value)}
    return value


def parse(adapter: TypeAdapter[T], text: str, what: str) -> T:
    """The record behind ``text``; ``what`` names it in the error.

    :raises StoreError: it cannot be understood. It is not passed over: a forgotten node is a leaked machine.
    """
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"{what} in the store cannot be understood ({where or 'record'}: {first['msg']})") from error
