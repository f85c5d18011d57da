"""The fault matrix of clouds: what goes wrong, on which call, and what each adapter makes of it.

:data:`MATRIX` is the whole table. Its cells are gone through one by one in ``tests/unit/test_NAME_faults.py``: what the
adapter raises, and then, with :func:`go_through`, that promises 2 to 6 hold while the fault strikes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cloud_rig import CloudRig
from engine_harness import Tap, resource

from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.embedded.rules import Daemon
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    CapacityError,
    DynamicClusterError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.model.command import CommandKind, ReplyCode
from dynamiccluster.model.memory import BreakerState
from dynamiccluster.model.worker_node import COUNTED, NodeState
from dynamiccluster.testing.faults import FaultKind

FAULTS = (
    "capacity",
    "quota",
    "throttle",
    "auth",
    "lost reply after success",
    "slow",
    "partial list",
    "stale list",
    "5xx storm",
    "credentials rotated",
    "clock skew",
)
PHASES = LAUNCH, LIST, TERMINATE = ("launch", "list", "terminate")

Raised = type[DynamicClusterError] | None
CAPACITY, QUOTA, THROTTLED, AUTH = CapacityError, QuotaError, ThrottledError, AuthError
AGAIN, UNKNOWN, CONFIG = TransientError, UnknownOutcomeError, BadConfigError
FINE = None
"""Nothing is raised: it goes well, or the engine must see for itself."""


@dataclass(frozen=True)
class Row:
    """``how``: the fault in the words of the cloud's stand-in. The others: what the adapter raises of it.

    ``lists_only``: no other call can have it; it strikes lists while machines are launched, live, and are ended.
    """

    how: Any
    launch: Raised
    list: Raised
    terminate: Raised
    lists_only: bool = False

    def raised(self, phase: str) -> Raised:
        found: Raised = getattr(self, phase)
        return found


LISTS = True
K = FaultKind
# fmt: off
MATRIX: Mapping[str, Mapping[str, Row | str]] = {
    # what goes wrong              how                                  launch    list      terminate
    "aws": {
        "capacity":                 Row("InsufficientInstanceCapacity", CAPACITY, CAPACITY, CAPACITY),
        "quota":                    Row("VcpuLimitExceeded",            QUOTA,    QUOTA,    QUOTA),
        "throttle":                 Row("RequestLimitExceeded",         THROTTLED, THROTTLED, THROTTLED),
        "auth":                     Row("UnauthorizedOperation",        AUTH,     AUTH,     AUTH),
        "lost reply after success": Row("lost",                         UNKNOWN,  AGAIN,    AGAIN),
        "slow":                     Row("hang",                         UNKNOWN,  AGAIN,    AGAIN),
        "partial list":             Row("half",                         FINE,     AGAIN,    AGAIN, LISTS),
        "stale list":               Row("stale",                        FINE,     FINE,     FINE, LISTS),
        "5xx storm":                Row("InternalError",                UNKNOWN,  AGAIN,    AGAIN),
        "credentials rotated":      Row("InvalidClientTokenId",         AUTH,     AUTH,     AUTH),
        "clock skew":               Row("RequestExpired",               AUTH,     AUTH,     AUTH),
        "unheard of":               Row("InvalidParameterCombination",  CONFIG,   CONFIG,   CONFIG),
    },
    "openstack": {
        "capacity":                 Row((409, "No more IP addresses available."), CAPACITY, CAPACITY, CAPACITY),
        "quota":                    Row("exc_quota_instances",          QUOTA,    QUOTA,    QUOTA),
        "throttle":                 Row(429,                            THROTTLED, THROTTLED, THROTTLED),
        "auth":                     Row("exc_forbidden_admin_call",     AUTH,     AUTH,     AUTH),
        "lost reply after success": Row("lost",                         UNKNOWN,  AGAIN,    AGAIN),
        "slow":                     Row("hang",                         UNKNOWN,  AGAIN,    AGAIN),
        "partial list":             Row("half",                         FINE,     AGAIN,    FINE, LISTS),
        "stale list":               Row("stale",                        FINE,     FINE,     FINE, LISTS),
        "5xx storm":                Row(503,                            UNKNOWN,  AGAIN,    AGAIN),
        "credentials rotated":      Row("exc_auth_bad_password",        AUTH,     AUTH,     AUTH),  # by Keystone
        "clock skew":               Row("old tokens",                   FINE,     FINE,     FINE),
        "neutron down":             Row("exc_down_neutron_create",      UNKNOWN,  AGAIN,    AGAIN),
        "Keystone down":            Row(503,                            AGAIN,    AGAIN,    AGAIN),
        "unheard of":               Row(400,                            CONFIG,   CONFIG,   CONFIG),
    },
    "command": {
        "capacity":                 Row("capacity",                     CAPACITY, CAPACITY, CAPACITY),
        "quota":                    Row("quota",                        QUOTA,    QUOTA,    QUOTA),
        "throttle":                 Row("throttled",                    THROTTLED, THROTTLED, THROTTLED),
        "auth":                     Row("auth",                         AUTH,     AUTH,     AUTH),
        "lost reply after success": Row("lost",                         UNKNOWN,  AGAIN,    AGAIN),
        "slow":                     Row("hang",                         UNKNOWN,  UNKNOWN,  UNKNOWN),
        "partial list":             Row("half",                         FINE,     AGAIN,    FINE, LISTS),
        "stale list":               Row("stale",                        FINE,     FINE,     FINE, LISTS),
        "5xx storm":                Row("5xx",                          UNKNOWN,  AGAIN,    AGAIN),
        "credentials rotated":      Row("auth",                         AUTH,     AUTH,     AUTH),
        "clock skew":               Row("tomorrow",                     FINE,     FINE,     FINE),
    },
    "local": {
        "capacity":                 Row("full disk",                    CAPACITY, FINE,     AGAIN),
        "quota":                    Row("taken",                        QUOTA,    FINE,     FINE),
        "throttle":                 "nobody limits how often one's own machine is asked",
        "auth":                     Row("no directory",                 CONFIG,   AGAIN,    AGAIN),
        "lost reply after success": Row("lost",                         UNKNOWN,  FINE,     FINE),
        "slow":                     Row("slow",                         UNKNOWN,  FINE,     FINE),
        "partial list":             Row("damaged",                      AGAIN,    AGAIN,    FINE),
        "stale list":               "the directory is the list",
        "5xx storm":                Row("fails",                        AGAIN,    FINE,     FINE),
        "credentials rotated":      "it has none",
        "clock skew":               Row("jump",                         FINE,     FINE,     FINE),
    },
    "simulated": {
        "capacity":                 Row({LAUNCH: K.CAPACITY},           CAPACITY, FINE,     FINE),
        "quota":                    Row({LAUNCH: K.QUOTA},              QUOTA,    FINE,     FINE),
        "throttle":                 Row({LAUNCH: K.THROTTLE, LIST: K.POLL_FAILS, TERMINATE: K.THROTTLE},
                                                                        THROTTLED, AGAIN,   THROTTLED),
        "auth":                     Row({LAUNCH: K.AUTH, LIST: K.POLL_FAILS, TERMINATE: K.ACT_FAILS},
                                                                        AUTH,     AGAIN,    AGAIN),
        "lost reply after success": Row({LAUNCH: K.LOST_REPLY, LIST: K.POLL_LOST, TERMINATE: K.LOST_REPLY},
                                                                        UNKNOWN,  UNKNOWN,  UNKNOWN),
        "slow":                     Row({LAUNCH: K.LATE_EFFECT, LIST: K.POLL_LOST, TERMINATE: K.LATE_EFFECT},
                                                                        UNKNOWN,  UNKNOWN,  UNKNOWN),
        "partial list":             Row({LIST: K.POLL_FAILS},           FINE,     AGAIN,    FINE, LISTS),
        "stale list":               Row({LIST: K.LAG},                  FINE,     FINE,     FINE, LISTS),
        "5xx storm":                Row({LAUNCH: K.LOST_REQUEST, LIST: K.POLL_FAILS, TERMINATE: K.ACT_FAILS},
                                                                        UNKNOWN,  AGAIN,    AGAIN),
        "credentials rotated":      "the embedded cloud has none; that they are refused is the row above, `auth`",
        "clock skew":               Row("jump",                         FINE,     FINE,     FINE),
    },
}
"""``xspot`` is asked through the adapter of ``aws``, with its own configuration, and has the same rows; ``fleet`` is a
menu whose spot machines are asked for by CreateFleet. A text says why there is no such fault."""
# fmt: on
OF_ANOTHER = {"xspot": "aws", "fleet": "aws"}


def rows(cloud: str) -> dict[str, Row]:
    """The faults that this cloud can have."""
    return {name: row for name, row in MATRIX[OF_ANOTHER.get(cloud, cloud)].items() if isinstance(row, Row)}


def cells(cloud: str) -> list[tuple[str, str]]:
    return [(name, phase) for name in rows(cloud) for phase in PHASES]


def named(cell: tuple[str, str]) -> str:
    return "-".join(cell)


# -- promises ------------------------------------------------------------------------------------------------------

STRIKES_S = 90.0
"""Some polls."""

LISTS_STRIKE_S = 240.0
"""Longer than it takes until a machine that is missing is believed gone."""

WANTED = 2
MOST_ASKED = 6
"""Launches while the fault strikes: a resource that fails is not asked again and again."""

WELL = "w"
"""Another cloud's resource beside the one that is struck, for other jobs."""


async def go_through(rig: CloudRig, row: Row, strike: Callable[[str], None], calm: Callable[[], None]) -> None:
    """Jobs want two nodes; those are launched, work, and are ended, and in each of the three phases the fault strikes
    for a while. Nobody helps: what was closed opens by itself."""
    watch = Watch(rig)
    rig.start()
    await rig.ready()
    strike(LAUNCH)
    rig.submit(cores=rig.rules.resources["r"].capacity.cores or 2, count=WANTED)
    await watch.strikes(STRIKES_S)
    breaker = rig.store.load().memory.breakers.get("r")
    closed = breaker is not None and breaker.state is BreakerState.OPEN
    refused_for_good = row.launch in (AUTH, CONFIG) and not row.lists_only
    assert closed or not refused_for_good or rig.rules.resources["r"].menu  # it closes itself (promise 6),
    assert not closed or any("r is closed for" in text for text in rig.store.texts())  # says so,
    asked = len(watch.launches())
    assert asked <= MOST_ASKED
    calm()
    await rig.until(lambda: watch.there(trial=closed) == WANTED and rig.settled())  # none twice (2)
    assert not closed or len(watch.launches()[asked][2]) == 1  # and tries again with one node (6)
    assert max(watch.most_nodes, watch.most_machines) <= WANTED  # never more than its maximum (3)
    await rig.until(lambda: set(rig.states()) <= {NodeState.JOINING, NodeState.IDLE, NodeState.BUSY})

    strike(LIST)
    seen, ended = (rig.states(), rig.recorded()), rig.cloud.called("terminate")
    await watch.strikes(LISTS_STRIKE_S)
    assert (rig.states(), rig.recorded()) == seen  # a failed poll changes nothing (4)
    assert rig.cloud.called("terminate") == ended
    calm()

    await rig.until(lambda: watch.working() == WANTED)
    with rig.site.at(rig.clock):
        rig.queue.delete(list(rig.queue.jobs))
    strike(TERMINATE)
    for node in rig.nodes:
        assert (await rig.ask(CommandKind.DELETE, node.node_id, force=True)).code is ReplyCode.OK
    await watch.strikes(STRIKES_S)
    assert len(rig.cloud.called("terminate")) > len(ended)
    calm()
    await rig.until(lambda: not rig.nodes and not rig.place.living())  # none is left (2)
    assert not [event for event in rig.store.history() if "uarantine" in event.text]  # (5)
    await rig.stop()


class Watch:
    """Looks on. Gives the installation another cloud, and short pauses."""

    def __init__(self, rig: CloudRig) -> None:
        self.most_nodes = 0  # at a launch, those included that it is for
        self.most_machines = 0
        self._rig = rig
        rig.site.add_tenancy("well")
        self._well = Tap(SimulatedCloud(rig.site, "well", rig.clock, "c1"))
        rig.neighbours, rig.beside = {"well": self._well}, WELL
        struck = replace(rig.rules.resources["r"], max_nodes=WANTED)
        well = resource(WELL, "well", queues=frozenset({"other"}), max_nodes=9, timers=struck.timers)
        failure = replace(rig.rules.failure, breaker_open_s=150.0, backoff_s=60.0)
        rig.rules = replace(rig.rules, resources={"r": struck, WELL: well}, failure=failure)
        for verb in _LAUNCHES:
            rig.cloud.before[verb] = self._before_launch

    def launches(self) -> list[Any]:
        """What the struck cloud was asked for."""
        return [call[1:] for call in self._rig.cloud.calls if call[0] in _LAUNCHES]

    def there(self, *, trial: bool) -> int:
        """How many nodes there are; they stay on their way, but a trial must show what it was for."""
        if trial:
            self.working()
        self.most_machines = max(self.most_machines, len(self._rig.place.living()))
        return len(self._rig.nodes)

    def working(self) -> int:
        """How many nodes work. The machines of stand-ins have no daemons; those of the nodes come up here."""
        rig = self._rig
        living = rig.place.living()
        for node in rig.nodes:
            if node.state is NodeState.JOINING and node.host_name and node.instance_id.partition("+")[0] in living:
                with rig.site.at(rig.clock):
                    rig.queue.daemon_up(node.host_name, Daemon(node.instance_id))
        return sum(node.state is NodeState.BUSY for node in rig.nodes)

    async def strikes(self, seconds: float) -> None:
        """The fault lasts for a while, and keeps nothing from a cloud beside it (5)."""
        rig = self._rig
        tick, asked = rig.engine.readmodel.tick, len(self._well.called("launch"))
        assert (await rig.ask(CommandKind.LAUNCH, WELL)).code is ReplyCode.OK
        await asyncio.sleep(seconds)
        assert len(self._well.called("launch")) == asked + 1
        assert rig.engine.readmodel.tick > tick

    def _before_launch(self) -> None:
        self.most_nodes = max(self.most_nodes, sum(node.state in COUNTED for node in self._rig.nodes))


_LAUNCHES = ("launch", "launch_whole")
