"""The shipped join scripts on machines that real schedulers then have as nodes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.clouds.netns import BridgeNetwork
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host, HostState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.testing import htcondor_bed, sge_bed, slurm_bed
from dynamiccluster.testing.bed import Bed, JobState, Order

JOIN = Path(__file__).resolve().parents[2] / "scripts" / "join"
RESOURCE = Resource("small", "local", "t", Capacity(2, 1000), features=frozenset({"lane0"}), name_prefix="small")
NAME = "small-7"
MARK = "dynamiccluster:c1:n1"
pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


@pytest.fixture
def slurm() -> Iterator[slurm_bed.SlurmBed]:
    if reason := slurm_bed.why_not():
        pytest.skip(reason)
    with slurm_bed.slurm_bed("10.77.60.0/24") as running:
        yield running


@pytest.fixture
def sge() -> Iterator[sge_bed.SgeBed]:
    if reason := sge_bed.why_not():
        pytest.skip(reason)
    with sge_bed.sge_bed("10.78.60.0/24") as running:
        yield running


@pytest.fixture
def htcondor() -> Iterator[htcondor_bed.HtcondorBed]:
    if reason := htcondor_bed.why_not():
        pytest.skip(reason)
    with htcondor_bed.htcondor_bed("10.79.60.0/24") as running:
        yield running


def boot(
    bed: slurm_bed.SlurmBed | sge_bed.SgeBed | htcondor_bed.HtcondorBed, command: Sequence[str]
) -> tuple[LocalCloud, LaunchedInstance]:
    facts = bed.facts
    network = BridgeNetwork(bed.runner, facts["network"], bridge=facts["bridge"], namespace=facts["namespace"])
    cloud = LocalCloud(
        SubprocessRunner(),
        SystemClock(),
        "c1",
        "t",
        state_dir=str(bed.prefix / "joined"),
        worker_command=command,
        network=network,
    )
    (machine,) = cloud.launch("l1", RESOURCE, [NodeSpec("n1", NAME)])
    return cloud, machine


def until(
    scheduler: Scheduler, cloud: LocalCloud, machine: LaunchedInstance, holds: Callable[[SchedulerView], bool]
) -> None:
    for _ in range(120):
        view = scheduler.poll()
        if holds(view):
            return
        time.sleep(0.5)
    raise AssertionError((view, cloud.console_tail(machine.instance_id)[-3000:]))


def found(view: SchedulerView) -> Host | None:
    return next((host for host in view.hosts if host.name == NAME), None)


def is_up(view: SchedulerView) -> bool:
    host = found(view)
    return host is not None and host.state is HostState.UP and "lane0" in host.features


def is_held(view: SchedulerView) -> bool:
    host = found(view)
    return host is not None and host.hold is not None and host.hold.ours


def works(bed: Bed, scheduler: Scheduler, cloud: LocalCloud, machine: LaunchedInstance) -> None:
    """The machine becomes a node, runs a job, and can be held."""
    scheduler.add(NAME, machine.address, RESOURCE)
    until(scheduler, cloud, machine, is_up)
    job_id = bed.submit(Order(script="hostname", name="try", lane="lane0"))

    def has_run(_view: SchedulerView) -> bool:
        left = [job for job in bed.jobs() if job.job_id == job_id and job.state is not JobState.COMPLETED]
        return not left and NAME in bed.output_of(job_id)

    until(scheduler, cloud, machine, has_run)
    scheduler.hold(NAME, MARK)
    until(scheduler, cloud, machine, is_held)
    cloud.terminate([machine.instance_id])


def test_slurm(slurm: slurm_bed.SlurmBed) -> None:
    words = (str(slurm.prefix / "bin/machine"), "/bin/sh", str(JOIN / "slurm"), "foreground=yes")
    scheduler = slurm.scheduler("c1")
    scheduler.declare([RESOURCE])
    cloud, machine = boot(slurm, (*words, f"slurm_conf={slurm.facts['slurm_conf']}"))
    works(slurm, scheduler, cloud, machine)


BARE_MACHINE = """\
for place in /run/munge /etc/munge /var/log/munge /var/lib/munge; do
    mkdir -p $place
    mount -t tmpfs -o mode=755 tmpfs $place
done
unset SLURM_CONF
exec /bin/sh "$1" foreground=yes "head=$2" "munge_key_file=$3"
"""


def test_slurm_on_a_machine_without_files(tmp_path: Path) -> None:
    """All it is given is the address of slurmctld and a reference to the key; a munged of its own vouches for it."""
    if reason := slurm_bed.why_not():
        pytest.skip(reason)
    part = tmp_path / "part"
    part.write_text("SlurmctldParameters=enable_configless\nPartitionName=all Nodes=ALL MaxTime=1-00:00:00 State=UP\n")
    with slurm_bed.slurm_bed("10.77.61.0/24", "--part", str(part)) as slurm:
        scheduler = slurm.scheduler("c1")
        scheduler.declare([RESOURCE])
        key = str(slurm.prefix / "munge/key")
        cloud, machine = boot(
            slurm, ("/bin/sh", "-c", BARE_MACHINE, "machine", str(JOIN / "slurm"), "10.77.61.1:6817", key)
        )
        works(slurm, scheduler, cloud, machine)


SGE_MACHINE = """\
mount --bind "$1/etc" /etc
ip route replace "$(sed -n 's/^\\([0-9.]*\\)[[:space:]].*head.*/\\1/p' /etc/hosts | head -n 1)" dev eth0
exec /bin/sh "$2" foreground=yes restart_s=0.5 sge_execd=/usr/sbin/sge_execd "sge_root=$1/root"
"""


def test_grid_engine(sge: sge_bed.SgeBed) -> None:
    scheduler = sge.scheduler("c1")
    scheduler.declare([RESOURCE])
    cloud, machine = boot(sge, ("/bin/sh", "-c", SGE_MACHINE, "machine", str(sge.prefix), str(JOIN / "sge")))
    sge.names("c1").add(NAME, machine.address)
    works(sge, scheduler, cloud, machine)


HTCONDOR_MACHINE = """\
set -eu
prefix=$1 name=$2 address=$3 place=$1/workers/$2
mkdir -p "$place/upper/root" "$place/work" "$place/root"
cp -a "$prefix/worker/etc" "$place/upper/etc"
etc=$place/upper/etc
mv "$etc/condor/tokens.d/join" "$etc/condor/passwords.d/DYNAMICCLUSTER" "$place/upper/root/"
grep INTERVAL "$etc/condor/config.d/50-testbed.config" >"$etc/condor/config.d/10-times.config"
rm "$etc/condor/config.d/50-testbed.config"
printf '127.0.0.1 localhost\\n%s %s.dc.test %s\\n' "$address" "$name" "$name" >"$etc/hosts"
cat >"$place/upper/root/join.conf" <<END
head=head.dc.test
host=10.79.60.1 head.dc.test head
domain=dc.test
token_file=/root/join
hold_key_command=cat /root/DYNAMICCLUSTER
foreground=yes
END
mkdir "$place/upper/join"
cp "$4"/* "$place/upper/join/"
set -- "cores=$5" "memory_mib=$6" "features=$7"
exec "$prefix/bin/machine" "$place" /bin/sh /join/htcondor --conf /root/join.conf "$@"
"""


def test_htcondor(htcondor: htcondor_bed.HtcondorBed) -> None:
    values = (str(htcondor.prefix), "{name}", "{address}", str(JOIN), "{cores}", "{memory_mib}", "{features}")
    scheduler = htcondor.scheduler("c1")
    scheduler.declare([RESOURCE])
    cloud, machine = boot(htcondor, ("/bin/sh", "-c", HTCONDOR_MACHINE, "machine", *values))
    htcondor.names("c1").add(NAME, machine.address)
    works(htcondor, scheduler, cloud, machine)
    place = htcondor.prefix / "workers" / NAME / "upper/etc/condor"
    for secret in ("tokens.d/dynamiccluster-join", "passwords.d/DYNAMICCLUSTER"):
        assert (place / secret).stat().st_mode & 0o777 == 0o600
