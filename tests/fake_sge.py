"""A Grid Engine of a few hundred lines with the manners of 8.1.9, behind the fake runner.

Return codes, complaints and XML are those of the recordings. Jobs start when time passes (``pass_time``).
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

from sge_cluster import FakeHost, SgeCluster

from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.sge.adapter import SgeScheduler
from dynamiccluster.schedulers.sge.command_lines import Templates
from dynamiccluster.schedulers.sge.descriptions import SgeSettings
from dynamiccluster.testing.runner import Call, FakeRunner

SMALL = Resource("small", "x", "t", Capacity(4, 4000), max_nodes=3, features=frozenset({"fast"}), name_prefix="small")
MARK = "dynamiccluster:c1:n1"
GUIDE = Templates(
    qstat="/opt/sge/bin/lx-amd64/qstat -xml -r",
    qhost="/opt/sge/bin/lx-amd64/qhost -q -j -xml {0} {1}",
    hostgroup="/opt/sge/bin/lx-amd64/qconf {0} hostgroup hostlist {1} {2}",
    qmod="/opt/sge/bin/lx-amd64/qmod {0} *@{1}",
    remove_node="/opt/sge/bin/lx-amd64/qconf -de {0}",
    set_slots="/opt/sge/bin/lx-amd64/qconf -rattr queue slots {0} {1}@{2}",
    unset_slots="/opt/sge/bin/lx-amd64/qconf -purge queue slots {0}@{1}",
    qconf_spl="/opt/sge/bin/lx-amd64/qconf -spl",
    qconf_sp="/opt/sge/bin/lx-amd64/qconf -sp {0} | grep allocation_rule | awk '{{print $2}}'",
    qdel="/opt/sge/bin/lx-amd64/qdel -f {0}",
)
"""The commands as the deployment guide prints them."""


class FakeSge(SgeCluster):
    """The cluster; ``runner`` answers for its programs."""

    def __init__(self) -> None:
        super().__init__()
        self.quotas = ""  # what qquota prints, where the site has any
        self.runner = FakeRunner()
        self.runner.on(lambda argv: True, self._answer)

    def scheduler(self, cluster_id: str = "c1", **settings: Any) -> SgeScheduler:
        return SgeScheduler(self.runner, self.clock, cluster_id, settings=SgeSettings(**settings))

    # -- commands --------------------------------------------------------------------------------------------

    def _answer(self, call: Call) -> Completed:
        argv = call.argv
        if argv[:2] == ("/bin/sh", "-c"):
            argv = tuple(shlex.split(argv[2].partition("|")[0]))
        program = argv[0].rpartition("/")[2]
        if self.down:
            said = 'error: unable to send message to qmaster using port 6444 on host "sgemaster": got send error'
            return Completed(call.argv, 1, "", said, 0.0)
        match program:
            case "qhost":
                return Completed(call.argv, 0, self.qhost(argv), "", 0.0)
            case "qstat":
                return Completed(call.argv, 0, self.qstat(argv), "", 0.0)
            case "qquota":
                return Completed(call.argv, 0, self.quotas, "", 0.0)
            case "qmod":
                code, out = self._qmod(argv[1:])
                return Completed(call.argv, code, out, "", 0.0)
            case "qdel":
                code, out = self._qdel(argv[-1], force="-f" in argv)
                return Completed(call.argv, code, out, "", 0.0)
            case "qconf":
                code, out = self._qconf(argv[1:])
                return Completed(call.argv, code, out if code == 0 else "", "" if code == 0 else out, 0.0)
        raise AssertionError(f"no such program: {call.argv}")

    def _qmod(self, words: tuple[str, ...]) -> tuple[int, str]:
        if "-rj" in words:
            said = [self._reschedule(word, "-f" in words) for word in words[words.index("-rj") + 1 :]]
            return max(code for code, _ in said), "\n".join(text for _, text in said) + "\n"
        option, place = words
        host = self.hosts.get(place.partition("@")[2])
        instances = self.instances(host.name) if host else []
        if host is None or not instances:
            return 1, f'invalid queue "{place}"\n'
        host.disabled = set(instances) if option == "-d" else set()
        return 0, "".join(f'root@sgemaster changed state of "{queue}@{host.name}"\n' for queue in instances)

    def _reschedule(self, word: str, force: bool) -> tuple[int, str]:
        job = self.jobs.get(int(word.partition(".")[0]))
        if job is None:
            return 1, f'invalid queue or job "{word}"'
        if not job.placed:
            return 0, f"Modify operation can not be applied on job {word} in pending/hold state"
        if "d" in job.state and not force:
            return 0, f"The job {word} is already in deleted state. No rescheduling!"
        if not job.rerunnable and not force:
            return 0, f"The job {word} is not restartable"
        if "d" in job.state:
            del self.jobs[job.number]
        job.not_on |= set(job.placed)
        job.placed, job.queue, job.state = {}, "", "Rq"
        return 0, f"{'Forced' if force else 'Pushed'} rescheduling of job {word}"

    def _qdel(self, word: str, *, force: bool) -> tuple[int, str]:
        job = self.jobs.get(int(word.partition(".")[0]))
        if job is None:
            return 1, f'denied: job "{word}" does not exist\n'
        if job.placed and force and not all(self.hosts[host].alive for host in job.placed):
            self.deadly.append(f"qdel -f {word}")
        if job.placed and not force:
            job.state = "dr"
            return 0, f"root has registered the job {word} for deletion\n"
        del self.jobs[job.number]
        return 0, f"root has deleted job {word}\n"

    def _qconf(self, words: tuple[str, ...]) -> tuple[int, str]:
        option, *rest = words
        handler = getattr(self, f"_conf_{option.lstrip('-')}", None)
        assert handler is not None, f"qconf {option} is not played"
        result: tuple[int, str] = handler(*rest)
        return result

    def _conf_sc(self) -> tuple[int, str]:
        return 0, "\n".join(self.complexes) + "\n"

    def _conf_Mc(self, path: str) -> tuple[int, str]:  # noqa: N802 - named after the option
        self.complexes = Path(path).read_text(encoding="utf-8").splitlines()
        return 0, ""

    def _conf_sss(self) -> tuple[int, str]:
        return 0, "sgemaster\n"

    def _conf_sh(self) -> tuple[int, str]:
        return 0, "\n".join(self.admin) + "\n"

    def _conf_ss(self) -> tuple[int, str]:
        return 1, "no submit host defined"

    def _conf_sconfl(self) -> tuple[int, str]:
        return 1, "no config defined"

    def _conf_srqsl(self) -> tuple[int, str]:
        return (0, "peruser\n") if self.quotas else (1, "no resource quota set list defined")

    def _conf_spl(self) -> tuple[int, str]:
        return 0, "\n".join(self.environments) + "\n"

    def _conf_sp(self, name: str) -> tuple[int, str]:
        return 0, f"pe_name            {name}\nslots              999\nallocation_rule    {self.environments[name]}\n"

    def _conf_sq(self, _: str) -> tuple[int, str]:
        blocks = []
        for name, known in self.queues.items():
            own = "".join(f",[{host}={slots}]" for host, slots in known.slots.items())
            hosts = " ".join([*known.groups, *known.hosts])
            blocks.append(
                f"qname                 {name}\nhostlist              {hosts}\nseq_no                0\n"
                f"pe_list               {' '.join(self.environments)}\nslots                 1{own}\n"
                f"projects              {'physics' if name == 'physics' else 'NONE'}\nh_rt                  INFINITY\n"
            )
        return 0, "\n".join(blocks)

    def _conf_shgrpl(self) -> tuple[int, str]:
        return 0, "\n".join(self.groups) + "\n"

    def _conf_shgrp(self, group: str) -> tuple[int, str]:
        return 0, f"group_name {group}\nhostlist {' '.join(self.groups[group]) or 'NONE'}\n"

    def _conf_shgrp_tree(self, group: str) -> tuple[int, str]:
        return 0, "\n   ".join([group, *self.groups[group]]) + "\n"

    def _conf_se(self, name: str) -> tuple[int, str]:
        if name not in self.known_names:
            return 1, f'can\'t resolve hostname "{name}"'
        if name not in self.hosts:
            return 1, f"{name} is not an execution host"
        values = ",".join(f"{n}={v}" for n, v in self.hosts[name].values.items()) or "NONE"
        return 0, f"hostname              {name}\ncomplex_values        {values}\nprocessors            0\n"

    def _conf_Ae(self, path: str) -> tuple[int, str]:  # noqa: N802 - named after the option
        values = dict(line.split(None, 1) for line in Path(path).read_text(encoding="utf-8").splitlines())
        name = values["hostname"]
        if name not in self.known_names:
            return 1, f'can\'t resolve hostname "{name}"'
        if name in self.hosts:
            return 1, f'exechost "{name}" already exists'
        self.hosts[name] = FakeHost(name, dict(pair.split("=", 1) for pair in values["complex_values"].split(",")))
        return 0, ""

    def _conf_mattr(self, kind: str, attribute: str, value: str, name: str) -> tuple[int, str]:
        assert (kind, attribute) == ("exechost", "complex_values")
        self.hosts[name].values.update(dict([value.split("=", 1)]))
        return 0, ""

    def _conf_rattr(self, kind: str, attribute: str, value: str, place: str) -> tuple[int, str]:
        if kind == "exechost":
            self.hosts[place].values = dict(pair.split("=", 1) for pair in value.split(","))
            return 0, ""
        queue, _, host = place.partition("@")
        if queue not in self.queues:
            return 1, f'denied: cluster queue "{queue}" does not exist'
        self.queues[queue].slots[host] = int(value)
        return 0, ""

    def _conf_aattr(self, kind: str, _: str, host: str, place: str) -> tuple[int, str]:
        members = self.groups.get(place) if kind == "hostgroup" else self.queues[place].hosts
        if members is None:
            return 1, f'denied: host group "{place}" does not exist'
        if host not in members:
            members.append(host)
        self.hosts.setdefault(host, FakeHost(host))
        return 0, ""

    def _conf_dattr(self, kind: str, _: str, host: str, place: str) -> tuple[int, str]:
        members = self.groups[place] if kind == "hostgroup" else self.queues[place].hosts
        members.remove(host)
        return 0, ""

    def _conf_purge(self, _: str, attribute: str, place: str) -> tuple[int, str]:
        queue, _, host = place.partition("@")
        self.queues[queue].slots.pop(host, None)
        return 0, ""

    def _conf_ah(self, name: str) -> tuple[int, str]:
        if name not in self.known_names:
            return 1, f'can\'t resolve hostname "{name}"'
        if name not in self.admin:
            self.admin.append(name)
        return 0, ""

    def _conf_dh(self, name: str) -> tuple[int, str]:
        if name not in self.admin:
            return 1, f'denied: administrative host "{name}" does not exist'
        self.admin.remove(name)
        return 0, ""

    def _conf_ke(self, name: str) -> tuple[int, str]:
        host = self.hosts.get(name)
        if host is None:
            return 1, f'"{name}" is not an execution host'
        if not host.alive:
            return 1, f"failed sending shutdown notification to unknown execd host {name}"
        host.alive = False
        return 0, ""

    def _conf_de(self, name: str) -> tuple[int, str]:
        if name not in self.hosts:
            return 1, f'denied: execution host "{name}" does not exist'
        where = self.instances(name) or [job.queue for job in self.jobs_on(name)]
        if where:
            return 1, f'Host object "{name}" is still referenced in cluster queue "{where[0]}".'
        del self.hosts[name]
        return 0, ""


def changes(sge: FakeSge) -> list[str]:
    """The commands so far that were to change something, in order; files without their random names."""
    reading = re.compile(r"qconf -s|qstat|qhost|/bin/sh")
    shown = (re.sub(r"/\S+\.conf", "FILE", " ".join(argv)) for argv in sge.runner.argvs)
    return [line for line in shown if not reading.match(line)]
