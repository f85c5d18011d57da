"""The command lines that Grid Engine is asked and told with, from the site's templates."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from dynamiccluster.kit.runner import parse_template
from dynamiccluster.schedulers.sge.programs import completed, leading_words, located, program, root_of

_ENVIRONMENT = {
    "TZ": "UTC",  # instants are printed as local time, without a zone
    "SGE_SINGLE_LINE": "1",  # values in one line, however long
}


@dataclass(frozen=True, slots=True)
class Templates:
    """The documented commands."""

    qstat: str = "qstat -xml -r -u '*'"
    qhost: str = "qhost -q -j -xml {0} {1}"
    hostgroup: str = "qconf {0} hostgroup hostlist {1} {2}"
    qmod: str = "qmod {0} *@{1}"
    remove_node: str = "qconf -de {0}"
    set_slots: str = "qconf -rattr queue slots {0} {1}@{2}"
    unset_slots: str = "qconf -purge queue slots {0}@{1}"
    qconf_spl: str = "qconf -spl"
    qconf_sp: str = "qconf -sp {0}"
    qdel: str = "qdel -f {0}"


class CommandLines:
    """Fills in the templates. Values that are not plain words are refused, see ``kit/runner``.

    ``qconf``: the words before the options of ``qconf`` where no documented command will do.
    """

    def __init__(self, templates: Templates, qconf: Sequence[str], sge_root: str, sge_cell: str) -> None:
        written = {key.name: getattr(templates, key.name) for key in fields(templates)}
        found = {name: located(template, sge_root) for name, template in written.items()}
        found["qstat"] = completed(found["qstat"], "qstat", {"-xml": (), "-r": (), "-u": ("*",)})
        found["qhost"] = completed(found["qhost"], "qhost", {"-xml": (), "-q": (), "-j": ()})
        self._templates = Templates(**found)
        self._qconf = tuple(located(word, sge_root) for word in qconf)
        self._qmod = leading_words(self._templates.qmod, "qmod") or (program("qmod", sge_root) or "qmod",)
        self._qstat = leading_words(self._templates.qstat, "qstat") or (program("qstat", sge_root) or "qstat",)
        self._qquota = (*self._qstat[:-1], os.path.join(os.path.dirname(self._qstat[-1]), "qquota"))
        root = sge_root or next((root for root in map(root_of, found.values()) if root), "")
        self.environment: Mapping[str, str] = {
            **_ENVIRONMENT,
            **({"SGE_ROOT": root} if root else {}),
            **({"SGE_CELL": sge_cell} if sge_cell else {}),
        }

    def jobs(self, *, with_projects: bool) -> list[str]:
        """``-ext`` tells projects but not when a job was submitted or started, unless ``-pri`` is there (8.1.9)."""
        template = self._templates.qstat
        return _argv(completed(template, "qstat", {"-ext": (), "-pri": ()}) if with_projects else template)

    def details(self, numbers: Sequence[str]) -> list[str]:
        return [*self._qstat, "-j", ",".join(numbers), "-xml"]

    def quotas(self) -> list[str]:
        """``qquota`` has no key of its own: it is where ``qstat`` is."""
        return [*self._qquota, "-u", "*", "-xml"]

    def hosts(self, attributes: Sequence[str]) -> list[str]:
        template = self._templates.qhost
        if attributes:
            template = completed(template, "qhost", {"-F": (",".join(attributes),)})
        return _argv(template, "", "")

    def environments(self) -> list[str]:
        return _argv(self._templates.qconf_spl)

    def parallel_environment(self, name: str) -> list[str]:
        return _argv(self._templates.qconf_sp, name)

    def change_group(self, option: str, host_name: str, group: str) -> list[str]:
        return parse_template(self._templates.hostgroup).argv((option, host_name, group), groups=(2,))

    def switch(self, option: str, host_name: str) -> list[str]:
        return _argv(self._templates.qmod, option, host_name)

    def set_slots(self, number: int, queue: str, host_name: str) -> list[str]:
        return _argv(self._templates.set_slots, str(number), queue, host_name)

    def unset_slots(self, queue: str, host_name: str) -> list[str]:
        return _argv(self._templates.unset_slots, queue, host_name)

    def remove_host(self, host_name: str) -> list[str]:
        return _argv(self._templates.remove_node, host_name)

    def delete_job(self, job_id: str) -> list[str]:
        return _argv(self._templates.qdel, job_id)

    def reschedule(self, job_ids: Sequence[str], *, force: bool) -> list[str]:
        return [*self._qmod, *(("-f",) if force else ()), "-rj", *job_ids]

    def qconf(self, *arguments: str) -> list[str]:
        return [*self._qconf, *arguments]


def _argv(template: str, *values: str) -> list[str]:
    return parse_template(template).argv(values)
