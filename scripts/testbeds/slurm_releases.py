"""Where the test bed ``slurm`` has its Slurm from: this machine's own Debian, or the Debian 13 of ``trixie``.

A release says which files the bed needs so that ``PREFIX/bin/inside COMMAND...`` runs a command on the head, and
``PREFIX/bin/machine COMMAND...`` one in a worker, whose own namespaces the local cloud has made.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Protocol

TRIXIE = pathlib.Path(__file__).resolve().with_name("trixie")
HOLDER = "while :; do sleep 3600 & wait $!; done"
"""What keeps the head's mounts: it stays while slurmctld comes and goes."""


class RefusedError(Exception):
    """This machine is not for us; the text says why."""


class Release(Protocol):
    """One release of Slurm, and how its programs are run."""

    slurm_conf: str
    """Lines of slurm.conf that others do not have."""

    cgroup_conf: str
    """Nothing here uses cgroups, but slurmd wants to know where they would be."""

    def files(self, prefix: pathlib.Path, tag: str) -> dict[str, str]:
        """Texts of files by their paths under the prefix."""
        ...

    def start(self, prefix: pathlib.Path, tag: str) -> None:
        """Have whatever ``bin/inside`` needs, once the namespace ``tag`` is there.

        :raises RefusedError: it did not start.
        """
        ...


class OfThisMachine:
    """Programs of this machine. slurmctld gets a host name and a name service of its own when it starts."""

    slurm_conf = "SwitchType=switch/none\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n"
    cgroup_conf = "CgroupPlugin=cgroup/v1\nCgroupAutomount=no\nCgroupMountpoint={prefix}/cgroup\n"

    def files(self, prefix: pathlib.Path, tag: str) -> dict[str, str]:
        return {
            "bin/inside": f'#!/bin/sh\nexec nsenter --net=/run/netns/{tag} -- "$@"\n',
            "bin/machine": '#!/bin/sh\nexec "$@"\n',
        }

    def start(self, prefix: pathlib.Path, tag: str) -> None:
        """Namespaces alone need nothing."""


MACHINE = """\
#!/bin/sh
# In mounts of our own: see the Debian 13 through an overlay that nobody can write to, and run a command there.
# /tmp is this machine's, so that jobs and programs may use files that a test has made; whole it stands in /machine,
# for programs that slurmctld calls.
set -eu
root={prefix}/root
mount -t overlay -o lowerdir={prefix}/over:{debian} overlay "$root"
mount --rbind / "$root/machine"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind /tmp "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount --bind {prefix} "$root{prefix}"
cd /
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec chroot "$root" "$@"
"""

INSIDE = """\
#!/bin/sh
# Run a command on the head.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec nsenter --target "$(cat {prefix}/run/head.pid)" --mount --uts --net --root --wdns=/ -- "$@"
"""


class OfTrixie:
    """Programs of the Debian 13 that ``trixie`` keeps. Nothing is installed on this machine itself."""

    slurm_conf = ""  # these are names of "none" no more
    cgroup_conf = "CgroupPlugin=disabled\n"

    def __init__(self, packages: Sequence[str], *, install: bool) -> None:
        """Have the packages there.

        :raises RefusedError: it cannot be had.
        """
        words = (sys.executable, str(TRIXIE), "provide", *(("--install",) if install else ()), *packages)
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RefusedError(done.stderr.strip() or "no Debian 13 can be had")
        self.debian = pathlib.Path(json.loads(done.stdout)["root"])

    def files(self, prefix: pathlib.Path, tag: str) -> dict[str, str]:
        if any(character in str(prefix) for character in " ,:\\'\""):
            raise RefusedError(f"{prefix} has characters that mount(8) would misread")
        for name in ("root", f"over{prefix}", "over/etc", "over/machine"):
            (prefix / name).mkdir(parents=True, exist_ok=True)
        return {
            "bin/inside": INSIDE.format(prefix=prefix),
            "bin/machine": MACHINE.format(prefix=prefix, debian=self.debian),
            "over/etc/hosts": "127.0.0.1 localhost\n",
            "over/etc/resolv.conf": "",  # an unreachable name server costs half a minute per question
            "over/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        }

    def start(self, prefix: pathlib.Path, tag: str) -> None:
        script = 'hostname head; exec "$0/bin/machine" sh -c "$1"'
        words = ("nsenter", f"--net=/run/netns/{tag}", "--", "unshare", "--mount", "--uts", "sh", "-c", script)
        with (prefix / "log/head.log").open("ab") as log:
            holder = subprocess.Popen(
                (*words, str(prefix), HOLDER), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        (prefix / "run/head.pid").write_text(f"{holder.pid}\n")
        command = pathlib.Path(f"/proc/{holder.pid}/cmdline")
        for _ in range(300):
            if holder.poll() is not None:
                break
            if command.read_text().split("\0")[:3] == ["sh", "-c", HOLDER]:
                return
            time.sleep(0.1)
        raise RefusedError(f"the head did not start; see {prefix}/log/head.log")
