"""How a host comes into Grid Engine and out of it again: an order of steps that leaves no gap for a job.

In: the execution host with all of its attributes, its slots in each queue, its host groups, and last the right to
report in, since its daemon may be trying already. Out: the right to report in first, lest the daemon make the host
known again; then everything that refers to it, the daemon's end, the host itself. Each step may be repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from dynamiccluster.errors import BadConfigError, BusyError, DynamicClusterError, NotFoundError
from dynamiccluster.schedulers.sge.commands import SgeCommands
from dynamiccluster.schedulers.sge.marks import ATTRIBUTE, DEFINITION, Note
from dynamiccluster.schedulers.sge.site_parse import (
    Site,
    parse_complex_values,
    parse_complexes,
    parse_group,
    parse_list,
    parse_queues,
)

log = logging.getLogger(__name__)

_HOST_FILE = """\
hostname {name}
load_scaling NONE
complex_values {values}
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
"""
"""What ``qconf -Ae`` reads: ``sge_host_conf(5)``."""

_NO_SUCH = ("does not exist", "is not an execution host")
_NO_NAME = ("can't resolve", "unable to resolve")
_EMPTY = " defined"
"""Of "no config defined", "no host group list defined" and the like, which are no errors."""

_DEAD = ("failed sending shutdown notification",)


@dataclass(frozen=True, slots=True)
class Description:
    """What Grid Engine is told of a host."""

    values: Mapping[str, str]  # its complex_values, ours apart
    note: Note
    slots: Mapping[str, int]  # by queue; 0 in those that its groups belong to and that it shall not serve
    groups: Sequence[str]


class Membership:
    """Makes hosts known and forgotten."""

    def __init__(self, commands: SgeCommands) -> None:
        self._commands = commands

    def define_attribute(self) -> None:
        """Have our attribute among those that hosts can have. It must not be one that jobs can ask for."""
        table = self._commands.ask("-sc")
        if ATTRIBUTE in parse_complexes(table):
            return
        kept = [line for line in table.splitlines() if line.strip() and not line.startswith("#")]
        line = f"{ATTRIBUTE} {ATTRIBUTE} {DEFINITION.kind} == {DEFINITION.requestable} NO {DEFINITION.default} 0"
        self._commands.tell_file("-Mc", "\n".join([*kept, line]) + "\n")
        log.info("Grid Engine's table of complexes has a new line: %s", line)

    def values_of(self, host_name: str) -> dict[str, str] | None:
        """What the host gives, in Grid Engine's words; ``None`` if it is not known."""
        try:
            return parse_complex_values(self._commands.ask("-se", host_name))
        except NotFoundError:
            return None

    def write_note(self, host_name: str, note: Note) -> None:
        self._commands.tell("-mattr", "exechost", "complex_values", f"{ATTRIBUTE}={note.text()}", host_name)

    def put_in(self, host_name: str, description: Description, site: Site) -> None:
        """All steps of the way in; those already taken are left out.

        :raises BadConfigError: a host group is missing.
        """
        self._describe(host_name, description)
        queues = parse_queues(self._commands.ask("-sq", "*"))
        for queue, number in description.slots.items():
            known = queues.get(queue)
            if known is None:
                raise BadConfigError(f"there is no queue {queue}")
            if known.slots.get(host_name) != number:
                self._commands.set_slots(number, queue, host_name)
        reached = {queue for group in description.groups for queue in site.queues_of_group(group)}
        for queue, number in description.slots.items():
            if number and queue not in reached and host_name not in queues[queue].hosts:
                self._commands.tell("-aattr", "queue", "hostlist", host_name, queue)
        for group in description.groups:
            self._join(host_name, group)
        self._commands.tell("-ah", host_name, harmless=("already exists",))

    def _describe(self, host_name: str, description: Description) -> None:
        wanted = {**description.values, ATTRIBUTE: description.note.text()}
        text = ",".join(f"{name}={value}" for name, value in wanted.items())
        known = self.values_of(host_name)
        if known is None:
            try:
                self._commands.tell_file("-Ae", _HOST_FILE.format(name=host_name, values=text))
            except DynamicClusterError as error:
                if "already exists" not in str(error):
                    raise
                known = {}  # its daemon was faster
        if known is not None and any(known.get(name) != value for name, value in wanted.items()):
            self._commands.tell("-rattr", "exechost", "complex_values", text, host_name)

    def _join(self, host_name: str, group: str) -> None:
        try:
            self._commands.change_group("-aattr", host_name, group)
        except NotFoundError as error:
            raise BadConfigError(
                f"there is no host group {group}; create it, and name it in a queue's hostlist"
            ) from error

    def take_out(self, host_name: str, *, listed: bool) -> None:
        """All steps of the way out. The host must be empty, and closed to new jobs. ``listed``: whether it is known.

        :raises BusyError: a job runs there after all; whatever refers to the host may be gone by then.
        :raises TransientError: its name cannot be resolved any more, and without that Grid Engine forgets no host.
        """
        tell = self._commands.tell
        gone = _NO_SUCH if listed else (*_NO_SUCH, *_NO_NAME)
        if host_name in self._listed("-sh"):
            tell("-dh", host_name, harmless=gone)
        for group in self._listed("-shgrpl"):
            if host_name in parse_group(self._commands.ask("-shgrp", group)):
                self._commands.change_group("-dattr", host_name, group)
        for queue in parse_queues(self._commands.ask("-sq", "*")).values():
            if host_name in queue.hosts:
                tell("-dattr", "queue", "hostlist", host_name, queue.name)
            if host_name in queue.slots:
                self._commands.unset_slots(queue.name, host_name)
            if host_name in queue.mentions:
                tell("-purge", "queue", "*", f"{queue.name}@{host_name}", harmless=("not found",))
        tell("-ke", host_name, harmless=(*_DEAD, *gone))
        try:
            self._commands.remove_host(host_name, harmless=gone)
        except DynamicClusterError as error:
            if "still referenced" in str(error):
                raise BusyError(str(error)) from error
            raise
        for listing, forget in (("-sconfl", "-dconf"), ("-ss", "-ds")):
            if host_name in self._listed(listing):
                tell(forget, host_name, harmless=gone)

    def _listed(self, option: str) -> list[str]:
        """The names that ``qconf`` lists; where there are none it complains."""
        try:
            return parse_list(self._commands.ask(option))
        except DynamicClusterError as error:
            if _EMPTY in str(error):
                return []
            raise

    def hold_open(self, queues: Collection[str], placeholder: str) -> None:
        """Give queues a host without slots, for ``qsub -q`` refuses a queue that has none (seen with 8.1.9)."""
        known = parse_queues(self._commands.ask("-sq", "*"))
        values = self.values_of(placeholder)
        if values is None:
            text = f"{ATTRIBUTE}={Note(placeholder=True).text()}"
            self._commands.tell_file("-Ae", _HOST_FILE.format(name=placeholder, values=text), ("already exists",))
        for queue in queues:
            if known[queue].slots.get(placeholder) != 0:
                self._commands.set_slots(0, queue, placeholder)
            if placeholder not in known[queue].hosts:
                self._commands.tell("-aattr", "queue", "hostlist", placeholder, queue)
