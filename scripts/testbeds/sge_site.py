"""What the test bed ``sge`` is to its users: queues, parallel environments, complexes, projects, and short waits.

The queues begin as Grid Engine's own template does, with one slot on every host of ``@allhosts``: the service has to
cope with that.
"""

from __future__ import annotations

import pathlib
import subprocess

QUEUES = {
    "main": "@allhosts",
    "long": "@allhosts",
    "physics": "@physics",  # for an account: only jobs of the project "physics"
}
"""Cluster queue -> the host group that its hosts are in."""

PARALLEL_ENVIRONMENTS = {
    "smp": "$pe_slots",
    "fill": "$fill_up",
    "rr": "$round_robin",
    **{f"per{slots}": str(slots) for slots in (1, 2, 3, 4, 8)},
}
"""Name -> allocation rule."""

PROJECTS = ("physics", "chem")
LICENCES = "matlab"
SETTINGS = {
    "execd_spool_dir": "{prefix}/spool/execd",
    "mailer": "/bin/true",
    "min_uid": "0",
    "min_gid": "0",
    "load_report_time": "00:00:03",
    "max_unheard": "00:00:20",
    "enforce_user": "auto",
    "administrator_mail": "none",
    "reporting_params": "accounting=true reporting=false flush_time=00:00:15 accounting_flush_time=00:00:00 "
    "joblog=false sharelog=00:00:00",
}
SCHEDULING = {
    "schedule_interval": "0:0:2",
    "flush_submit_sec": "1",
    "flush_finish_sec": "1",
    "job_load_adjustments": "NONE",
    "load_adjustment_decay_time": "0:0:0",
    "weight_priority": "1.0",
}
PROPERTIES = ("fast", "bigmem", "other", *(f"lane{at}" for at in range(8)))
"""What a node may be, and a job ask for with ``-l fast``."""

CONSUMABLES = ("gpu", LICENCES, "nowhere")


class SiteError(Exception):
    """The site could not be set up; the text says why."""


def set_up(qconf: str, prefix: pathlib.Path, head: str) -> None:
    """Set up a fresh cell. Files that ``qconf`` reads are left in ``PREFIX/site``."""
    site = _Site(qconf, prefix)
    site.call("-as", head)
    settings = {key: value.format(prefix=prefix) for key, value in SETTINGS.items()}
    site.modify("-sconf", "-Mconf", "global", settings)
    site.modify("-ssconf", "-Msconf", "scheduler", SCHEDULING)
    site.add_complexes()
    for group in dict.fromkeys(QUEUES.values()):
        site.add("-Ahgrp", f"group{group}", f"group_name {group}\nhostlist NONE\n")
    for project in PROJECTS:
        site.add("-Aprj", f"project-{project}", f"name {project}\noticket 0\nfshare 0\nacl NONE\nxacl NONE\n")
    for name, rule in PARALLEL_ENVIRONMENTS.items():
        site.add("-Ap", f"pe-{name}", _pe(name, rule))
    site.add_queues()
    site.call("-rattr", "exechost", "complex_values", f"{LICENCES}=1", "global")


class _Site:
    def __init__(self, qconf: str, prefix: pathlib.Path) -> None:
        self._qconf = qconf
        self._prefix = prefix

    def call(self, *words: str) -> str:
        argv = (self._qconf, *words)
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SiteError(f"qconf {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def add(self, option: str, name: str, text: str) -> None:
        path = self._prefix / "site" / name
        path.write_text(text)
        self.call(option, str(path))

    def modify(self, show: str, option: str, name: str, changes: dict[str, str]) -> None:
        self.add(option, name, _changed(self.call(show), changes))

    def add_complexes(self) -> None:
        lines = [line for line in self.call("-sc").splitlines() if not line.startswith("#")]
        # h_vmem is handed out per slot; jobs that do not ask for it get 100 MiB, or they would be killed at 0
        lines = [_h_vmem(line) if line.split()[0] == "h_vmem" else line for line in lines]
        lines += [f"{name} {name} BOOL == YES NO 0 0" for name in PROPERTIES]
        lines += [f"{name} {name} INT <= YES YES 0 0" for name in CONSUMABLES]
        self.add("-Mc", "complexes", "\n".join(lines) + "\n")

    def add_queues(self) -> None:
        template = self.call("-sq")
        common = {
            # this machine is busy with other things, too
            "load_thresholds": "np_load_avg=500",
            "pe_list": " ".join(PARALLEL_ENVIRONMENTS),
            "rerun": "TRUE",
            "shell": "/bin/sh",
            "shell_start_mode": "unix_behavior",
            "tmpdir": f"{self._prefix}/tmp",  # noqa: S108 - below the bed's own directory
        }
        for name, group in QUEUES.items():
            own = {"qname": name, "hostlist": group}
            if name == "main":
                own["h_rt"] = "24:00:00"
            if name == "physics":
                own["projects"] = "physics"
            self.add("-Aq", f"queue-{name}", _changed(template, common | own))


def _changed(text: str, changes: dict[str, str]) -> str:
    """Lines of ``keyword value``, some with other values; comments and continuation lines are dropped."""
    left = dict(changes)
    lines = []
    for line in text.replace("\\\n", " ").splitlines():
        keyword = line.partition(" ")[0]
        if line and not line.startswith("#"):
            lines.append(f"{keyword} {left.pop(keyword)}" if keyword in left else line)
    lines += [f"{keyword} {value}" for keyword, value in left.items()]
    return "\n".join(lines) + "\n"


def _h_vmem(line: str) -> str:
    name, shortcut, kind, relation, requestable, _, _, urgency = line.split()
    return f"{name} {shortcut} {kind} {relation} {requestable} YES 100M {urgency}"


def _pe(name: str, rule: str) -> str:
    return f"""\
pe_name            {name}
slots              9999
user_lists         NONE
xuser_lists        NONE
start_proc_args    NONE
stop_proc_args     NONE
allocation_rule    {rule}
control_slaves     TRUE
job_is_first_task  TRUE
urgency_slots      min
accounting_summary FALSE
qsort_args         NONE
"""
