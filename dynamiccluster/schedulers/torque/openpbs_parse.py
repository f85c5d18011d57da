"""From the JSON of ``qstat -f -t -F json`` and ``pbsnodes -av -F json`` to jobs and nodes (OpenPBS, PBS Pro). Pure.

The shapes are from documentation (``tests/documented/torque-maui-moab``), not recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import OCCUPYING, JobState, Shape, Wait
from dynamiccluster.schedulers.torque.jobs_parse import Asked, Queue, jobs_of, slots_by_host
from dynamiccluster.schedulers.torque.nodes_parse import Node, Nodes, read_nodes, require_name
from dynamiccluster.schedulers.torque.request_parse import mib, seconds, shapes_of
from dynamiccluster.schedulers.torque.states import (
    OPENPBS_STATES,
    QUEUED_SUBSTATES,
    RUNNING_SUBSTATES,
    hold_of,
    wait_of_comment,
)

_STANDARD = frozenset(
    {"arch", "host", "vnode", "ncpus", "mem", "vmem", "pmem", "pvmem", "ngpus", "mpiprocs", "ompthreads", "nodect",
     "accelerator", "naccelerators", "hpmem", "Qlist", "walltime", "cput", "pcput", "file"}
)  # fmt: skip
"""Resources that are amounts, or say nothing about the kind of a node."""

_PART = re.compile(r"\[\d+\]$")
"""Behind the name of a host: one of the vnodes that it is split into."""


def parse_nodes(text: str, template_prefix: str) -> Nodes:
    """The vnodes in the output of ``pbsnodes -av -F json``.

    :raises ValueError: it is not that, or none of its records can be read.
    """
    if not text.strip():
        return Nodes(())
    parts: dict[str, list[Any]] = {}
    for name, values in _section(text, "nodes").items():
        host = _PART.sub("", name)
        parts.setdefault(host, []).insert(0 if name == host else len(parts[host]), values)
    return read_nodes(parts.items(), template_prefix, _host)


def parse_jobs(text: str, asked: Asked) -> Queue:
    """The jobs in the output of ``qstat -f -t -F json``.

    :raises ValueError: it is not that, or none of its records can be read.
    """
    queue = Queue()
    if not text.strip():
        return queue
    interned: dict[Shape, Shape] = {}
    for job_id, values in _section(text, "Jobs", "nodes").items():
        try:
            _read(job_id, values, asked, queue, interned)
        except (ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
            queue.drop(error, f"<Job_Id>{job_id}</Job_Id>")
    queue.finish()
    return queue


def _section(text: str, name: str, other: str = "") -> Mapping[str, Any]:
    """One of the objects of the answer; it is left out where it would be empty.

    :raises ValueError: it is no such answer.
    """
    try:
        answer = json.loads(text, strict=False)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error
    if not isinstance(answer, dict) or "pbs_server" not in answer or (other and other in answer):
        raise ValueError("it is not the answer of a PBS server")
    found = answer.get(name, {})
    if not isinstance(found, dict):
        raise ValueError(f"its {name!r} is no object")  # noqa: TRY004 - to its reader the text is wrong, not a type
    return found


def _host(item: tuple[str, list[Any]], template_prefix: str) -> Node:
    """A host that is listed in parts as one node: in the state of the host, with what all of its parts have."""
    name, parts = item
    require_name(name)
    first, *others = (_node(name, values, template_prefix) for values in parts)
    if not others:
        return first
    nodes = (first, *others)
    return replace(
        first,
        slots=sum(node.slots for node in nodes),
        properties=tuple(sorted({word for node in nodes for word in node.properties})),
        jobs={job_id: slots for node in nodes for job_id, slots in node.jobs.items()},
        memory_mib=sum(node.memory_mib for node in nodes),
        gpus=sum(node.gpus for node in nodes),
        taken=sum((node.taken or Capacity() for node in nodes), Capacity()),
    )


def _node(name: str, values: Mapping[str, Any], template_prefix: str) -> Node:
    has, taken = values.get("resources_available", {}), values.get("resources_assigned", {})
    jobs = values.get("jobs", [])
    ids = [str(job).strip().partition("/")[0] for job in (jobs.split(",") if isinstance(jobs, str) else jobs)]
    return Node(
        name,
        frozenset(word.strip() for word in values["state"].split(",") if word.strip()),
        int(has.get("ncpus", 0)),
        tuple(sorted(word for key, value in has.items() for word in _words(key, value))),
        dict.fromkeys((job_id for job_id in ids if job_id), 0),
        str(values.get("comment", "")).strip(),
        "pbs_version" in values,
        mib(str(has.get("mem", ""))),
        int(has.get("ngpus", 0)),
        template=name.startswith(f"{template_prefix}-"),
        taken=Capacity(int(taken.get("ncpus", 0)), mib(str(taken.get("mem", ""))), int(taken.get("ngpus", 0))),
    )


def _words(key: str, value: object) -> tuple[str, ...]:
    """A node's or a chunk's own resource as features: ``cloud=True`` is ``cloud``, ``model=a100`` stays."""
    if key in _STANDARD:
        return ()
    text = str(value)
    if text.lower() in ("true", "t", "yes", "y", "1"):
        return (key,)
    if text.lower() in ("false", "f", "no", "n", "0", ""):
        return ()
    return tuple(f"{key}={word}" for word in text.split(","))


def _read(job_id: str, values: Mapping[str, Any], asked: Asked, queue: Queue, interned: dict[Shape, Shape]) -> None:
    word, substate = str(values["job_state"]), str(values.get("substate", ""))
    if word == "B" or "[]" in job_id:
        return  # an array as a whole; with -t its tasks are there too
    state = OPENPBS_STATES.get(word)
    if state is None:
        queue.unknown.add(f"job_state {word[:20]}")
        state = JobState.UNKNOWN
    if state is JobState.RUNNING:
        state = RUNNING_SUBSTATES.get(substate, state)
    made = _shapes(values.get("Resource_List", {}), str(values.get("queue", "")), _account(values), asked)
    shapes = [interned.setdefault(shape, shape) for shape in made]
    times = {"ctime": _epoch(values.get("ctime")), "start_time": _epoch(values.get("stime"))}
    texts = {key: str(values[key]) for key in ("Job_Name", "Job_Owner", "euser", "Rerunable") if key in values}
    texts |= {key: repr(value) for key, value in times.items()}
    if state is JobState.PENDING:
        wait, reason, eligible_at = _wait(word, substate, values, asked)
        priority = float(values.get("Priority") or 0)
        queue.jobs += jobs_of(job_id, state, shapes, texts, priority, wait, reason, eligible_at)
    else:
        hosts = tuple(slots_by_host(str(values.get("exec_host", "")))) if state in OCCUPYING else ()
        queue.jobs += jobs_of(job_id, state, shapes[:1], texts, hosts=hosts)


def _account(values: Mapping[str, Any]) -> str:
    """What was given with ``-A``, or else the project, which is never empty but may be the default one."""
    project = str(values.get("project", ""))
    return str(values.get("Account_Name", "")) or ("" if project == "_pbs_project_default" else project)


def _wait(word: str, substate: str, values: Mapping[str, Any], asked: Asked) -> tuple[Wait, str, float]:
    comment = str(values.get("comment", "")).strip()
    if word == "H":
        letters = str(values.get("Hold_Types", "")).replace("n", "")
        wait, reason = hold_of(letters, "array_index" in values and not letters, str(values.get("depend", "")))
        return wait, reason, 0.0
    eligible_at = _epoch(values.get("Execution_Time"))
    if word == "W" or eligible_at > asked.now > 0:
        return Wait.NOT_YET, "waits for its time", eligible_at
    wait, reason = QUEUED_SUBSTATES.get(substate, (Wait.HELPS, ""))
    if word == "T" and wait is Wait.HELPS:
        return Wait.NOT_YET, "on its way between queues", 0.0
    if wait is Wait.HELPS:
        wait, reason = wait_of_comment(comment) or wait, comment
    return wait, reason, 0.0


def _shapes(request: Mapping[str, Any], queue: str, account: str, asked: Asked) -> list[Shape]:
    """``select=2:ncpus=4:mem=2gb:cloud=True+1:ncpus=8`` and ``place=``, which says how the chunks share hosts."""
    select = str(request.get("select", ""))
    if not select:
        words = {key: str(value) for key, value in request.items()}
        return list(shapes_of(words, queue, account, known_hosts=asked.known_hosts, distinct=asked.distinct))
    place = set(str(request.get("place", "free")).split(":"))
    walltime_s = seconds(str(request.get("walltime", "")))
    counts: dict[Shape, int] = {}
    for chunk in select.split("+"):
        shape, count = _chunk(chunk, queue, account, bool(place & {"excl", "exclhost"}), walltime_s)
        counts[shape] = counts.get(shape, 0) + count
    if "pack" in place:
        return [_packed(counts)]
    apart = bool(place & {"scatter", "vscatter"})
    return [_times(shape, count, apart) for shape, count in counts.items()]


def _chunk(text: str, queue: str, account: str, exclusive: bool, walltime_s: int) -> tuple[Shape, int]:
    first, *words = text.split(":")
    count = int(first) if first.isdigit() else 1
    if not first.isdigit():
        words.insert(0, first)
    values = dict(word.partition("=")[::2] for word in words if word)
    host = values.get("host") or values.get("vnode") or ""
    features = tuple((word,) for key, value in sorted(values.items()) for word in _words(key, value))
    chunk = Capacity(int(values.get("ncpus") or 1), mib(values.get("mem", "")), int(values.get("ngpus") or 0))
    if count < 1:
        raise ValueError(f"select={text[:60]!r} asks for nothing")
    shape = Shape(
        (queue,) if queue else (), account, chunk, features=features, exclusive=exclusive,
        hosts=(host,) if host else (), walltime_s=walltime_s,
    )  # fmt: skip
    return shape, count


def _times(shape: Shape, count: int, apart: bool) -> Shape:
    return Shape(
        shape.queues, shape.account, shape.chunk, count, apart and count > 1, 0, shape.exclusive, shape.features,
        shape.gpu_type, shape.hosts, shape.walltime_s,
    )  # fmt: skip


def _packed(counts: Mapping[Shape, int]) -> Shape:
    """All chunks on one host: one piece of everything that they want."""
    first = next(iter(counts))
    total = sum((shape.chunk * count for shape, count in counts.items()), Capacity())
    features = tuple(dict.fromkeys(group for shape in counts for group in shape.features))
    hosts = next((shape.hosts for shape in counts if shape.hosts), ())
    return Shape(
        first.queues, first.account, total, features=features, exclusive=first.exclusive, hosts=hosts,
        walltime_s=first.walltime_s,
    )  # fmt: skip


def _epoch(value: object) -> float:
    """Epoch seconds of ``Fri Nov 20 06:47:18 2026``, in the time zone of this machine; nothing is 0.

    :raises ValueError: it is no such time.
    """
    if value in (None, ""):
        return 0.0
    text = str(value)
    if text.replace(".", "", 1).isdigit():
        return float(text)
    # the server prints its local time, and the service runs beside it
    return datetime.strptime(text, "%a %b %d %H:%M:%S %Y").timestamp()  # noqa: DTZ007 - local time is what it is
