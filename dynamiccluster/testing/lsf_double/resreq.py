"""Resource requirements: ``select[...] rusage[...] span[...]``, and whether a host meets them."""

from __future__ import annotations

import re
from typing import Any

from dynamiccluster.testing.lsf_double.cluster import Host

_SECTION = re.compile(r"(select|rusage|span|order|same)\[([^\]]*)\]")
_TOKEN = re.compile(r"\s*(&&|\|\||==|!=|>=|<=|[()!<>]|[A-Za-z_][\w.]*|\d+(?:\.\d+)?[KMGT]?)")
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)")
_UNITS = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0 * 1024}


def sections(text: str) -> dict[str, str]:
    """By name. A text without brackets is all ``select``."""
    found = {name: inside.strip() for name, inside in _SECTION.findall(text)}
    return found if found or not text.strip() else {"select": text.strip()}


def unknown_names(text: str, known: set[str]) -> list[str]:
    """Names in ``select`` that no configuration has."""
    words = re.findall(r"[A-Za-z_]\w*", sections(text).get("select", ""))
    return [word for word in words if word not in known]


def span(text: str) -> tuple[int, int]:
    """Hosts at most (0: any) and slots per host at most (0: any)."""
    inside = sections(text).get("span", "")
    hosts = re.search(r"hosts\s*=\s*(-?\d+)", inside)
    ptile = re.search(r"ptile\s*=\s*(\d+)", inside)
    return max(0, int(hosts[1])) if hosts else 0, int(ptile[1]) if ptile else 0


def memory_mib(text: str) -> int:
    """``rusage[mem=N]``, per host."""
    found = re.search(r"\bmem\s*=\s*(\d+(?:\.\d+)?[KMGT]?)", sections(text).get("rusage", ""))
    return int(number(found[1])) if found else 0


def number(text: str) -> float:
    """``72G`` in MiB; plain numbers are what they are."""
    found = _NUMBER.match(text)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def meets(text: str, name: str, host: Host) -> bool:
    """Whether the host meets ``select``. :raises ValueError: it cannot be read."""
    tokens = _TOKEN.findall(sections(text).get("select", ""))
    if not tokens:
        return True
    reader = _Reader(tokens, values_of(name, host))
    result = reader.either()
    if reader.rest:
        raise ValueError(f"{text}: what is {reader.rest[0]}?")
    return bool(result)


def values_of(name: str, host: Host) -> dict[str, Any]:
    load = host["load"] or {}
    values: dict[str, Any] = {key: number(str(value)) for key, value in load.items()}
    values.update(dict.fromkeys(host["resources"], True))
    values.update(type=host["type"], model=host["model"], hname=name, server=True, cpuf=host["cpuf"])
    values.update(ncpus=float(host["ncpus"] or 0), maxmem=float(host["maxmem"] or 0), slots=float(host["max"]))
    values["mem"] = values.get("mem", 0.0) - host["used_mem"]
    return values


class _Reader:
    """A small expression, read from left to right."""

    def __init__(self, tokens: list[str], values: dict[str, Any]) -> None:
        self.rest = tokens
        self._values = values

    def either(self) -> bool:
        result = self.both()
        while self.rest and self.rest[0] == "||":
            self.rest.pop(0)
            result = self.both() or result
        return result

    def both(self) -> bool:
        result = self.one()
        while self.rest and self.rest[0] == "&&":
            self.rest.pop(0)
            result = self.one() and result
        return result

    def one(self) -> bool:
        if not self.rest:
            raise ValueError("the expression ends too early")
        word = self.rest.pop(0)
        if word == "!":
            return not self.one()
        if word == "(":
            result = self.either()
            if not self.rest or self.rest.pop(0) != ")":
                raise ValueError("a parenthesis is not closed")
            return result
        if self.rest and self.rest[0] in ("==", "!=", ">=", "<=", ">", "<"):
            return self._compared(word, self.rest.pop(0), self.rest.pop(0) if self.rest else "")
        return bool(self._values.get(word, False))

    def _compared(self, left: str, sign: str, right: str) -> bool:
        value = self._values.get(left)
        if isinstance(value, str):
            same = right in (value, "any", "local")
            return same if sign == "==" else not same
        one, other = float(value or 0), number(right)
        results = {"==": one == other, "!=": one != other, ">=": one >= other, "<=": one <= other, ">": one > other}
        return results.get(sign, one < other)
