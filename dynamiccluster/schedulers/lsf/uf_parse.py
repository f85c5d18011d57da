"""From the text of ``bjobs -UF`` (or ``-l``) to records. Pure.

Seen with OpenLava 4.0; LSF 10.1's own ``-UF`` (documented) has the same keys. Keys and values stand as ``Key <value>``
one behind the other, and a user chooses some of the values: a name or command may hold ``>``, keys and line ends. So
a record in which something that must be there once is there twice is refused by its id, and of a line that may be
imitated in the command the last one counts, which LSF prints after it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable

from dynamiccluster.schedulers.lsf.record import Record, Records, Request, Unreadable

_RULE = "-" * 78
_START = re.compile(rf"(?:\A|\n)(?:{_RULE}\n)?\n?Job (?:Id )?<")
_WRAP = "\n" + " " * 21
_ID = re.compile(r"(\d{1,18}(?:\[\d{1,9}\])?)>,")
_HEAD = re.compile(
    r"(?:\s?Job Name <(?P<name>.*?)>,)?\s?User <(?P<user>[^<>\n]*)>,\s?(?:Project <(?P<project>[^<>\n]*)>,\s?)?"
    r"(?P<more>.*?)Status <(?P<state>[A-Z_]+)>,\s?Queue <(?P<queue>[^<>\s]+)>,?(?P<rest>.*)",
    re.DOTALL,
)
_TWICE = re.compile(r">,\s?User <[^<>\n]*>,\s?(?:Project|User Group|Mail|Status) <")
_GROUP = re.compile(r"User Group <([^<>\n]*)>")
_PRIORITY = re.compile(r"\bJob Priority <(\d+)>")
_WHEN = r"(?:[A-Z][a-z]{2}) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?: \d{4})?"
_INSTANT = re.compile(_WHEN)
_SUBMITTED = ": Submitted from host <"
_STARTED = re.compile(
    rf"\n({_WHEN}): (?:\[\d+\] )?(?:[Ss]tarted|[Dd]ispatched)(?: \d+ Task\(s\))? (?:on|to)(?: Host\(s\))?"
    r"(?: \d+ Hosts/Processors)?((?: <[^<>\n]*>)+)"
)
_SLOTS = re.compile(r", (\d+(?:-\d+)?) (?:Processors Requested|Task\(s\))")
_RESOURCES = re.compile(r", Requested Resources <(.*?)>(?=, [A-Z]|;|$)")
_BEGINS = re.compile(r", Specified Start Time <([^<>]*)>")
_HOSTS = re.compile(r", Specified Hosts ((?:<[^<>]*>(?:, )?)+)")
_EFFECTIVE = re.compile(r"\n Combined: ?(.*)\n Effective: ?(.*)(?:\n|\Z)")
_LIMIT_NAMES = re.compile(r"\n ((?:(?:CPULIMIT|RUNLIMIT|PROCLIMIT|TASKLIMIT)\s+)+)\n([^\n]*)")
_MINUTES = re.compile(r"(\d+(?:\.\d+)?) min")
_REASONS = " PENDING REASONS:\n"
_TAIL = "\n loadStop "
_DETAILS = "\n Effective:"
"""What a record ends with: the second after the first, in later versions."""


def unwrap(text: str) -> str:
    """``bjobs -l`` without its line breaks after 80 columns; a blank at a break is lost."""
    return text.replace(_WRAP, "")


def read_uf(text: str, account: str, end: str = "\n", details: bool = False) -> Records:
    """The records in ``text``. ``account``: what is taken as a job's account, ``project``, ``user_group`` or ``user``.

    ``end``: what a whole list ends with; ``details``: whether this version's records have them.

    :raises ValueError: the text was cut off.
    """
    starts = [found.end() for found in _START.finditer(text)]
    if not starts:
        if text:
            raise ValueError(f"there is no job in it; it begins {text.strip()[:80]!r}")
        return
    ends = [*starts[1:], len(text)]
    last = text[starts[-1] :]
    complete = text.endswith(end) and _TAIL in last and not last.rstrip().endswith(_RULE)
    if not complete or has_details(last) != (details or has_details(text[starts[0] : ends[0]])):
        raise ValueError("the list of jobs was cut off")
    del last
    requests: dict[Request, Request] = {}
    for first, behind in zip(starts, ends, strict=True):
        yield _record(text[first:behind], account, requests)


def has_details(text: str) -> bool:
    """Whether records end with how LSF reads their resource requirements, as those of later versions do."""
    return _DETAILS in text[max(text.rfind(_TAIL), 0) :]


def _record(text: str, account: str, requests: dict[Request, Request]) -> Record | Unreadable:
    found = _ID.match(text)
    if found is None:
        return Unreadable(f"odd job id; the record begins {text[:60]!r}")
    job_id = found[1]
    start, at, end = _submission(text)
    if at < 0:
        return Unreadable(f"{job_id}: when it was submitted is not said")
    head_text = text[found.end() : start]
    head = _HEAD.match(head_text)
    if head is None or len(_TWICE.findall(head_text)) > (1 if head["name"] is not None else 0):
        return Unreadable(f"{job_id}: its name or command looks like a part of the list")
    body, details = text[end:], text[at:end]
    request = Request(
        head["queue"],
        _account(head, account),
        _first(_SLOTS, details) if "Processors R" in details or "Task(s)" in details else "",
        _resources(body, details),
        ", Exclusive Execution" in details,
        _asked_hosts(details),
        _run_limit(body),
    )
    request = requests.setdefault(request, request)
    state = head["state"]
    started, hosts = ("", ()) if state in ("PEND", "PSUSP") else _place(body)
    return Record(
        job_id,
        state,
        head["name"] or "",
        head["user"],
        request,
        text[start + 1 : at],
        _first(_BEGINS, details) if "Specified Start" in details else "",
        started,
        hosts,
        _reasons(body),
        _first(_PRIORITY, head["rest"]) if "Job Priority <" in head["rest"] else "",
    )


def _submission(text: str) -> tuple[int, int, int]:
    """Where the line about the submission begins, goes on after the instant, and ends; the last such line."""
    at = len(text)
    while (at := text.rfind(_SUBMITTED, 0, at)) >= 0:
        start = text.rfind("\n", 0, at)
        if start >= 0 and _INSTANT.fullmatch(text, start + 1, at):
            end = text.find("\n", at)
            return start, at, end if end >= 0 else len(text)
    return -1, -1, -1


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _account(head: re.Match[str], account: str) -> str:
    if account == "user":
        return head["user"]
    if account == "user_group":
        return _first(_GROUP, head["more"])
    return head["project"] or ""


def _resources(body: str, details: str) -> str:
    """What LSF made of queue, application and job together; where it does not say so, what the job asked for."""
    effective = _EFFECTIVE.search(body, max(body.rfind("\n Combined:"), 0))
    if effective:
        return effective[2].strip() or effective[1].strip()
    return _first(_RESOURCES, details)


def _asked_hosts(details: str) -> tuple[str, ...]:
    found = _HOSTS.search(details) if "Specified Hosts <" in details else None
    return tuple(_names(found[1])) if found else ()


def _names(text: str) -> Iterable[str]:
    return re.findall(r"<(?:\d+\*)?([^<>]*)>", text)


def _run_limit(body: str) -> str:
    found = _LIMIT_NAMES.search(body) if "RUNLIMIT" in body else None
    if found is None:
        return ""
    names, values = found[1].split(), _MINUTES.findall(found[2])
    at = names.index("RUNLIMIT") if "RUNLIMIT" in names else len(values)
    return values[at] if at < len(values) else ""


def _place(body: str) -> tuple[str, tuple[str, ...]]:
    """When and where it was last started."""
    started = _last(_STARTED, body)
    if started is None:
        return "", ()
    return started[1], tuple(dict.fromkeys(_names(started[2])))


def _reasons(body: str) -> str:
    start = body.find(_REASONS)
    if start < 0:
        return ""
    start += len(_REASONS)
    end = body.find("\n\n", start)
    return body[start : end if end >= 0 else len(body)]
