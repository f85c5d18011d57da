"""A world: from a seed, a day in the life of a site with one or two engines, faults, crashes, and checks throughout.

Everything runs on virtual time through the same engine, bridge contract and adapters as the service itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from dynamiccluster.embedded.machines import Mishap, Window
from dynamiccluster.embedded.rules import Daemon
from dynamiccluster.embedded.site import Site
from dynamiccluster.embedded.workload import bursts, palette
from dynamiccluster.kit.pace import PacedClock, PacedLoop
from dynamiccluster.testing.faults import RESOURCE_KINDS, Fault, FaultKind, Faults, random_schedule
from dynamiccluster.testing.installation import Installation, Surroundings, owned_task
from dynamiccluster.testing.invariants import Breach
from dynamiccluster.testing.setting import Setting, random_setting

START_AT = 1_798_000_000.0
"""Wall time at the beginning of every world: some day in December 2026, near enough to a month's end."""

CALM_H = 10.0
"""After the faults, and after each job that ends, the next has so long: a breaker may stay open for hours, twice."""

LOOK_S = 600.0
"""While coming to rest, the world is looked at this often."""

NOTICE_S = 120.0
"""So long before a machine is taken away that is announced (EC2's two minutes)."""

MISHAPS = {
    FaultKind.SOLD_OUT: Mishap.SOLD_OUT,
    FaultKind.BUILD_ERROR: Mishap.BUILD_ERROR,
    FaultKind.SLOW: Mishap.SLOW,
    FaultKind.NEVER_BOOTS: Mishap.NEVER_BOOTS,
    FaultKind.NEVER_JOINS: Mishap.NEVER_JOINS,
    FaultKind.DEAF: Mishap.DEAF,
}


USELESS_KINDS = (FaultKind.BUILD_ERROR, FaultKind.NEVER_BOOTS, FaultKind.NEVER_JOINS)

SPIN_CALLS = 200_000
"""So many looks at the clock within one second: somebody turns round without end."""


class SpinningError(BaseException):
    """The engine is busy with nothing, and time stands still. Not an ``Exception``, so that it ends the engine."""


class WatchedClock(PacedClock):
    """A paced clock that notices when it is looked at for ever without time going on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start_at: float) -> None:
        super().__init__(loop, start_at)
        self._looks = 0
        self._since_s = 0.0

    def now(self) -> float:
        self._looks += 1
        if self._looks > SPIN_CALLS:
            if self.monotonic() - self._since_s < 1.0:
                raise SpinningError("the clock is read for ever and time does not go on")
            self._looks, self._since_s = 0, self.monotonic()
        return super().now()


@dataclass(frozen=True, slots=True)
class WorldReport:
    """What a world was like."""

    seed: int
    hours: float  # simulated, with the time it took to come to rest
    cpu_s: float
    breaches: tuple[Breach, ...]
    jobs: int
    machines: int
    commits: int
    crashes: int
    strikes: int  # calls hit by faults
    schedule: tuple[Fault, ...]
    tail: tuple[str, ...] = ()  # the last events before the first broken promise

    @property
    def ok(self) -> bool:
        return not self.breaches


def run_world(
    seed: int,
    hours: float = 24.0,
    schedule: Sequence[Fault] | None = None,
    setting: Setting | None = None,
    stop_at_first: bool = True,
) -> WorldReport:
    """Live through one world. ``schedule`` and ``setting`` replace what the seed would make of them."""
    with asyncio.Runner(loop_factory=lambda: PacedLoop(None)) as runner:
        return runner.run(_live(seed, hours, schedule, setting, stop_at_first))


async def _live(
    seed: int, hours: float, schedule: Sequence[Fault] | None, setting: Setting | None, stop_at_first: bool
) -> WorldReport:
    return await World(seed, hours, schedule, setting, stop_at_first).live()


def _cpu_s() -> float:
    used = os.times()
    return used.user + used.system


class _Tracebacks(logging.Handler):
    """Whoever logs a traceback has met something that nobody expected."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            self.texts.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


@dataclass
class World:
    """One world. Use :func:`run_world`."""

    seed: int
    hours: float
    given_schedule: Sequence[Fault] | None
    given_setting: Setting | None
    stop_at_first: bool
    breaches: list[Breach] = field(default_factory=list)
    tail: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rng = random.Random(self.seed)
        self.span_s = self.hours * 3600.0
        self.loop = asyncio.get_running_loop()
        self.clock = WatchedClock(self.loop, START_AT)
        self.origin_s = self.loop.time()
        self.setting = self.given_setting or random_setting(rng)
        resources = [name for one in self.setting.installations for name in one.policy.resources]
        self.schedule = tuple(
            self.given_schedule
            if self.given_schedule is not None
            else random_schedule(
                rng,
                self.span_s,
                [one.cluster_id for one in self.setting.installations],
                [one.name for one in self.setting.tenancies],
                resources,
            )
        )
        self.faults = Faults(self.schedule, random.Random(rng.random()), self.elapsed_s)
        self.site = Site(self.seed, START_AT, self.origin_s)
        self._furnish(rng)
        self.over = asyncio.Event()
        around = Surroundings(
            self.loop,
            self.clock,
            self.site,
            self.faults,
            self.schedule,
            self.setting.tenancies,
            self.span_s,
            self.over,
            self.broken,
        )
        self.installations = [
            Installation(around, one, random.Random(rng.random())) for one in self.setting.installations
        ]

    def elapsed_s(self) -> float:
        """Seconds since the world began, whatever the wall clock says."""
        return self.loop.time() - self.origin_s

    def broken(self, breach: Breach) -> None:
        """Note a broken promise; the world may end with the first."""
        self.breaches.append(breach)
        if len(self.breaches) == 1:
            self.tail = tuple(line for one in self.installations for line in one.tail())
        if self.stop_at_first:
            self.over.set()

    async def live(self) -> WorldReport:
        began_s = _cpu_s()
        tracebacks = _Tracebacks()
        package_log = logging.getLogger("dynamiccluster")
        package_log.addHandler(tracebacks)
        self.loop.set_task_factory(owned_task)
        try:
            lives = [asyncio.create_task(one.live()) for one in self.installations]
            await self._come_to_rest()
            self.over.set()
            await asyncio.gather(*lives)
        finally:
            self.loop.set_task_factory(None)
            package_log.removeHandler(tracebacks)
        for one in self.installations:
            one.invariants.closing()
            for fault in self.schedule:
                if fault.kind in USELESS_KINDS and fault.target in one.policy.resources:
                    until_s = min(fault.until_s, self.elapsed_s())
                    if until_s > fault.from_s:
                        one.invariants.kept_failing(fault.target, START_AT + fault.from_s, START_AT + until_s)
        for text in dict.fromkeys(tracebacks.texts):
            self.broken(Breach(5, self.site.now, "the engine", f"a traceback was logged: {text}"))
        return self._report(_cpu_s() - began_s)

    async def _come_to_rest(self) -> None:
        """Wait for the end of the faults, then until nothing is left to be done."""
        wrong: list[str] = []
        if await self._over_within(self.span_s):
            return
        done, since_s = -1, self.elapsed_s()
        while self.elapsed_s() < since_s + CALM_H * 3600.0:
            if await self._over_within(LOOK_S):
                return
            self.site.advance(START_AT + self.elapsed_s())
            wrong = [f"{one.cluster_id}: {text}" for one in self.installations for text in one.invariants.at_rest()]
            if not wrong:
                return
            ended = sum(len(queue.ended) for queue in self.site.queues.values())
            if ended > done:
                done, since_s = ended, self.elapsed_s()
        text = f"{CALM_H:g} quiet hours were not enough: " + "; ".join(wrong[:6])
        self.broken(Breach(2 if "job(s) not done" not in text else 0, self.site.now, "the world", text))

    async def _over_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.over.wait()
        except TimeoutError:
            return False
        return True

    # -- the site ---------------------------------------------------------------------------------------------

    def _furnish(self, rng: random.Random) -> None:
        end_at = START_AT + self.span_s
        for one in self.setting.installations:
            queue = self.site.add_queue(one.cluster_id, one.rules)
            for name, attributes in one.physical.items():
                queue.add_host(name, "", attributes, physical=True)
                queue.daemon_up(name, Daemon(f"iron:{name}"))
                if name in one.drained:
                    queue.hold(name, "admin: waits for a new fan")
            shapes = palette(map(self.setting.largest, one.policy.resources.values()), rng)
            self.site.feed(one.cluster_id, bursts(shapes, rng, START_AT, end_at, one.habits))
        for tenancy in self.setting.tenancies:
            windows = [
                Window(MISHAPS[fault.kind], fault.target, fault.from_s, fault.until_s)
                for fault in self.schedule
                if fault.kind in RESOURCE_KINDS and fault.target in tenancy.kinds
            ]
            real = self.site.add_tenancy(tenancy.name, tenancy.kinds, tenancy.limits, windows, tenancy.offers)
            self._invite_strangers(rng, real.add_stranger)
        happen = {
            FaultKind.DEATH: self._death,
            FaultKind.RECLAIM: self._reclaim,
            FaultKind.SILENCE: self._silence,
            FaultKind.STICK: self._stick,
            FaultKind.ADMIN_DRAIN: self._admin_drain,
        }
        for fault in self.schedule:
            if fault.kind in happen:
                self.site.agenda.at(START_AT + fault.from_s, partial(happen[fault.kind], fault))
            elif fault.kind is FaultKind.CLOCK_JUMP:
                self.loop.call_later(fault.from_s, self.clock.jump, fault.amount)

    def _invite_strangers(self, rng: random.Random, add: Callable[[int, int, float], None]) -> None:
        at_s = 0.0
        while self.setting.strangers_per_hour:
            at_s += rng.expovariate(self.setting.strangers_per_hour / 3600.0)
            if at_s > self.span_s:
                return
            stay_s = min(rng.uniform(600.0, 14400.0), self.span_s - at_s)
            self.site.agenda.at(START_AT + at_s, partial(add, rng.choice((2, 4, 8)), 8192, stay_s))

    def _death(self, fault: Fault) -> None:
        working = [
            (tenancy, machine)
            for tenancy in self.site.tenancies.values()
            for machine in tenancy.machines.values()
            if machine.joined and machine.cluster_id == fault.target
        ]
        if working:
            tenancy, machine = self.faults.rng.choice(working)
            tenancy.kill(machine.instance_id, told=bool(fault.amount))
            self.faults.note(fault.kind, fault.target)

    def _reclaim(self, fault: Fault) -> None:
        working = [
            (tenancy, machine)
            for tenancy in self.site.tenancies.values()
            for machine in tenancy.machines.values()
            if machine.joined and machine.cluster_id == fault.target
        ]
        if working:
            tenancy, machine = self.faults.rng.choice(working)
            tenancy.reclaim(machine.instance_id, NOTICE_S)
            self.faults.note(fault.kind, fault.target)

    def _silence(self, fault: Fault) -> None:
        queue = self.site.queues[fault.target]
        hosts = [name for name, host in queue.hosts.items() if host.machine_id]
        if hosts:
            queue.daemon_silent(self.faults.rng.choice(hosts), fault.until_s - fault.from_s)
            self.faults.note(fault.kind, fault.target)

    def _stick(self, fault: Fault) -> None:
        queue = self.site.queues[fault.target]
        waiting = [job.job_id for job in queue.jobs.values() if job.wait.name == "HELPS" and not job.placement]
        if waiting:
            queue.stick(self.faults.rng.choice(waiting))
            self.faults.note(fault.kind, fault.target)

    def _admin_drain(self, fault: Fault) -> None:
        queue = self.site.queues[fault.target]
        hosts = [name for name, host in queue.hosts.items() if not host.mark and not host.physical]
        if hosts:
            name = self.faults.rng.choice(hosts)
            queue.hold(name, "admin: let me look at this one")
            self.site.agenda.at(START_AT + fault.until_s, partial(self._admin_release, fault.target, name))
            self.faults.note(fault.kind, fault.target)

    def _admin_release(self, cluster_id: str, name: str) -> None:
        queue = self.site.queues[cluster_id]
        if name in queue.hosts and queue.hosts[name].mark.startswith("admin:"):
            queue.release(name, queue.hosts[name].mark)

    # -- the end ----------------------------------------------------------------------------------------------

    def _report(self, cpu_s: float) -> WorldReport:
        return WorldReport(
            self.seed,
            self.elapsed_s() / 3600.0,
            cpu_s,
            tuple(self.breaches),
            sum(len(queue.ended) for queue in self.site.queues.values()),
            sum(tenancy.built for tenancy in self.site.tenancies.values()),
            sum(one.commits for one in self.installations),
            sum(one.crashes for one in self.installations),
            sum(self.faults.struck.values()),
            self.schedule,
            self.tail,
        )
