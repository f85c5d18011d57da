"""Words to Slurm about nodes of ``slurm.conf`` that its power saving switches on and off. Seen with 22.05.8.

* DRAIN keeps jobs away from a node that is off. On a node that is powering up it also puts the jobs that wait for it
  back into the queue; on one that runs jobs it lets them run.
* POWER_DOWN leaves a node that is powering up as it is until ``ResumeTimeout``, so it takes POWER_DOWN_FORCE, which
  would end running jobs: it is said only of nodes that are drained and then seen to be free.
* When a node is suspended it loses DRAIN (not its reason).
* IDLE ends DRAIN and DOWN on a node that is off. RESUME and UNDRAIN would leave it NOT_RESPONDING, with which it is
  given to jobs until slurmctld restarts, and then never again; suspending it once more takes that away.
* These nodes are never deleted: slurmctld would end at its next reconfiguration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from dynamiccluster.errors import BadConfigError, BusyError, DynamicClusterError, TransientError
from dynamiccluster.kit.hostname import require_host_name
from dynamiccluster.model.host import Host, Power
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.slurm.calls import SlurmCalls
from dynamiccluster.schedulers.slurm.nodes_parse import Nodes
from dynamiccluster.schedulers.slurm.power_parse import parse_power_config

_BATCH = 500
"""Nodes per command: a request of some 10 kilobytes."""

_MACHINELESS = frozenset({Power.OFF, Power.GIVEN_UP})


class SlurmPower:
    """``read`` gives all nodes as they are now."""

    def __init__(self, calls: SlurmCalls, read: Callable[[], Nodes]) -> None:
        self._calls = calls
        self._read = read

    def withdraw(self, host_names: Sequence[str], mark: str) -> None:
        """See ``schedulers/base.PowerSaving``."""
        asked = self._look(host_names)
        # A window keeps a node for its own jobs, which may begin at any moment: only DRAIN keeps everybody's away.
        self._update([host for host in asked if "DRAIN" not in host.detail], "state=DRAIN", f"reason={mark}")
        if not any(host.power in (Power.WANTED, Power.ON) for host in asked):
            return
        now = [host for host in self._look(host_names) if host.power in (Power.WANTED, Power.ON)]
        self._update([host for host in now if not host.busy], "state=POWER_DOWN_FORCE", f"reason={mark}")
        running = [host for host in now if host.busy]
        if running:
            raise BusyError(f"{running[0].name} has jobs ({running[0].detail})")

    def offer(self, host_names: Sequence[str]) -> None:
        """See ``schedulers/base.PowerSaving``. What Slurm calls not responding is suspended once more; where it is
        down besides, another word is needed after that."""
        off = [
            host
            for host in self._look(host_names)
            if host.power in _MACHINELESS and not host.busy and (host.hold is None or host.hold.ours)
        ]
        silent = [host for host in off if "NOT_RESPONDING" in host.detail]
        self._update(silent, "state=POWER_DOWN_FORCE")
        plain = [host for host in off if host not in silent and (host.hold is not None or host.power is Power.GIVEN_UP)]
        self._update(plain, "state=IDLE")

    def require(self, resources: Iterable[Resource], nodes: Nodes) -> None:
        """See that Slurm has the nodes of these resources, and saves their power.

        :raises BadConfigError: it does not; the text says what to change.
        """
        problems = [*self._problems(resources, nodes)]
        if problems:
            raise BadConfigError("; ".join(problems))

    def _problems(self, resources: Iterable[Resource], nodes: Nodes) -> Iterable[str]:
        resources = list(resources)
        if not resources:
            return
        yield from parse_power_config(self._calls.ask("show", "config"))
        switched = {host.name for host in nodes.hosts if host.power is not None}
        for resource in resources:
            wanted = [resource.numbered(number) for number in range(1, resource.max_nodes + 1)]
            missing = [name for name in wanted if name not in switched]
            if missing:
                yield (
                    f"slurm.conf lacks {len(missing)} of the {len(wanted)} nodes of {resource.name} with State=CLOUD, "
                    f"the first is {missing[0]}: `dynamiccluster slurm-config` prints what is to stand there"
                )

    def _look(self, host_names: Sequence[str]) -> list[Host]:
        """Those of the nodes that Slurm switches, as they are now."""
        wanted = {require_host_name(name) for name in host_names}
        return [host for host in self._read().hosts if host.name in wanted and host.power is not None]

    def _update(self, hosts: Sequence[Host], *words: str) -> None:
        for at in range(0, len(hosts), _BATCH):
            names = ",".join(host.name for host in hosts[at : at + _BATCH])
            try:
                self._calls.tell("update", f"nodename={names}", *words)
            except DynamicClusterError as error:
                if "Invalid node state" not in str(error):
                    raise
                # of some, since they were looked at; the others have been changed
                raise TransientError(str(error)) from error
