"""From a resource requirement string (``bsub -R``) to what of it decides on nodes. Pure.

Grammar: *Resource requirement strings* in LSF's administration guide and ``lsfintro(1)`` of OpenLava. A string is made
of sections ``select[...] order[...] rusage[...] span[...] same[...]`` and others, or is a bare ``select`` expression,
or several of these as ``{...}||{...}`` (alternatives) and ``N*{...}+M*{...}`` (compound). What is made of each:

* ``select``: names of Boolean resources, in groups of which each needs one (conjunctive normal form). ``mem>N`` and
  ``maxmem>N`` are memory that the host must have. ``type==X``, ``model==X`` are the word X; ``any`` and ``local``
  are nothing. What a new node cannot be chosen by (load, ``tmp``, ``ncpus``, ``!word``) is left out.
* ``rusage``: ``mem`` and GPUs (``ngpus``, ``ngpus_physical``, ``ngpus_excl_p`` ...). Of alternatives the first.
* ``span``: ``hosts=1``, ``ptile``, ``block``.
* Everything else (``order``, ``same``, ``cu``, ``affinity``) says nothing about which kind of node is wanted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

Clauses = tuple[frozenset[str], ...]
"""Each needs one of its words. Empty: anything will do."""

ANYTHING: Clauses = ()
_MOST_CLAUSES = 64
"""A select expression that becomes longer than that cannot be meant; it could be made to by hand."""
_MOST_DEPTH = 50
_MOST_LENGTH = 16_384

_UNITS = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2, "P": 1024.0**3, "E": 1024.0**4}
_AMOUNT = re.compile(r"\(?\s*(\d+(?:\.\d*)?|\.\d+)\s*([KMGTPE]?)B?\b", re.IGNORECASE)
_SECTION = re.compile(r"\s*([a-z]+)\s*\[", re.IGNORECASE)
_TOKEN = re.compile(
    r"\s*(?:(?P<op>\|\||&&|[=!<>]=|[<>=!()+*/-])|(?P<quoted>'[^']*'|\"[^\"]*\")|(?P<word>[\w.@:%~#]+(?:-[\w.@:%~#]+)*))"
)
_MEMORY = frozenset({"mem", "maxmem"})
_GPU = re.compile(r"ngpus(?:_\w+)?|gpu_num|gpus?")
_KINDS = frozenset({"type", "model"})
_NO_KIND = frozenset({"any", "local"})


@dataclass(frozen=True, slots=True)
class Requirement:
    """What one resource requirement string asks for; amounts of memory in MiB."""

    words: Clauses = ANYTHING
    hosts: frozenset[str] = frozenset()  # select[hname==X]
    least_mem_mib: int = 0  # select[mem>N]: the host must have it
    mem_mib: int = 0  # rusage[mem=N]
    mem_per: str = ""  # "host", "job" or "task" where the string says so itself
    gpus: int = 0
    one_host: bool = False  # span[hosts=1]
    ptile: int = 0  # span[ptile=N]
    block: int = 0  # span[block=N]


def parse_resreq(text: str, unit: str = "M") -> Requirement:
    """What ``text`` asks for. ``unit``: of amounts without one, the first letter of ``LSF_UNIT_FOR_LIMITS``.

    :raises ValueError: it is not a resource requirement string.
    """
    if len(text) > _MOST_LENGTH:
        raise ValueError(f"a resource requirement of {len(text)} characters")
    text = text.strip()
    if "{" in text:
        text = _first_term(text)
    requirement = Requirement()
    for name, body in _sections(text):
        match name:
            case "select" if body:
                requirement = _with_select(requirement, body, unit)
            case "rusage":
                requirement = _with_rusage(requirement, body, unit)
            case "span":
                requirement = _with_span(requirement, body)
    return requirement


def mib(text: str, unit: str = "M") -> int:
    """``2048.00``, ``2GB``, ``23.5G``, ``100K`` in MiB, rounded up; without a letter in ``unit``.

    :raises ValueError: it is no amount.
    """
    found = _AMOUNT.match(text)
    if found is None or len(found[1]) > 30:
        raise ValueError(f"{text[:40]!r} is no amount of memory")
    amount = float(found[1]) * _UNITS[(found[2] or unit).upper()[0]]
    return -int(-amount // 1)


def _first_term(text: str) -> str:
    """The first ``{...}`` of alternatives or of a compound requirement."""
    start = text.index("{")
    return text[start + 1 : _closing(text, start, "{", "}")]


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Name and contents of each section; a bare expression is ``select``."""
    at = 0
    while at < len(text):
        found = _SECTION.match(text, at)
        if found is None:
            if at == 0:
                yield "select", text
                return
            rest = text[at:].strip()
            if rest:
                raise ValueError(f"{rest[:40]!r} stands between sections")
            return
        end = _closing(text, found.end() - 1, "[", "]")
        yield found[1].lower(), text[found.end() : end].strip()
        at = end + 1


def _closing(text: str, start: int, opens: str, closes: str) -> int:
    depth = 0
    for at in range(start, len(text)):
        if text[at] == opens:
            depth += 1
        elif text[at] == closes:
            depth -= 1
            if depth == 0:
                return at
    raise ValueError(f"{opens} is never closed")


def _with_span(requirement: Requirement, body: str) -> Requirement:
    values = dict(part.partition("=")[::2] for part in re.sub(r"\s", "", body).replace("'", "").split(","))
    hosts = values.get("hosts", "")
    ptile, block = values.get("ptile", ""), values.get("block", "")
    return replace(
        requirement,
        one_host=hosts == "1",
        ptile=int(ptile) if ptile.isdecimal() and len(ptile) < 10 else 0,
        block=int(block) if block.isdecimal() and len(block) < 10 else 0,
    )


def _with_rusage(requirement: Requirement, body: str, unit: str) -> Requirement:
    body = body.partition("||")[0]  # of alternatives the first
    for part in re.split(r"[,:](?![^()]*\))", body):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals:
            continue
        amount, _, per = value.partition("/")
        if name == "mem":
            requirement = replace(requirement, mem_mib=mib(amount, unit), mem_per=per.strip().lower())
        elif _GPU.fullmatch(name):
            requirement = replace(requirement, gpus=max(requirement.gpus, mib(amount, "M")))
    return requirement


def _with_select(requirement: Requirement, body: str, unit: str) -> Requirement:
    reader = _Select(list(_tokens(body)), unit)
    clauses = reader.read()
    return replace(requirement, words=clauses, least_mem_mib=reader.least_mem_mib, hosts=frozenset(reader.hosts))


def _tokens(text: str) -> Iterator[str]:
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"{text[at : at + 20]!r} cannot be read")
        at = found.end()
        yield found["op"] or found["word"] or found["quoted"]


class _Select:
    """Recursive descent over one select expression."""

    def __init__(self, tokens: list[str], unit: str) -> None:
        self._tokens = tokens
        self._unit = unit
        self._at = 0
        self._depth = 0
        self._sure = True  # not below a NOT
        self.least_mem_mib = 0
        self.hosts: set[str] = set()

    def read(self) -> Clauses:
        clauses = self._any()
        if self._at != len(self._tokens):
            raise ValueError(f"{self._tokens[self._at]!r} is not expected")
        return clauses

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        if not token:
            raise ValueError("it ends too early")
        self._at += 1
        return token

    def _any(self) -> Clauses:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise ValueError("too many brackets")
        before = self.least_mem_mib, set(self.hosts)
        clauses = self._all()
        while self._peek() == "||":
            self._at += 1
            clauses = _either(clauses, self._all())
            self.least_mem_mib, self.hosts = before[0], set(before[1])  # what one alternative asks for is not sure
        self._depth -= 1
        return clauses

    def _all(self) -> Clauses:
        clauses = self._one()
        while self._peek() == "&&":
            self._at += 1
            clauses = _both(clauses, self._one())
        return clauses

    def _one(self) -> Clauses:
        negated = self._peek() == "!"
        while self._peek() == "!":
            self._at += 1
        sure, self._sure = self._sure, self._sure and not negated
        clauses = self._bracket() if self._peek() == "(" and not self._begins_a_sum() else self._comparison()
        self._sure = sure
        return ANYTHING if negated else clauses

    def _bracket(self) -> Clauses:
        self._at += 1
        clauses = self._any()
        if self._take() != ")":
            raise ValueError("a bracket is never closed")
        return clauses

    def _begins_a_sum(self) -> bool:
        """Whether the bracket here is one of arithmetic: ``(swp+mem) > 100``."""
        depth = 0
        for at in range(self._at, len(self._tokens)):
            depth += (self._tokens[at] == "(") - (self._tokens[at] == ")")
            if depth == 0:
                following = self._tokens[at + 1] if at + 1 < len(self._tokens) else ""
                return following in _ARITHMETIC or following in _COMPARISONS
        return False

    def _comparison(self) -> Clauses:
        left = self._sum()
        if self._peek() not in _COMPARISONS:
            return self._word(left)
        comparison, right = self._take(), self._sum()
        if len(left) == len(right) == 1:
            return self._compared(left[0].lower(), comparison, right[0].strip("'\""))
        return ANYTHING

    def _sum(self) -> list[str]:
        """The tokens of an arithmetic expression: one, where it is a plain name or number."""
        tokens = self._factor()
        while self._peek() in _ARITHMETIC:
            tokens += [self._take(), *self._factor()]
        return tokens

    def _factor(self) -> list[str]:
        found = self._take()
        while found == "-":
            found = self._take()
        if found == "(":
            self._depth += 1
            if self._depth > _MOST_DEPTH:
                raise ValueError("too many brackets")
            tokens = ["(", *self._sum(), self._take()]
            self._depth -= 1
            if tokens[-1] != ")":
                raise ValueError("a bracket is never closed")
            return tokens
        if found in _COMPARISONS or found in ("||", "&&", "!", ")", "+", "*", "/"):
            raise ValueError(f"{found!r} is not expected")
        if found == "defined" and self._peek() == "(":  # defined(RESOURCE): as if it stood there itself
            self._at += 1
            name = self._take()
            if self._take() != ")":
                raise ValueError("a bracket is never closed")
            return [name]
        return [found]

    def _word(self, tokens: list[str]) -> Clauses:
        if len(tokens) != 1 or not re.match(r"[A-Za-z_]", tokens[0]):
            return ANYTHING
        return (frozenset({tokens[0]}),)

    def _compared(self, name: str, comparison: str, value: str) -> Clauses:
        if name in _MEMORY and comparison in (">", ">=", "=", "=="):
            if self._sure and _AMOUNT.match(value):
                self.least_mem_mib = max(self.least_mem_mib, mib(value, self._unit))
        elif name in _KINDS and comparison in ("=", "==") and value not in _NO_KIND:
            return (frozenset({value}),)
        elif name == "hname" and comparison in ("=", "==") and self._sure:
            self.hosts.add(value)
        elif comparison in ("=", "==", ">=") and value == "1" and name not in _NUMERIC:
            return (frozenset({name}),)  # a Boolean resource, written as a number
        return ANYTHING


_COMPARISONS = frozenset({"==", "=", "!=", "<", ">", "<=", ">="})
_ARITHMETIC = frozenset({"+", "-", "*", "/"})
_NUMERIC = frozenset({"r15s", "r1m", "r15m", "ut", "pg", "io", "ls", "it", "tmp", "swp", "mem", "maxmem", "maxswp"})
_NUMERIC |= {"maxtmp", "ncpus", "nprocs", "ncores", "nthreads", "ndisks", "cpuf", "rexpri", "slots", "maxslots"}
_NUMERIC |= {"cpu", "login", "swap", "idle"}
"""Resources that LSF has by itself and that are amounts: see ``lsinfo``."""


def _both(one: Clauses, other: Clauses) -> Clauses:
    return _bounded(tuple(dict.fromkeys((*one, *other))))


def _either(one: Clauses, other: Clauses) -> Clauses:
    if not one or not other:
        return ANYTHING
    return _bounded(tuple(dict.fromkeys(left | right for left in one for right in other)))


def _bounded(clauses: Clauses) -> Clauses:
    if len(clauses) > _MOST_CLAUSES:
        raise ValueError("too many alternatives")
    return clauses
