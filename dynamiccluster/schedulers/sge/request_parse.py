"""From what a job asks for to a :class:`~dynamiccluster.model.job.Shape`, and to what no new node would change. Pure.

A waiting job that nothing can satisfy looks like any other to ``qstat``. So each request is compared with Grid Engine's
own configuration: which queues take the job at all, whether its parallel environment exists there, and whether the
attributes that it asks for are such as a node of ours can have. ``docs/schedulers/sge.md`` has the table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Shape
from dynamiccluster.schedulers.sge.records_parse import mib, seconds
from dynamiccluster.schedulers.sge.site_parse import ClusterQueue, Complex, Consumed, ParallelEnvironment, Site

MEMORY = ("h_vmem", "mem_free", "virtual_free", "s_vmem", "h_rss", "mem_total", "virtual_total")
"""Attributes that are taken as memory, unless the site says otherwise."""

_REPORTED_MEMORY = frozenset({"mem_free", "mem_total", "virtual_free", "virtual_total"})
"""What a host's daemon reports of its memory: needed once per host, and not used up."""

_LIMITS = frozenset(
    f"{kind}_{what}" for kind in "hs" for what in ("cpu", "fsize", "data", "stack", "core", "rss", "vmem")
)
"""Limits that the job puts on itself; only a queue's own limit stands against them."""

_ANYWHERE = frozenset(
    {
        "arch",
        "slots",
        "calendar",
        "rerun",
        "seq_no",
        "tmpdir",
        "min_cpu_interval",
        "display_win_gui",
        "cpu",
        "swap_free",
    }
    | {"num_proc", "m_core", "m_socket", "m_thread", "m_topology", "m_topology_inuse", "swap_total", "swap_rate"}
    | {"swap_rsvd", "swap_used", "virtual_used", "mem_used"}
    | {f"{how}load_{when}" for how in ("", "np_") for when in ("avg", "short", "medium", "long")}
)
"""What a daemon reports and we cannot know of a node to come: taken as given."""

_TRUE = frozenset({"1", "TRUE", "true", "True", "T", "t", "yes", "YES"})
_RANGE = re.compile(r"(\d*)(-?)(\d*)(?::\d+)?")


@dataclass(frozen=True, slots=True)
class Rules:
    """How this installation reads requests."""

    memory: tuple[str, ...] = MEMORY  # those that are consumed are set on nodes
    gpus: tuple[str, ...] = ("gpu",)
    reserved_queues: frozenset[str] = frozenset()  # for jobs that ask for them only
    everywhere: frozenset[str] = frozenset()  # host groups that every node joins
    given: Mapping[str, float] = field(default_factory=dict)  # what the whole cluster shares, and how much is left
    names: Mapping[str, str] = field(default_factory=dict)  # what a name of each resource looks like -> its own feature
    accounts: Mapping[str, str] = field(default_factory=dict)  # as jobs name them -> as reservations do (@ or not)


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of a request as ``qstat -r`` prints them."""

    slots: int = 1
    environment: str = ""  # may be a pattern
    slot_range: str = ""
    resources: tuple[tuple[str, str], ...] = ()  # hard ones
    queues: tuple[str, ...] = ()  # hard ones, with patterns, hosts and groups
    project: str = ""
    user: str = ""
    account: str = ""  # as matched with reservations: a project or the word of -A


@dataclass(frozen=True, slots=True)
class Request:
    """What one kind of job wants."""

    shape: Shape
    hindrance: str = ""  # why no new node would let it start; "" if one might
    draws: tuple[tuple[str, float], ...] = ()  # of what the cluster shares, and of environments, for each job
    slots: int = 1
    asked: Asked = Asked()  # in the job's own words


def read_request(asked: Asked, site: Site, rules: Rules) -> Request:
    """What the job needs of nodes.

    :raises ValueError: an amount that cannot be read.
    """
    return _Reading(asked, site, rules).request()


class _Reading:
    """One request while it is read."""

    def __init__(self, asked: Asked, site: Site, rules: Rules) -> None:
        self._asked = asked
        self._site = site
        self._rules = rules
        self._hindrance = ""
        self._draws: list[tuple[str, float]] = []
        self._features: list[tuple[str, ...]] = []
        self._hosts: tuple[str, ...] = ()
        self._slot_mib = 0.0  # per slot
        self._job_mib = 0.0  # once per job
        self._host_mib = 0.0  # once per host
        self._slot_gpus = self._job_gpus = 0.0
        self._walltime_s = 0
        self._exclusive = False
        self._queue_words: list[str] = list(asked.queues)
        self._most_mib: dict[str, float] = {}

    def request(self) -> Request:
        for name, value in self._asked.resources:
            self._read_resource(name, value)
        self._add_defaults()
        queues = self._queues()
        environment = self._environment(queues)
        if environment is not None:
            queues = [queue for queue in queues if environment.name in queue.environments]
        slots = self._slots(environment)
        if not self._asked.queues and len(queues) > 1:
            queues = [queue for queue in queues if queue.name not in self._rules.reserved_queues] or queues
        if environment is not None and environment.slots < slots:
            self._hinder(f"its parallel environment {environment.name} has {environment.slots} slots")
        if environment is not None:
            self._draws.append((f"pe:{environment.name}", float(slots)))
        shape = self._shape(environment, slots, tuple(queue.name for queue in queues))
        return Request(shape, self._hindrance, self._all_draws(slots), slots, self._asked)

    def _hinder(self, why: str) -> None:
        self._hindrance = self._hindrance or why

    # -- attributes ------------------------------------------------------------------------------------------

    def _read_resource(self, name: str, value: str) -> None:
        known = self._site.complexes.get(name)
        if known is None:
            self._hinder(f"it asks for {name}, which Grid Engine does not know")
        elif known.name in ("h_rt", "s_rt"):
            limit = seconds(value)
            self._walltime_s = min(self._walltime_s, limit) if self._walltime_s else limit
        elif known.name == "hostname":
            self._read_hosts(value)
        elif known.name == "qname":
            self._queue_words = [*self._queue_words, value] if not self._asked.queues else self._queue_words
        elif known.name in self._rules.gpus:
            self._add_gpus(known, float(value))
        elif known.name in self._rules.memory or known.name in _REPORTED_MEMORY:
            self._add_memory(known, mib(value))
        elif known.name in _LIMITS or known.name in _ANYWHERE:
            self._keep_limit(known, value)
        elif known.relation == "EXCL":
            self._exclusive = self._exclusive or value in _TRUE
        elif known.kind == "BOOL":
            if value in _TRUE:
                self._features.append((known.name,))
        else:
            self._draw(known, value)

    def _read_hosts(self, value: str) -> None:
        """``-l hostname=``: a name or pattern, or ``!(a|b)`` for all but these, which new nodes are."""
        if value.startswith("!"):
            return
        matching = tuple(word for example, word in self._rules.names.items() if fnmatchcase(example, value))
        if matching and any(mark in value for mark in "*?["):
            self._features.append(matching)
        else:
            self._hosts = (value,)

    def _add_gpus(self, known: Complex, number: float) -> None:
        if known.consumed is Consumed.PER_JOB:
            self._job_gpus += number
        else:
            self._slot_gpus += number

    def _add_memory(self, known: Complex, amount: float) -> None:
        match known.consumed:
            case Consumed.PER_SLOT:
                self._slot_mib = max(self._slot_mib, amount)
            case Consumed.PER_JOB:
                self._job_mib = max(self._job_mib, amount)
            case Consumed.NOT if known.name in _REPORTED_MEMORY:
                self._host_mib = max(self._host_mib, amount)
            case Consumed.NOT:
                pass  # a limit that nobody hands out
        if known.name in _LIMITS:
            self._most_mib[known.name] = amount

    def _keep_limit(self, known: Complex, value: str) -> None:
        if known.kind == "MEMORY":
            self._most_mib[known.name] = mib(value)

    def _draw(self, known: Complex, value: str) -> None:
        """Something that is used up, such as a licence, or that only some hosts have."""
        if any(known.name in queue.gives for queue in self._site.queues.values()):
            return
        if known.name in self._rules.given:
            amount = mib(value) if known.kind == "MEMORY" else float(value)
            per_slot = known.consumed is Consumed.PER_SLOT
            if known.consumed is not Consumed.NOT:
                self._draws.append((known.name if per_slot else f"{known.name}/job", amount))
            elif amount > self._rules.given[known.name]:
                self._hinder(f"it asks for {known.name}={value}, and the cluster has {self._rules.given[known.name]:g}")
        else:
            self._hinder(f"it asks for {known.name}={value}, which no resource gives")

    def _add_defaults(self) -> None:
        """What is taken of a consumable even if a job does not ask."""
        asked_for = {
            self._site.complexes[name].name for name, _ in self._asked.resources if name in self._site.complexes
        }
        for name in self._rules.memory:
            known = self._site.complexes.get(name)
            if known is not None and known.consumed is Consumed.PER_SLOT and known.name not in asked_for:
                self._slot_mib = max(self._slot_mib, _amount(known.default))

    def _all_draws(self, slots: int) -> tuple[tuple[str, float], ...]:
        draws = []
        for name, amount in self._draws:
            if name.endswith("/job"):
                draws.append((name.removesuffix("/job"), amount))
            else:
                draws.append((name, amount if name.startswith("pe:") else amount * slots))
        return tuple(draws)

    # -- queues ----------------------------------------------------------------------------------------------

    def _queues(self) -> list[ClusterQueue]:
        """The queues that take the job, its parallel environment apart."""
        named = self._named_queues()
        if not named:
            self._hinder(f"there is no queue {','.join(self._queue_words)}")
            return []
        why: list[str] = []
        taking = []
        for queue in named:
            refused = self._refused_by(queue)
            if refused:
                why.append(f"{queue.name}: {refused}")
            else:
                taking.append(queue)
        if not taking:
            self._hinder(f"no queue takes it ({'; '.join(why[:3])})")
            return named
        return taking

    def _named_queues(self) -> list[ClusterQueue]:
        """Those that ``-q`` names. A demand for hosts or host groups is kept besides."""
        everything = list(self._site.queues.values())
        if not self._queue_words:
            return everything
        chosen: dict[str, ClusterQueue] = {}
        groups: list[str] = []
        hosts: list[str] = []
        free = False
        for word in self._queue_words:
            pattern, at, place = word.partition("@")
            for queue in everything:
                if fnmatchcase(queue.name, pattern):
                    chosen[queue.name] = queue
            if not at or place in self._rules.everywhere or place in ("*", "@*"):
                free = True
            elif place.startswith("@"):
                groups.append(place)
            else:
                hosts.append(place)
        if not free and groups:
            self._features.append(tuple(dict.fromkeys(groups)))
        elif not free and hosts:
            self._hosts = tuple(dict.fromkeys(hosts))
        return [queue for queue in everything if queue.name in chosen]

    def _refused_by(self, queue: ClusterQueue) -> str:
        asked = self._asked
        if queue.longest_s and self._walltime_s > queue.longest_s:
            return f"jobs of at most {queue.longest_s} s"
        for name, amount in self._most_mib.items():
            if amount > queue.most_mib.get(name, amount):
                return f"at most {queue.most_mib[name]:g} MiB {name}"
        if queue.projects and asked.project not in queue.projects:
            return "other projects"
        if asked.project and asked.project in queue.not_projects:
            return f"not for project {asked.project}"
        if queue.users and not self._is_on(asked.user, queue.users, unclear=True):
            return "other users"
        if queue.not_users and self._is_on(asked.user, queue.not_users, unclear=False):
            return f"not for user {asked.user}"
        return ""

    def _is_on(self, user: str, lists: frozenset[str], *, unclear: bool) -> bool:
        """Whether the user is on one of the access lists; ``unclear`` where one has groups of the system."""
        members = frozenset().union(*(self._site.access_lists.get(name, frozenset({"@"})) for name in lists))
        return user in members or (unclear and any(member.startswith("@") for member in members))

    # -- size ------------------------------------------------------------------------------------------------

    def _environment(self, queues: Sequence[ClusterQueue]) -> ParallelEnvironment | None:
        """The parallel environment that the job will get; of several that a pattern means the most lenient."""
        asked = self._asked.environment
        if not asked:
            return None
        offered = frozenset().union(*(queue.environments for queue in queues))
        known = [each for name, each in self._site.environments.items() if fnmatchcase(name, asked)]
        fitting = [each for each in known if each.name in offered]
        if not known:
            self._hinder(f"there is no parallel environment {asked}")
        elif not fitting:
            self._hinder(f"no queue that takes it has the parallel environment {asked}")
        fitting = fitting or known
        if not fitting:
            return ParallelEnvironment(asked, one_host=True)
        return min(fitting, key=lambda each: (each.one_host, each.slots_per_host, each.name))

    def _slots(self, environment: ParallelEnvironment | None) -> int:
        """The fewest slots that the job starts with. A range such as ``4-8`` means 4 and up."""
        if environment is None or not environment.slots_per_host:
            return max(1, self._asked.slots)
        each = environment.slots_per_host
        for low, high in _ranges(self._asked.slot_range or str(self._asked.slots)):
            fewest = -(-low // each) * each
            if fewest <= high:
                return max(each, fewest)
        self._hinder(f"{self._asked.slot_range} slots are no multiple of the {each} per host of {environment.name}")
        return max(1, self._asked.slots)

    def _shape(self, environment: ParallelEnvironment | None, slots: int, queues: tuple[str, ...]) -> Shape:
        per_piece, pieces, distinct = slots, 1, False
        if environment is not None and environment.slots_per_host:
            per_piece = min(slots, environment.slots_per_host)
            pieces = slots // per_piece
            distinct = pieces > 1
        elif environment is not None and not environment.one_host:
            per_piece, pieces = 1, slots
        memory = self._slot_mib * per_piece + self._job_mib / pieces
        gpus = self._slot_gpus * per_piece + self._job_gpus / pieces
        one_each = pieces == 1 or distinct
        besides = max(0.0, self._host_mib - memory)  # the same memory, asked for in another way
        return Shape(
            queues,
            self._asked.account,
            Capacity(per_piece, _up(memory + (besides if one_each else 0)), _up(gpus)),
            pieces,
            distinct,
            0 if one_each else _up(besides),
            self._exclusive,
            tuple(self._features),
            "",
            self._hosts,
            self._walltime_s,
        )


def _up(amount: float) -> int:
    return -int(-amount // 1)


def _amount(text: str) -> float:
    """The default of a consumable; 0 for NONE."""
    try:
        return mib(text)
    except ValueError:
        return 0.0


def _ranges(text: str) -> list[tuple[int, int]]:
    """``4-8``, ``2``, ``1,4-``, in order, as least and most."""
    found = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None or not part.strip():
            raise ValueError(f"{text!r} is no range of slots")
        low = int(match[1] or 1)
        high = int(match[3] or 9_999_999) if match[2] else low
        found.append((low, high))
    return found


def count_tasks(text: str) -> int:
    """Waiting tasks of an array: ``1-100:1``, ``3-9:2``, ``1,3``, ``7``; 1 for none.

    :raises ValueError: it is no list of tasks.
    """
    total = 0
    for part in text.split(",") if text else ():
        span, _, step = part.partition(":")
        low, dash, high = span.partition("-")
        if dash:
            total += max(0, (int(high) - int(low)) // max(1, int(step or 1)) + 1)
        else:
            total += bool(int(low))
    return total if text else 1
