"""Instances that are worker daemons on this very machine, for demos and tests of a real scheduler.

Everything about an instance stands in ``state_dir`` (``local_records``), so that the service finds it again after a
crash. Files of other clusters in the same directory are strangers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from dynamiccluster.clouds.local_records import Record, Records, write_whole
from dynamiccluster.clouds.local_worker import CANNOT_RUN, CANNOT_WRITE
from dynamiccluster.clouds.netns import BridgeNetwork
from dynamiccluster.errors import (
    BadConfigError,
    CapacityError,
    DynamicClusterError,
    QuotaError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.hostname import require_host_name
from dynamiccluster.kit.runner import PLAIN, Runner
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView, Quota

_START_TIMEOUT_S = 20.0
_STARTING_S = 60.0
"""A written-down instance without a process is still being started so long, and as long as any launch is under way: the
wall clock may jump meanwhile. Then its launch has failed."""

_KEEP_GONE_S = 600.0
"""How long an ended instance stays in the list, and its console readable."""

_CONSOLE_BYTES = 65536
_REFUSALS: Mapping[int, type[DynamicClusterError]] = {CANNOT_RUN: BadConfigError, CANNOT_WRITE: CapacityError}


class LocalCloud:
    """Implements ``clouds/base`` with processes.

    ``worker_command``: argv with ``{name} {address} {cores} {memory_mib} {features}`` for values; it runs in the
    foreground, and the instance lives as long as it does. ``worker_commands``: the same for single resources, by name,
    in its place. ``network``: gives each instance a network namespace
    (needs root); without it instances share the machine's network and have no address of their own.
    ``max_instances`` counts everybody's in ``state_dir``; 0 is as many as there are addresses.
    """

    idempotent = True

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        cluster_id: str,
        tenancy: str,
        *,
        state_dir: str,
        worker_command: Sequence[str] = (),
        worker_commands: Mapping[str, Sequence[str]] | None = None,
        network: BridgeNetwork | None = None,
        max_instances: int = 0,
    ) -> None:
        self.tenancy = tenancy
        self._runner = runner
        self._clock = clock
        self._cluster_id = cluster_id
        self._records = Records(state_dir)
        self._worker_command = tuple(worker_command)
        self._worker_commands = dict(worker_commands or {})
        self._network = network
        self._max_instances = max_instances or (network.size if network else 0)

    def list_instances(self) -> CloudView:
        started_at = self._clock.now()
        instances: list[Instance] = []
        strangers = used = 0
        for record in self._records.all():
            instance = self._instance(record, started_at)
            used += instance.state is not InstanceState.GONE
            if self._is_ours(record):
                instances.append(instance)
            elif instance.state is not InstanceState.GONE:
                strangers += 1
        quota = Quota(self._max_instances or None, used)
        return CloudView(self.tenancy, started_at, self._clock.now(), tuple(instances), strangers, quota)

    def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
        for spec in specs:
            require_host_name(spec.host_name)
        with self._records.alone():
            self._forget_gone()
            records = {record.instance_id: record for record in self._records.all()}
            alive = [record for record in records.values() if not self._is_gone(record)]
            taken = {record.address for record in alive}
            left = [
                record.address for record in sorted(records.values(), key=self._records.ended_at) if record not in alive
            ]
            number = len(alive)
            launched: list[LaunchedInstance] = []
            for spec in specs:
                known = records.get(self._id(launch_id, spec))
                try:
                    if known is None:
                        self._check_room(number)
                        address = self._network.free_address(taken, left) if self._network else ""
                        known = self._write(launch_id, resource, spec, address)
                        taken.add(address)
                        number += 1
                    if (
                        not self._records.file(known, "pid").exists()
                        and not self._records.file(known, "ended").exists()
                    ):
                        self._start(known, resource)
                except UnknownOutcomeError:
                    raise
                except DynamicClusterError:
                    if not launched:
                        raise
                    break  # fewer than asked for
                launched.append(_launched(known))
            return tuple(launched)

    def terminate(self, instance_ids: Sequence[str]) -> None:
        failed: list[DynamicClusterError] = []
        for instance_id in instance_ids:
            try:
                self._end(instance_id)
            except DynamicClusterError as error:  # it holds up no other
                failed.append(error)
        if failed:
            raise failed[0]

    def _end(self, instance_id: str) -> None:
        record = self._records.read(instance_id)
        if record is None or not self._is_ours(record):
            return
        ended = self._records.file(record, "ended")
        unwritten: CapacityError | None = None
        if not ended.exists():
            try:
                write_whole(ended, f"{self._clock.now()}\n")
            except CapacityError as error:  # a worker that goes on may be what fills the disk
                unwritten = error
        pid = self._records.living(record)
        if pid:
            _pull_the_plug(pid)
        if self._network:
            self._network.delete(record.host_name, record.address)
        if unwritten:
            raise TransientError(f"the end of {record.host_name} cannot be written down: {unwritten}") from unwritten

    def console_tail(self, instance_id: str) -> str:
        record = self._records.read(instance_id)
        if record is None or not self._is_ours(record):
            return ""
        try:
            with self._records.file(record, "log").open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _CONSOLE_BYTES))
                return file.read(_CONSOLE_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise TransientError(f"the console of {record.host_name}: {error.strerror}") from error

    def _check_room(self, number: int) -> None:
        if self._max_instances and number >= self._max_instances:
            raise QuotaError(f"{number} of at most {self._max_instances} local instances are there")

    def _write(self, launch_id: str, resource: Resource, spec: NodeSpec, address: str) -> Record:
        record = Record(
            self._id(launch_id, spec),
            self._cluster_id,
            self.tenancy,
            launch_id,
            spec.node_id,
            resource.name,
            spec.host_name,
            address,
            resource.offering,
            self._clock.now(),
        )
        write_whole(self._records.file(record, "json"), json.dumps(dataclasses.asdict(record)) + "\n")
        return record

    def _start(self, record: Record, resource: Resource) -> None:
        """Plug in the network, press the button. If it fails nothing is left."""
        try:
            command = self._command(record, resource)
            if self._network:
                self._network.create(record.host_name, record.address)
            completed = self._runner.run(
                (
                    sys.executable,
                    "-m",
                    "dynamiccluster.clouds.local_worker",
                    str(self._records.file(record, "pid")),
                    str(self._records.file(record, "log")),
                    record.host_name,
                    self._network.path(record.host_name) if self._network else "",
                    *command,
                ),
                timeout_s=_START_TIMEOUT_S,
            )
        except UnknownOutcomeError:
            raise
        except DynamicClusterError:
            self._discard(record)
            raise
        if completed.returncode != 0:
            self._discard(record)
            kind = _REFUSALS.get(completed.returncode, TransientError)
            raise kind(f"{record.host_name} cannot be started: {completed.complaint}")

    def _command(self, record: Record, resource: Resource) -> list[str]:
        features = set(resource.features)
        if resource.reservation.property:
            features.add(resource.reservation.property)
        for word in (record.host_name, *features):
            if not all(PLAIN.fullmatch(part) for part in word.split("=", 1)):  # VMType=Centos7
                raise BadConfigError(f"{word[:100]!r} cannot be put into the worker command")
        values = {
            "name": record.host_name,
            "address": record.address,
            "cores": resource.capacity.cores,
            "memory_mib": resource.capacity.memory_mib,
            "features": ",".join(sorted(features)),
        }
        template = self._worker_commands.get(resource.name, self._worker_command)
        if not template:
            raise BadConfigError(f"resource {resource.name} has no worker_command")
        try:
            return [word.format(**values) for word in template]
        except (KeyError, IndexError, ValueError) as error:
            raise BadConfigError(f"worker_command: {error} is not one of {', '.join(values)}") from error

    def _discard(self, record: Record) -> None:
        if self._network:
            with contextlib.suppress(DynamicClusterError):  # a namespace left over is replaced by its successor
                self._network.delete(record.host_name, record.address)
        self._records.remove(record)

    def _instance(self, record: Record, now: float) -> Instance:
        fault = ""
        alive = self._records.living(record) > 0
        if self._is_gone(record):
            state = InstanceState.GONE
        elif self._records.file(record, "ended").exists():
            state = InstanceState.TERMINATING
        elif alive:
            state = InstanceState.ACTIVE
        elif self._records.file(record, "pid").exists():
            state, fault = InstanceState.STOPPED, "its worker command has ended"
        elif now - record.created_at < _STARTING_S or self._records.somebody_launches():
            state = InstanceState.PENDING
        else:
            state, fault = InstanceState.ERROR, "its launch was interrupted"
        return Instance(
            record.instance_id,
            state,
            record.launch_id,
            record.node_id,
            record.resource,
            record.host_name,
            record.host_name,
            record.address,
            record.created_at,
            fault=fault,
            offering=record.offering,
        )

    def _is_ours(self, record: Record) -> bool:
        return record.cluster_id == self._cluster_id and record.tenancy == self.tenancy

    def _is_gone(self, record: Record) -> bool:
        """Its end was asked for, and its process and its network are no more."""
        if not self._records.file(record, "ended").exists() or self._records.living(record):
            return False
        return self._network is None or not self._network.exists(record.host_name)

    def _forget_gone(self) -> None:
        self._records.sweep()
        for record in self._records.all():
            if not self._is_gone(record):
                continue
            if self._records.ended_at(record) < self._clock.now() - _KEEP_GONE_S:
                self._records.remove(record)

    def _id(self, launch_id: str, spec: NodeSpec) -> str:
        """The same for the same request, which is what makes ``launch`` repeatable."""
        text = "\0".join((self._cluster_id, self.tenancy, launch_id, spec.node_id))
        return f"local-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _launched(record: Record) -> LaunchedInstance:
    return LaunchedInstance(
        record.instance_id, record.node_id, record.host_name, record.address, record.host_name, record.offering
    )


def _pull_the_plug(pid: int) -> None:
    """End the instance's first process; as root the kernel ends the rest, else its process group goes with it."""
    try:
        if os.geteuid() == 0:
            os.kill(pid, signal.SIGKILL)
        else:
            os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
