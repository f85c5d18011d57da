"""From the texts of ``bhosts -l``, ``bhosts -json``, ``lsload -l`` and ``lshosts -w`` to hosts. Pure.

Three programs speak of a host: mbatchd (``bhosts``) of its slots, its jobs and whether it is closed; the master LIM
(``lsload``) of whether it is alive; the LIM again (``lshosts``) of what it is. Seen with OpenLava 4.0: mbatchd may call
a host ``ok`` half a minute before its LIM is up, and ``closed_Adm`` covers whatever has happened to a host since.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.model.job import Job, JobState
from dynamiccluster.schedulers.lsf.jobs_parse import LOST_AND_FOUND
from dynamiccluster.schedulers.lsf.json_parse import read_records
from dynamiccluster.schedulers.lsf.record import Unreadable
from dynamiccluster.schedulers.lsf.resreq_parse import mib

T = TypeVar("T")
R = TypeVar("R")

BATCH_STATES = {
    "ok": HostState.UP,
    "unavail": HostState.DOWN,  # LIM and sbatchd do not answer
    "unreach": HostState.UNKNOWN,  # sbatchd does not answer, LIM may
    "closed": HostState.UP,
    "closed_Adm": HostState.UP,  # by an administrator, ours included
    "closed_Busy": HostState.UP,  # its load is beyond a threshold
    "closed_Excl": HostState.UP,  # runs an exclusive job
    "closed_cu_Excl": HostState.UP,
    "closed_Full": HostState.UP,  # all its slots are taken, or it has none
    "closed_Lock": HostState.UP,
    "closed_LockM": HostState.UP,
    "closed_Wind": HostState.UP,
    "closed_EGO": HostState.UP,
    "closed_RC": HostState.UP,
    "closed_LIM": HostState.UNKNOWN,  # its LIM does not answer
}
"""STATUS of ``bhosts -l`` and ``-w``. Source: ``bhosts(1)`` of LSF 10.1 and OpenLava's ``bhosts.c``."""

HOLDS = {
    "closed": "closed",
    "closed_Lock": "locked by the LSF administrator (lsadmin limlock)",
    "closed_LockM": "locked by the master LIM",
    "closed_Wind": "outside its dispatch window",
    "closed_EGO": "closed because it is not allotted to LSF",
    "closed_RC": "closed by LSF's resource connector",
}
"""Closed to all jobs by somebody else, beside ``closed_Adm``, which has its message."""

ALIVE = frozenset({"ok", "-ok", "busy", "-busy", "lockU", "lockW", "lockUW", "lockM", "lock", "-lockU", "-lockW"})
"""STATUS of ``lsload`` while the LIM answers; a minus sign means that RES does not, which batch jobs do without."""

DEAD = frozenset({"unavail", "unlicensed", "-unavail"})

_HEAD = re.compile(r"(?:\A|\n)HOST  ?(\S+)[ \t]*\n")
_MESSAGE = re.compile(r"\n *ADMIN ACTION (?:MESSAGE|COMMENTS?): ?(.*)")
_ROW_END = "loadStop"
_RESOURCES = re.compile(r"\(([^()]*)\)\s*$")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class BatchHost:
    """What mbatchd says of a host."""

    name: str
    status: str
    slots: int | None  # None = no limit
    jobs: int  # slots that jobs hold, reserved ones included
    message: str = ""  # of whoever closed or opened it last
    reserved_mib: int = 0
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class LimHost:
    """What the LIM says of a host."""

    name: str
    cores: int | None  # None = its own LIM has never reported
    memory_mib: int
    words: frozenset[str]  # resources, type and model
    server: bool = True


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """What could be read of one command's list."""

    items: Mapping[str, T]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Site:
    """What else it takes to make hosts of these."""

    is_ours: Callable[[str], bool] = lambda mark: False  # whether a message is our mark
    templates: frozenset[str] = frozenset()  # hosts that only stand for slots
    queues_of: Callable[[str, frozenset[str]], frozenset[str]] = lambda name, words: frozenset()
    expected: Mapping[str, tuple[str, Capacity]] = field(default_factory=dict)  # added by us: address and size
    complete: bool = True  # whether every row of the LIM's list could be read


def read_bhosts_long(text: str) -> Listing[BatchHost]:
    """The hosts in ``bhosts -l``.

    :raises ValueError: the text was cut off, or none of its hosts can be read.
    """
    starts = list(_HEAD.finditer(text))
    if not starts:
        if text.strip():
            raise ValueError(f"bhosts: there is no host in it; it begins {text.strip()[:80]!r}")
        return Listing({})
    ends = [found.start() for found in starts[1:]] + [len(text)]
    if not text.endswith("\n") or _ROW_END not in text[starts[-1].start() :]:
        raise ValueError("bhosts: the list of hosts was cut off")
    return _listing(
        "bhosts",
        ((found[1], text[found.end() - 1 : end]) for found, end in zip(starts, ends, strict=True)),
        _batch_host,
    )


def read_bhosts_json(text: str) -> Listing[BatchHost]:
    """The hosts in ``bhosts -o ... -json``.

    :raises ValueError: as :func:`read_bhosts_long`; :raises KeyError: LSF has no comments there.
    """
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for record in read_records(text, "bhosts"):
        if isinstance(record, Unreadable):
            rows.append(("", {"": record.what}))
            continue
        if "COMMENTS" not in record:
            raise KeyError("COMMENTS")
        rows.append((str(record.get("HOST_NAME", "")), record))
    return _listing("bhosts", rows, _batch_host_of_json)


def read_lshosts(text: str) -> Listing[LimHost]:
    """The hosts in ``lshosts -w``.

    :raises ValueError: the text was cut off, or none of its hosts can be read.
    """
    return _listing("lshosts", _rows(text, "lshosts"), _lim_host)


def read_lsload(text: str) -> Listing[str]:
    """The LIM's word for each host in ``lsload -l``.

    :raises ValueError: the text was cut off, or none of its hosts can be read.
    """
    return _listing("lsload", _rows(text, "lsload"), _load_status)


def make_hosts(
    batch: Mapping[str, BatchHost], lims: Mapping[str, LimHost], loads: Mapping[str, str], site: Site
) -> tuple[Host, ...]:
    """The hosts as all three see them together.

    A host that mbatchd still has, and the LIM no more, has been removed: mbatchd drops it at its next look. One that
    the LIM has and mbatchd not yet is on its way.
    """
    hosts = []
    for name in dict.fromkeys((*batch, *lims, *site.expected)):
        known, lim = batch.get(name), lims.get(name)
        if name == LOST_AND_FOUND:
            continue
        if lim is None and known is not None and known.jobs == 0 and site.complete:
            continue
        if (lim is not None and not lim.server) or (known is not None and known.slots == 0 and known.jobs == 0):
            continue  # a client, or a master without slots: it runs nothing
        hosts.append(_host(name, known, lim, loads.get(name, ""), site))
    return tuple(hosts)


def doubt(hosts: tuple[Host, ...], jobs: Iterable[Job]) -> tuple[Host, ...]:
    """The hosts, those no longer called up of which mbatchd says by a job's state (UNKWN) that they do not answer.

    Of a closed host it says so in no other way.
    """
    silent = {name for job in jobs if job.state is JobState.UNKNOWN for name in job.hosts}
    if not silent:
        return hosts
    return tuple(
        replace(host, state=HostState.UNKNOWN, detail=f"{host.detail}, but its jobs are UNKWN")
        if host.name in silent and host.state is HostState.UP
        else host
        for host in hosts
    )


def _host(name: str, known: BatchHost | None, lim: LimHost | None, load: str, site: Site) -> Host:
    words = lim.words if lim is not None else frozenset()
    address, size = site.expected.get(name, ("", Capacity()))
    cores = lim.cores if lim is not None else None
    slots = known.slots if known is not None else None
    total = size
    if cores is not None or slots is not None:
        gpus = known.gpus if known is not None else 0
        total = Capacity(slots if slots is not None else cores or 0, lim.memory_mib if lim is not None else 0, gpus)
        if cores is None and size.cores:
            total = size
    jobs = known.jobs if known is not None else 0
    status = known.status if known is not None else "not yet known to mbatchd"
    return Host(
        name,
        state_of(status, load, reported=cores is not None) if known is not None else HostState.JOINING,
        total,
        Capacity(jobs, known.reserved_mib if known is not None else 0) if jobs else Capacity(),
        busy=jobs > 0,
        features=words,
        queues=site.queues_of(name, words) if lim is not None else frozenset(),
        hold=hold_of(known, site.is_ours) if known is not None else None,
        address=address,
        detail=f"{status}, LIM {load}" if load else status,
        template=name in site.templates,
    )


def state_of(status: str, load: str, *, reported: bool) -> HostState:
    """Whether the host can be used, by mbatchd's word and the LIM's; up only if both say so.

    ``reported``: whether its own LIM has ever told what it has. Before, it is on its way, whatever is said. A host
    that is closed is believed dead on the LIM's word alone, as mbatchd would go on saying ``closed_Adm``.
    """
    if not reported:
        return HostState.JOINING
    state = BATCH_STATES.get(status, HostState.UP if status.startswith("closed_") else HostState.UNKNOWN)
    if load in ALIVE:
        return state if state is HostState.UP else HostState.UNKNOWN
    if load in DEAD and (state is not HostState.UP or status == "closed_Adm"):
        return HostState.DOWN
    return HostState.UNKNOWN


def hold_of(host: BatchHost, is_ours: Callable[[str], bool]) -> Hold | None:
    """What keeps new jobs away from it on purpose. A dead host does not show whether it is closed, only the message."""
    closed = host.status == "closed_Adm" or host.status.startswith("closed_HC")
    if closed or (host.message and host.status in ("unavail", "unreach")):
        return Hold(host.message, is_ours(host.message))
    meaning = HOLDS.get(host.status)
    if meaning is None and host.status.startswith("closed_") and host.status not in BATCH_STATES:
        meaning = host.status
    return Hold(meaning, False) if meaning else None


def _listing(what: str, rows: Iterable[tuple[str, R]], read: Callable[[str, R], T]) -> Listing[T]:
    """Read row by row; what cannot be read is left out and told."""
    items: dict[str, T] = {}
    dropped: list[str] = []
    for name, row in rows:
        try:
            items[_host_name(name)] = read(name, row)
        except (ValueError, KeyError, IndexError, AttributeError) as error:
            dropped.append(f"a host was left out of {what}: {name[:60]!r}: {error!r}")
    if dropped and not items:
        raise ValueError(f"{what}: none of {len(dropped)} hosts can be read: {dropped[0]}")
    return Listing(items, tuple(dropped))


def _host_name(name: str) -> str:
    if not _NAME.fullmatch(name) or len(name) > 253:
        raise ValueError("odd host name")
    return name


def _rows(text: str, what: str) -> list[tuple[str, str]]:
    """The lines below the header by their first word."""
    lines = text.splitlines()
    while lines and not lines[0].startswith("HOST_NAME"):
        del lines[0]  # messages
    if not lines:
        raise ValueError(f"{what}: there is no list in it; it begins {text.strip()[:80]!r}")
    if not text.endswith("\n"):
        raise ValueError(f"{what}: the list of hosts was cut off")
    return [(line.split(None, 1)[0], line) for line in lines[1:] if line.strip()]


def _batch_host(name: str, block: str) -> BatchHost:
    header, values = (line.split() for line in block.strip().split("\n", 2)[:2])
    row = dict(zip(header, values, strict=False))
    message = _MESSAGE.search(block)
    total, reserved = _load(block)
    return BatchHost(
        name,
        row["STATUS"],
        _slots(row["MAX"]),
        _jobs(row),
        _unquoted(message[1]) if message else "",
        _mib(reserved.get("mem", "-")),
        int(_number(total.get("ngpus", "0"))),
    )


def _load(block: str) -> tuple[dict[str, str], dict[str, str]]:
    """Total and reserved amounts by load index."""
    total: dict[str, str] = {}
    reserved: dict[str, str] = {}
    names: Sequence[str] = ()
    for line in block.split("LOAD THRESHOLD", 1)[0].splitlines():
        words = line.split()
        if words[:1] == ["Total"]:
            total.update(zip(names, words[1:], strict=False))
        elif words[:1] == ["Reserved"]:
            reserved.update(zip(names, words[1:], strict=False))
        elif words:
            names = words
    return total, reserved


def _batch_host_of_json(name: str, record: Mapping[str, str]) -> BatchHost:
    return BatchHost(
        name, record["STATUS"], _slots(record["MAX"]), _jobs(record), _unquoted(record["COMMENTS"].strip())
    )


def _jobs(row: Mapping[str, str]) -> int:
    """Slots in use: the sum, or what it is the sum of, whichever says more."""
    parts = sum(int(_number(row.get(name, "0"))) for name in ("RUN", "SSUSP", "USUSP", "RSV"))
    return max(int(row["NJOBS"]), parts)


def _slots(text: str) -> int | None:
    return None if text == "-" else int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _mib(text: str) -> int:
    return 0 if text in ("-", "") else mib(text)


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def _lim_host(name: str, line: str) -> LimHost:
    resources = _RESOURCES.search(line)
    if resources is None:
        raise ValueError("its resources are missing")
    _, kind, model, _, cores, memory, _, server = line[: resources.start()].split()
    words = frozenset(word for word in (*resources[1].split(), kind, model) if not word.startswith("UNKNOWN"))
    return LimHost(name, None if cores == "-" else int(cores), _mib(memory), words, server.lower().startswith("y"))


def _load_status(name: str, line: str) -> str:
    return line.split()[1]
