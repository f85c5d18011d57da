"""Whether an existing ``slurm.conf`` has what the resources need. Pure.

Read as slurmctld does: keys in any case, ``\\`` at the end of a line, ``#`` begins a comment, ``NodeName=DEFAULT``
and ``PartitionName=DEFAULT`` hold for what follows. ``Include`` is not followed, and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dynamiccluster.kit.hostlist import expand
from dynamiccluster.model.policy import Policy
from dynamiccluster.model.resource import Provisioning, Resource
from dynamiccluster.schedulers.slurm.conf_text import partitions, resume_timeout_s
from dynamiccluster.schedulers.slurm.shape_parse import gpus_of

_WORD = re.compile(r'([A-Za-z_]\w*)\s*=\s*("[^"]*"|\S+)')
_NEVER = frozenset({"infinite", "none", "-1"})
DYNAMIC_NODES_IDLE_S = 86_400
"""A ``SuspendTime`` for all partitions below this would switch off nodes that the service launches for jobs."""

Words = dict[str, str]


@dataclass(slots=True)
class _Conf:
    settings: Words = field(default_factory=dict)
    nodes: dict[str, Words] = field(default_factory=dict)  # by name, defaults applied
    partitions: dict[str, Words] = field(default_factory=dict)
    includes: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def problems_in(text: str, policy: Policy) -> list[str]:
    """One sentence for each thing that is missing or wrong; empty if all is well."""
    conf = _parsed(text)
    resources = list(policy.resources.values())
    switched = [resource for resource in resources if resource.provisioning is Provisioning.SCHEDULER]
    demanded = [resource for resource in resources if resource.provisioning is Provisioning.DEMAND]
    found = list(conf.damaged)
    if switched:
        found += _power_settings(conf)
        for resource in switched:
            found += _nodes(conf, resource)
        for queue, served in partitions(switched).items():
            found += _partition(conf, queue, served, policy)
    if demanded:
        found += _demand(conf, demanded)
        suspend_s = _seconds(conf.settings.get("suspendtime", ""))
        if switched and suspend_s is not None and suspend_s < DYNAMIC_NODES_IDLE_S:
            found.append(
                f"SuspendTime={conf.settings['suspendtime']} for all partitions: Slurm would switch off the nodes that "
                "the service launches for jobs; give it to partitions, and all others a year"
            )
    if found and conf.includes:
        found.append(f"{', '.join(conf.includes)}: included, and not looked at")
    return found


def _power_settings(conf: _Conf) -> Iterator[str]:
    settings = conf.settings
    for key in ("ResumeProgram", "SuspendProgram"):
        if key.lower() not in settings:
            yield f"{key} is missing: Slurm gives jobs to nodes that are off, and calls nobody"
    if settings.get("suspendtime", "infinite").lower() in _NEVER:
        yield "SuspendTime is missing or INFINITE: Slurm gives jobs to nodes that are off, and calls nobody"
    if "cloud" not in settings.get("privatedata", "").lower().split(","):
        yield "PrivateData=cloud is missing: before 23.02 Slurm hides nodes that are off"


def _nodes(conf: _Conf, resource: Resource) -> Iterator[str]:
    names = [resource.numbered(number) for number in range(1, resource.max_nodes + 1)]
    missing = [name for name in names if name not in conf.nodes]
    if missing:
        yield f"{len(missing)} of the {len(names)} nodes of {resource.name} are missing, the first is {missing[0]}"
    wrong: dict[str, list[str]] = {}
    for name in names:
        for complaint in _attributes(conf.nodes[name], resource) if name in conf.nodes else ():
            wrong.setdefault(complaint, []).append(name)
    for complaint, those in wrong.items():
        more = f" and {len(those) - 1} more" if len(those) > 1 else ""
        yield f"{those[0]}{more}: {complaint}"


def _attributes(words: Words, resource: Resource) -> Iterator[str]:
    capacity = resource.capacity
    if words.get("state", "").upper() != "CLOUD":
        yield f"State={words.get('state', 'UNKNOWN')}, not CLOUD"
    if words.get("cpus", str(capacity.cores)) != str(capacity.cores):
        yield f"CPUs={words['cpus']}, not {capacity.cores}"
    if capacity.memory_mib and words.get("realmemory", "1") != str(capacity.memory_mib):
        yield f"RealMemory={words.get('realmemory', '1')}, not {capacity.memory_mib}"
    features = set(words.get("feature", words.get("features", "")).split(","))
    reserved = {resource.reservation.property} if resource.reservation.property else set()
    lacking = sorted((resource.features | reserved) - features)
    if lacking:
        yield f"Feature={','.join(lacking)} is missing"
    gpus, kind = gpus_of(f"gres:{words.get('gres', '')}")
    if (gpus, kind) != (capacity.gpus, resource.gpu_type if capacity.gpus else ""):
        yield f"Gres={words.get('gres', '')}, not {capacity.gpus} GPU(s) {resource.gpu_type}".rstrip()


def _partition(conf: _Conf, queue: str, resources: Sequence[Resource], policy: Policy) -> Iterator[str]:
    words = conf.partitions.get(queue)
    if words is None:
        yield f"the partition {queue} is missing"
        return
    listed = words.get("nodes", "")
    try:
        nodes = set(conf.nodes) if listed.upper() == "ALL" else set(expand(listed))
    except ValueError:
        nodes = set()
    lacking = [
        name
        for resource in resources
        for name in map(resource.numbered, range(1, resource.max_nodes + 1))
        if name in conf.nodes and name not in nodes
    ]
    if lacking:
        yield f"the partition {queue} lacks {len(lacking)} of its nodes, the first is {lacking[0]}"
    own = words.get("suspendtime", "")
    everywhere = _seconds(conf.settings.get("suspendtime", ""))
    if not own and everywhere is not None and everywhere >= DYNAMIC_NODES_IDLE_S:
        yield f"the partition {queue} has no SuspendTime: its nodes are never switched off"
    timeout_s = _seconds(words.get("resumetimeout", conf.settings.get("resumetimeout", "60")))
    needed_s = resume_timeout_s(resources, policy)
    if timeout_s is not None and timeout_s < needed_s:
        yield f"ResumeTimeout of the partition {queue} is {timeout_s} s, less than machines may take ({needed_s} s)"


def _demand(conf: _Conf, resources: Sequence[Resource]) -> Iterator[str]:
    if conf.settings.get("selecttype", "select/cons_tres").lower() != "select/cons_tres":
        yield f"SelectType={conf.settings['selecttype']}: nodes made at run time need select/cons_tres"
    most = conf.settings.get("maxnodecount", "0")
    needed = len(conf.nodes) + sum(resource.max_nodes for resource in resources)
    if not most.isdigit() or int(most) <= needed:
        yield f"MaxNodeCount={most}: more than {needed} is needed, and as many again for the templates of shapes"


def _seconds(text: str) -> int | None:
    """``None`` for no limit, or none given."""
    return int(text) if text.isdigit() else None


def _parsed(text: str) -> _Conf:
    conf = _Conf()
    defaults: dict[str, Words] = {"nodename": {}, "partitionname": {}}
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = line.partition("#")[0].strip()
        if line.lower().startswith("include "):
            conf.includes.append(line[8:].strip())
            continue
        words = {key.lower(): value.strip('"') for key, value in _WORD.findall(line)}
        kind = next(iter(words), "")
        if kind not in defaults:
            conf.settings.update(words)
            continue
        name = words.pop(kind)
        if name.upper() == "DEFAULT":
            defaults[kind].update(words)
            continue
        try:
            names = expand(name)
        except ValueError as error:
            conf.damaged.append(f"{kind}={name[:80]} cannot be read: {error}")
            continue
        known = conf.nodes if kind == "nodename" else conf.partitions
        known.update({each: {**defaults[kind], **words} for each in names})
    return conf
