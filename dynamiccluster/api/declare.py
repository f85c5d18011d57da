"""What a verb of a path takes and answers, said once: requests are checked by it, and OpenAPI is made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from dynamiccluster.api.problems import bad_field
from dynamiccluster.api.tokens import Role

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])

LONGEST = 300
"""Characters of a query argument."""

HIGHEST_AT = 1e11
"""Instants are epoch seconds before the year 5138: milliseconds by mistake are noticed."""


@dataclass(frozen=True, slots=True, eq=False)
class Param(Generic[T]):
    """One query parameter. ``read`` makes a value of its text, or raises ``ValueError``."""

    name: str
    read: Callable[[str], T]
    default: T
    expected: str  # what a message says after "expected"
    schema: Mapping[str, Any]
    about: str = ""
    listed: bool = False  # words with commas between
    repeated: bool = False  # may be given several times; ``read`` gets them with line feeds between

    def value(self, text: str | None) -> T:
        """:raises ApiError: 400 that names the parameter."""
        if text is None:
            return self.default
        if len(text) > LONGEST and not self.repeated:
            raise bad_field(self.name, f"at most {LONGEST} characters")
        try:
            return self.read(text)
        except ValueError as error:
            raise bad_field(self.name, self.expected) from error


def number(name: str, default: int, lowest: int, highest: int, about: str = "") -> Param[int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 15 and lowest <= int(text) <= highest):
            raise ValueError(text)
        return int(text)

    schema = {"type": "integer", "minimum": lowest, "maximum": highest, "default": default}
    return Param(name, read, default, f"a whole number from {lowest} to {highest}", schema, about)


def word(name: str, about: str = "") -> Param[str]:
    return Param(name, str.strip, "", "text", {"type": "string", "maxLength": LONGEST}, about)


def one_of(name: str, valid: Iterable[str], about: str = "") -> Param[str]:
    """One of these words; "" if absent."""
    known = list(valid)

    def read(text: str) -> str:
        if text and text not in known:
            raise ValueError(text)
        return text

    return Param(name, read, "", f"one of {', '.join(known)}", {"type": "string", "enum": ["", *known]}, about)


def words(name: str, valid: Iterable[str], about: str = "") -> Param[frozenset[str]]:
    """Words with commas between, each one of ``valid``: a typo would find nothing and look like an answer."""
    known = list(valid)

    def read(text: str) -> frozenset[str]:
        found = frozenset(part.strip().lower() for part in text.split(",") if part.strip())
        if not found <= set(known):
            raise ValueError(text)
        return found

    schema = {"type": "array", "items": {"type": "string", "enum": known}, "maxItems": 20}
    return Param(name, read, frozenset(), f"any of {', '.join(known)}", schema, about, listed=True)


def instant(name: str, about: str = "") -> Param[float]:
    """Epoch seconds; 0 if absent."""

    def read(text: str) -> float:
        value = float(text)
        if not 0.0 <= value < HIGHEST_AT or "_" in text:
            raise ValueError(text)
        return value

    schema = {"type": "number", "minimum": 0, "exclusiveMaximum": HIGHEST_AT}
    return Param(name, read, 0.0, "seconds since 1970-01-01 UTC", schema, about)


def flag(name: str, about: str = "") -> Param[bool]:
    def read(text: str) -> bool:
        if text.lower() not in {"true", "false", "1", "0"}:
            raise ValueError(text)
        return text.lower() in {"true", "1"}

    return Param(name, read, False, "true or false", {"type": "boolean", "default": False}, about)


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb of one path."""

    summary: str
    answer: type[BaseModel] | Mapping[str, Any]  # a document, or a JSON schema of plain data
    takes: tuple[Param[Any], ...] = ()
    body: type[BaseModel] | None = None
    role: Role | None = None  # ``None``: viewer for reading, operator for changing
    agents: bool = False  # whether a node's agent may ask it, too; the handler looks for which node
    also: tuple[int, ...] = ()  # statuses besides those that all have
    media: str = "application/json"
    status: int = 200  # when all is well
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(param.name for param in self.takes))

    def needs(self, method: str) -> Role:
        if self.role is not None:
            return self.role
        return Role.VIEWER if method in {"GET", "HEAD"} else Role.OPERATOR

    def admits(self, role: Role, method: str) -> bool:
        return role >= self.needs(method) or (self.agents and role is Role.AGENT)


def operation(
    summary: str,
    answer: type[BaseModel] | Mapping[str, Any],
    *,
    takes: tuple[Param[Any], ...] = (),
    body: type[BaseModel] | None = None,
    role: Role | None = None,
    agents: bool = False,
    also: tuple[int, ...] = (),
    media: str = "application/json",
    status: int = 200,
) -> Callable[[Function], Function]:
    """Declares a handler's verb."""
    declared = Operation(summary, answer, takes, body, role, agents, also, media, status)

    def mark(function: Function) -> Function:
        function.__dict__["operation"] = declared
        return function

    return mark


def operation_of(handler: type[object], method: str) -> Operation | None:
    """What is declared for ``method`` of a handler; ``None`` if it has none."""
    found = getattr(getattr(handler, method.lower(), None), "operation", None)
    return found if isinstance(found, Operation) else None
