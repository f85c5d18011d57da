"""What the small Grid Engine of the tests consists of, what goes on in it, and how it lists that: as 8.1.9 does."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from dynamiccluster.errors import DynamicClusterError

RECORDED = Path(__file__).parent / "recorded" / "sge"
START_AT = 1_795_158_000.0
MAX_UNHEARD_S = 20.0


class HandClock:
    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> float:
        return START_AT + self.elapsed_s

    def monotonic(self) -> float:
        return self.elapsed_s


@dataclass
class FakeHost:
    """An execution host. ``alive``: whether its daemon runs; ``heard_at``: when qmaster last heard of it."""

    name: str
    values: dict[str, str] = field(default_factory=dict)
    alive: bool = False
    heard_at: float | None = None  # None: never
    disabled: set[str] = field(default_factory=set)  # queues
    errors: set[str] = field(default_factory=set)


@dataclass
class FakeQueue:
    groups: list[str]
    hosts: list[str] = field(default_factory=list)
    slots: dict[str, int] = field(default_factory=dict)


@dataclass
class FakeJob:
    number: int
    slots: int = 1
    environment: str = ""
    resources: tuple[tuple[str, str], ...] = ()
    queues: tuple[str, ...] = ("main",)
    run_s: float = 300.0
    state: str = "qw"
    name: str = "job"
    user: str = "alice"
    rerunnable: bool = True
    placed: dict[str, int] = field(default_factory=dict)  # host -> slots
    queue: str = ""
    ends_at: float = 0.0
    considered: bool = False
    not_on: set[str] = field(default_factory=set)


class SgeCluster:
    """Hosts, queues and jobs. Jobs start when time passes."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.queues = {
            "main": FakeQueue(["@allhosts"]),
            "long": FakeQueue(["@allhosts"]),
            "physics": FakeQueue(["@physics"]),
        }
        self.groups: dict[str, list[str]] = {"@allhosts": [], "@physics": []}
        self.environments = {"smp": "$pe_slots", "fill": "$fill_up", **{f"per{n}": str(n) for n in (1, 2, 4)}}
        self.complexes = (RECORDED / "ours_qconf-sc.txt").read_text(encoding="utf-8").splitlines()
        self.complexes = [line for line in self.complexes if not line.startswith("dynamiccluster")]
        self.hosts: dict[str, FakeHost] = {}
        self.admin = ["sgemaster"]
        self.known_names: set[str] = {"sgemaster"}
        self.machines: set[str] = set()
        self.jobs: dict[int, FakeJob] = {}
        self.shared = {"matlab": 1.0}
        self.deadly: list[str] = []  # what would have ended a real qmaster
        self.down = False
        self._number = 0

    # -- what happens around it ------------------------------------------------------------------------------

    def submit(self, slots: int = 1, environment: str = "", run_s: float = 300.0, **more: Any) -> str:
        """:raises DynamicClusterError: one of its queues has no host, which is what ``qsub -q`` calls unknown."""
        for queue in more.get("queues", ()):
            if not any(queue in self.instances(name) for name in self.hosts):
                raise DynamicClusterError(f'Job was rejected because job requests unknown queue "{queue}"')
        self._number += 1
        self.jobs[self._number] = FakeJob(self._number, slots, environment, run_s=run_s, **more)
        return str(self._number)

    def boot(self, name: str) -> None:
        self.machines.add(name)

    def crash(self, name: str) -> None:
        self.machines.discard(name)

    def pass_time(self, seconds: float) -> None:
        """In steps of half a second: daemons report, jobs end, jobs are started."""
        for _ in range(round(seconds * 2)):
            self.clock.elapsed_s += 0.5
            now = self.clock.now()
            for name in self.machines & set(self.admin) & self.known_names:
                self.hosts.setdefault(name, FakeHost(name)).alive = True
            for host in self.hosts.values():
                host.alive = host.alive and host.name in self.machines and host.name in self.admin
                host.heard_at = now if host.alive else host.heard_at
            for job in list(self.jobs.values()):
                if "r" in job.state and job.ends_at <= now and all(self.hosts[host].alive for host in job.placed):
                    del self.jobs[job.number]
            self._schedule(now)

    def _schedule(self, now: float) -> None:
        for job in self.jobs.values():
            if job.state not in ("qw", "Rq"):
                continue
            fresh, job.considered = not job.considered, True
            placed = {} if fresh else self._place(job)
            if placed:
                job.queue, job.placed = next(iter(placed))[0], {host: slots for (_, host), slots in placed.items()}
                job.state, job.ends_at = ("Rr" if "R" in job.state else "r"), now + job.run_s

    def _place(self, job: FakeJob) -> dict[tuple[str, str], int]:
        for queue in job.queues or tuple(self.queues):
            left, placed = job.slots, {}
            rule = self.environments.get(job.environment, "$pe_slots")
            for host in self.hosts.values():
                free = self._free(queue, host) if self._takes(job, host) and host.name not in job.not_on else 0
                take = {"$pe_slots": job.slots if free >= job.slots else 0, "$fill_up": min(free, left)}.get(rule)
                if take is None:
                    take = int(rule) if free >= int(rule) else 0
                if take and left:
                    placed[(queue, host.name)] = take
                    left -= take
            if left == 0:
                return placed
        return {}

    def _takes(self, job: FakeJob, host: FakeHost) -> bool:
        return all(host.values.get(name) == value for name, value in job.resources if value == "TRUE")

    def _free(self, queue: str, host: FakeHost) -> int:
        if queue not in self.instances(host.name) or self._letters(host, queue).strip("a"):
            return 0
        most = min(int(host.values.get("slots", 99)), self._slots(queue, host.name))
        return most - sum(job.placed.get(host.name, 0) for job in self.jobs.values())

    # -- what can be seen ------------------------------------------------------------------------------------

    def instances(self, name: str) -> list[str]:
        return [
            queue
            for queue, known in self.queues.items()
            if name in known.hosts or any(name in self.groups[group] for group in known.groups)
        ]

    def _slots(self, queue: str, name: str) -> int:
        return self.queues[queue].slots.get(name, 1)

    def _letters(self, host: FakeHost, queue: str) -> str:
        silent = host.heard_at is None or self.clock.now() - host.heard_at > MAX_UNHEARD_S
        return "".join(
            (
                "a" if silent else "",
                "d" if queue in host.disabled else "",
                "u" if silent else "",
                "E" if queue in host.errors else "",
            )
        )

    def jobs_on(self, name: str) -> list[FakeJob]:
        return [job for job in self.jobs.values() if name in job.placed]

    def qhost(self, argv: tuple[str, ...]) -> str:
        wanted = argv[argv.index("-F") + 1].split(",") if "-F" in argv else []
        lines = ["<?xml version='1.0'?>", '<qhost xmlns:xsd="x">', " <host name='global'>"]
        lines += [
            f"   <resourcevalue name='{n}' dominance='gc'>{v:.6f}</resourcevalue>" for n, v in self.shared.items()
        ]
        lines.append(" </host>")
        for host in sorted(self.hosts.values(), key=lambda host: host.name):
            used = sum(job.placed[host.name] for job in self.jobs_on(host.name))
            arch = "lx-amd64" if host.heard_at is not None else "-"
            lines += [f" <host name='{host.name}'>", f"   <hostvalue name='arch_string'>{arch}</hostvalue>"]
            lines.append(f"   <hostvalue name='load_avg'>{'0.10' if host.alive else '-'}</hostvalue>")
            lines.append(f"   <hostvalue name='mem_total'>{'23.5G' if arch != '-' else '-'}</hostvalue>")
            for name in wanted:
                if name in host.values:
                    lines.append(f"   {self._resource(name, host.values[name], used)}")
            lines += self._queue_lines(host, used)
            lines.append(" </host>")
        return "\n".join([*lines, "</qhost>\n"])

    def _resource(self, name: str, value: str, used: int) -> str:
        how = "hc"
        if name == "slots":
            value = f"{int(value) - used:.6f}"
        elif name == "h_vmem":
            value = f"{(int(value[:-1]) - 100 * used) / 1024:.3f}G"
        elif name != "gpu":
            how, value = "hf", "1.000000" if value == "TRUE" else value
        return f"<resourcevalue name='{name}' dominance='{how}'>{value}</resourcevalue>"

    def _queue_lines(self, host: FakeHost, used: int) -> list[str]:
        lines = []
        for queue in self.instances(host.name):
            here = [job for job in self.jobs_on(host.name) if job.queue == queue]
            values = {
                "qtype_string": "BIP",
                "slots_used": str(sum(job.placed[host.name] for job in here)),
                "slots": str(self._slots(queue, host.name)),
                "state_string": self._letters(host, queue),
            }
            lines.append(f" <queue name='{queue}'>")
            lines += [f"   <queuevalue qname='{queue}' name='{n}'>{v}</queuevalue>" for n, v in values.items()]
            lines.append(" </queue>")
            for job in here:
                for _ in range(job.placed[host.name]):
                    lines.append(f" <job name='{job.number}'>")
                    lines.append(f"   <jobvalue jobid='{job.number}' name='priority'>'0.5'</jobvalue>")
                    lines.append(f"   <jobvalue jobid='{job.number}' name='job_state'>{job.state}</jobvalue>")
                    lines.append(" </job>")
        return lines

    def qstat(self, argv: tuple[str, ...]) -> str:
        if "-j" in argv:
            return "<?xml version='1.0'?>\n<unknown_jobs  xmlns:xsd=\"x\">\n</unknown_jobs>\n"
        shown = [job for job in self.jobs.values() if "-u" in argv]  # without it the superuser sees none
        parts = {
            kind: "".join(self._record(job) for job in shown if ("q" in job.state) == waits)
            for kind, waits in (("queue_info", False), ("job_info", True))
        }
        body = "".join(f"  <{kind}>\n{text}  </{kind}>\n" for kind, text in parts.items())
        return f"<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"x\">\n{body}</job_info>\n"

    def _record(self, job: FakeJob) -> str:
        rank = 0.5 if job.considered and "h" not in job.state else 0.0
        name = escape(job.name).replace("&lt;", "%lt;")
        where = f"{job.queue}@{next(iter(job.placed))}" if job.placed else ""
        lines = [
            f"<JB_job_number>{job.number}</JB_job_number>",
            f"<JAT_prio>{rank:.5f}</JAT_prio>",
            f"<JB_name>{name}</JB_name>",
            f"<JB_owner>{job.user}</JB_owner>",
            f"<state>{job.state}</state>",
            f"<queue_name>{where}</queue_name>",
            f"<slots>{job.slots}</slots>",
            f"<full_job_name>{name}</full_job_name>",
            *([f'<requested_pe name="{job.environment}">{job.slots}</requested_pe>'] if job.environment else []),
            *(
                f'<hard_request name="{n}" resource_contribution="0.000000">{v}</hard_request>'
                for n, v in job.resources
            ),
            *(f"<hard_req_queue>{queue}</hard_req_queue>" for queue in job.queues),
        ]
        state = "pending" if "q" in job.state else "running"
        return f'    <job_list state="{state}">\n' + "".join(f"      {line}\n" for line in lines) + "    </job_list>\n"
