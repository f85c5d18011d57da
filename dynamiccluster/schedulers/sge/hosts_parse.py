"""From the XML of ``qhost -q -j -F ...`` to hosts, and to the jobs on each of them. Pure.

Each host has its queue instances with a state of their own, one ``job`` per slot in use (so a parallel job is listed
several times), and the attributes asked for with ``-F``: what is left of a consumable (``hc``; ``gc`` where the whole
cluster shares it), and fixed values (``hf``). Seen with 8.1.9.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.hostname import require_host_name
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Hold, Host, HostState
from dynamiccluster.schedulers.sge.marks import ATTRIBUTE, Note, read_note
from dynamiccluster.schedulers.sge.records_parse import fields, mib, name_in, plain, quoted, records, require_whole
from dynamiccluster.schedulers.sge.states import (
    QUEUE_LETTERS,
    host_state,
    is_closed,
    takes_jobs,
    words,
)

GLOBAL = "global"
"""Stands for the whole cluster in every list of hosts."""

DISABLED = "disabled"
"""The text of a hold that is not ours: Grid Engine keeps no reason."""

_UNHEARD = frozenset({"", "-"})


@dataclass(frozen=True, slots=True)
class Naming:
    """Which attributes mean what on a host."""

    mark_prefix: str  # of this installation's marks
    memory: tuple[str, ...] = ()  # consumables that are memory
    gpus: tuple[str, ...] = ()
    properties: frozenset[str] = frozenset()  # BOOL attributes


@dataclass(frozen=True, slots=True)
class Hosts:
    """What one text of ``qhost`` says."""

    hosts: tuple[Host, ...]
    dropped: tuple[str, ...]
    notes: Mapping[str, Note]  # of each host that has one
    places: Mapping[str, tuple[str, ...]]  # id of a job, or of one task of an array -> the hosts that it runs on
    shared: Mapping[str, float]  # what is left of what the whole cluster shares, such as licences
    instances: Mapping[str, frozenset[str]]  # host -> all its queues, those with no slots included
    silent: frozenset[str]  # hosts whose daemon qmaster cannot reach

    def by_name(self, name: str) -> Host | None:
        return next((host for host in self.hosts if host.name == name), None)


@dataclass(slots=True)
class _Instance:
    """One queue on one host."""

    letters: str = ""
    slots: int = 0
    used: int = 0


@dataclass(slots=True)
class _Record:
    """What stands in one host's part of the list."""

    values: dict[str, str] = field(default_factory=dict)
    left: dict[str, tuple[str, str]] = field(default_factory=dict)  # attribute -> how it is known, value
    queues: dict[str, _Instance] = field(default_factory=dict)
    jobs: dict[str, None] = field(default_factory=dict)


def parse_hosts(text: str, naming: Naming) -> Hosts:
    """The hosts in ``text``, and a sentence for each that could not be read.

    :raises ValueError: the text was cut off, or is no list of hosts.
    """
    require_whole(text, "qhost")
    hosts: list[Host] = []
    dropped: list[str] = []
    notes: dict[str, Note] = {}
    places: dict[str, list[str]] = {}
    shared: dict[str, float] = {}
    instances: dict[str, frozenset[str]] = {}
    silent: list[str] = []
    for piece in records(text, "host"):
        attributes, _, body = piece.partition(">")
        name = name_in(f" {attributes}")
        try:
            record = _read(body)
            if name == GLOBAL:
                shared.update({key: float(value) for key, (how, value) in record.left.items() if how == "gc"})
                continue
            require_host_name(name)
            note = read_note(record.left[ATTRIBUTE][1]) if ATTRIBUTE in record.left else None
            host = _host(name, record, note, naming)
        except (ValueError, KeyError, BadConfigError) as error:
            dropped.append(f"the host {name[:60]!r} was left out: {error}")
            continue
        hosts.append(host)
        instances[name] = frozenset(record.queues)
        if note is not None:
            notes[name] = note
        if any("u" in instance.letters for instance in record.queues.values()):
            silent.append(name)
        for job_id in record.jobs:
            places.setdefault(job_id, []).append(name)
    return Hosts(
        tuple(hosts),
        tuple(dropped),
        notes,
        {job_id: tuple(names) for job_id, names in places.items()},
        shared,
        instances,
        frozenset(silent),
    )


def _read(body: str) -> _Record:
    """:raises ValueError: a number is none."""
    record = _Record()
    job_id, task = "", ""
    for tag, attributes, value in fields(body):
        name = name_in(attributes)
        match tag:
            case "hostvalue":
                record.values[name] = plain(value)
            case "resourcevalue":
                record.left[name] = (quoted(attributes, "dominance"), plain(value))
            case "queuevalue":
                _read_instance(record, quoted(attributes, "qname"), name, value)
            case "jobvalue":
                if name == "priority":  # the first value of each job's
                    _keep_job(record, job_id, task)
                    job_id, task = quoted(attributes, "jobid"), ""
                elif name == "taskid":
                    task = plain(value)
    _keep_job(record, job_id, task)
    return record


def _read_instance(record: _Record, queue: str, name: str, value: str) -> None:
    instance = record.queues.setdefault(queue, _Instance())
    if name == "state_string":
        instance.letters = value
    elif name == "slots":
        instance.slots = int(value)
    elif name == "slots_used":
        instance.used = int(value)


def _keep_job(record: _Record, job_id: str, task: str) -> None:
    if job_id:
        record.jobs[f"{job_id}.{task}" if task else job_id] = None


def _host(name: str, record: _Record, note: Note | None, naming: Naming) -> Host:
    instances = record.queues.values()
    used_slots = sum(instance.used for instance in instances)
    busy = used_slots > 0 or bool(record.jobs)
    reported = (
        record.values.get("arch_string", "-") not in _UNHEARD or record.values.get("load_avg", "-") not in _UNHEARD
    )
    open_queues = {queue: each for queue, each in record.queues.items() if each.slots > 0}
    letters = [each.letters for each in (open_queues or record.queues).values()]
    state = host_state(letters, reported, busy)
    if state is HostState.UP and note is not None and note.capacity is not None and not open_queues:
        state = HostState.UNKNOWN  # ours, but no queue has it
    usable = [queue for queue, each in open_queues.items() if takes_jobs(each.letters)]
    total, used = _amounts(record, note, naming, used_slots)
    return Host(
        name,
        state,
        total,
        used,
        tuple(record.jobs),
        busy,
        frozenset(word for word in naming.properties if _is_true(record.left.get(word))),
        "",
        frozenset(usable or open_queues or record.queues),
        _hold(letters, note, naming) if not usable else None,
        note.address if note is not None else "",
        _detail(record.queues),
        note is not None and note.placeholder and not reported,
    )


def _amounts(record: _Record, note: Note | None, naming: Naming, used_slots: int) -> tuple[Capacity, Capacity]:
    """What the host has and what of it is in use; of a host of ours what it was made known with."""
    slots_left, memory_left = _left(record, ("slots",)), _left(record, naming.memory, mib)
    gpus_left = _left(record, naming.gpus)
    if note is not None and note.capacity is not None:
        total = note.capacity
    else:
        most = max((each.slots for each in record.queues.values()), default=0)
        cores = max(most, used_slots) if slots_left is None else round(slots_left) + used_slots
        reported = record.values.get("mem_total", "-")
        memory = max(0.0 if reported in _UNHEARD else mib(reported), memory_left or 0.0)
        total = Capacity(cores, round(memory), round(gpus_left or 0))
    if not used_slots:
        return total, Capacity()
    return total, Capacity(
        min(used_slots, total.cores),
        0 if memory_left is None else max(0, total.memory_mib - round(memory_left)),
        0 if gpus_left is None else max(0, total.gpus - round(gpus_left)),
    )


def _left(record: _Record, names: tuple[str, ...], read: Callable[[str], float] = float) -> float | None:
    """The least that is left of any of these attributes; ``None`` if the host has none of them."""
    known = [record.left[name] for name in names if name in record.left]
    return min((read(value) for how, value in known if how.startswith("h")), default=None)


def _is_true(known: tuple[str, str] | None) -> bool:
    return known is not None and known[1] not in ("", "0", "0.000000", "FALSE")


def _hold(letters: list[str], note: Note | None, naming: Naming) -> Hold | None:
    """Who keeps new jobs away from all queues of a host; ``None`` if nobody does."""
    mark = note.mark if note is not None else ""
    if not letters:
        return Hold(mark, mark.startswith(naming.mark_prefix)) if mark else None
    if not all("d" in each or is_closed(each) for each in letters):
        return None
    if any("d" in each for each in letters) and mark:
        return Hold(mark, mark.startswith(naming.mark_prefix))
    if any("d" in each for each in letters):
        return Hold(DISABLED, False)
    return Hold(words(letters[0], QUEUE_LETTERS), False)


def _detail(queues: Mapping[str, _Instance]) -> str:
    """``auE`` where all queues agree, else ``short=d long=``."""
    states = {each.letters for each in queues.values()}
    if not queues:
        return "in no queue"
    if len(states) == 1:
        return words(states.pop(), QUEUE_LETTERS)
    return " ".join(f"{queue}={each.letters}" for queue, each in queues.items() if each.letters)
