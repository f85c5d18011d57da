"""What only a real Grid Engine can show: the guide's commands, accounts, errors, restarts, who is left in its lists."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import pytest
from fake_sge import GUIDE

from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.config.load import load
from dynamiccluster.errors import DynamicClusterError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import HostState
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.model.resource import Reservation, Resource
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.schedulers.registry import build_scheduler
from dynamiccluster.testing.sge_bed import SgeBed, sge_bed, why_not

pytestmark = [pytest.mark.system, pytest.mark.timeout(240), pytest.mark.xdist_group("sge-site")]
CLUSTER = "site"
SMALL = Resource("small", "local", "local", Capacity(4, 4000), max_nodes=2, name_prefix="small")
MARK = f"dynamiccluster:{CLUSTER}:n1"


@pytest.fixture(scope="module")
def bed() -> Iterator[SgeBed]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with sge_bed("10.78.7.0/24") as made:
        yield made


class Site:
    """Machines under names of their own, and what is known of them."""

    def __init__(self, bed: SgeBed, scheduler: Scheduler) -> None:
        self.bed = bed
        self.scheduler = scheduler
        self.names = bed.names(CLUSTER)
        self.machines: dict[str, tuple[LocalCloud, LaunchedInstance]] = {}

    def join(self, name: str, resource: Resource = SMALL) -> None:
        cloud = self.bed.cloud(CLUSTER)
        (machine,) = cloud.launch(f"l-{name}", resource, [NodeSpec(f"n-{name}", name)])
        self.machines[name] = (cloud, machine)
        self.names.add(name, machine.address)
        self.scheduler.add(name, machine.address, resource)
        self.until(lambda view: any(host.name == name and host.state is HostState.UP for host in view.hosts))

    def until(self, holds: Callable[[SchedulerView], bool], limit_s: float = 60) -> SchedulerView:
        end = time.monotonic() + limit_s
        while not holds(view := self.scheduler.poll()):
            assert time.monotonic() < end, view
            time.sleep(0.5)
        return view

    def leave(self, name: str) -> None:
        cloud, machine = self.machines.pop(name)
        cloud.terminate([machine.instance_id])
        host = self.scheduler.find(name)
        if host is not None:
            self.scheduler.evacuate(name, host.jobs, delete_jobs=True)
        self.scheduler.remove(name)
        self.names.remove(name)

    def mentions(self, name: str) -> list[str]:
        """Every list of Grid Engine's that has the name."""
        lists = (
            ("-sel",),
            ("-sh",),
            ("-ss",),
            ("-sconfl",),
            ("-shgrp", "@allhosts"),
            ("-shgrp", "@physics"),
            ("-sq", "*"),
        )
        found = []
        for words in lists:
            done = self.bed.runner.run((self.bed.program("qconf"), *words), timeout_s=30)
            if name in done.stdout:
                found.append(" ".join(words))
        if name in self.bed.run("qhost", "-q"):
            found.append("qhost")
        return found


@contextlib.contextmanager
def made(bed: SgeBed, scheduler: Scheduler) -> Iterator[Site]:
    site = Site(bed, scheduler)
    try:
        yield site
    finally:
        bed.cancel("-u", "*")
        for name in list(site.machines):
            site.leave(name)


@pytest.fixture
def site(bed: SgeBed) -> Iterator[Site]:
    scheduler = bed.scheduler(CLUSTER)
    scheduler.declare([SMALL])
    with made(bed, scheduler) as one:
        yield one


def job(view: SchedulerView, job_id: str) -> Job:
    return next(one for one in view.jobs if one.job_id.partition(".")[0] == job_id)


def runs(job_id: str) -> Callable[[SchedulerView], bool]:
    return lambda view: any(one.job_id == job_id and one.state is JobState.RUNNING for one in view.jobs)


def test_the_guides_configuration_works_as_it_is_printed(
    bed: SgeBed, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"    {key.name}_command: {getattr(GUIDE, key.name)}" for key in fields(GUIDE)]
    text = "\n".join(["cluster:", "  type: sge", "  config:", "    queue_to_monitor:", "      - main", *lines])
    file = tmp_path / "dynamiccluster.yaml"
    file.write_text(
        f"{text}\ncloud:\n  x:\n    type: simulated\n    quantity: {{max: 1}}\n    capacity: {{cores: 1}}\n"
    )
    monkeypatch.setenv("PATH", f"{bed.facts['commands']}:{os.environ['PATH']}")
    config = load(str(file)).settings.cluster.config.model_dump()
    scheduler = build_scheduler("sge", config, cluster_id=CLUSTER, runner=SubprocessRunner(), clock=SystemClock())
    scheduler.declare([SMALL])
    with made(bed, scheduler) as site:
        waiting = bed.qsub("-q", "main", "-pe", "smp", "2", script="sleep 60")
        site.until(lambda view: job(view, waiting).wait is Wait.HELPS)  # of alice, seen by root
        site.join("guide-1")
        site.until(runs(waiting))
        scheduler.hold("guide-1", MARK)
        scheduler.vacate("guide-1", [waiting])
        scheduler.remove("guide-1")
        assert site.mentions("guide-1") == []


@pytest.mark.parametrize("dead", [False, True])
def test_no_list_has_a_host_that_has_left(site: Site, dead: bool) -> None:
    name = f"list-{dead:d}"
    site.join(name, replace(SMALL, queues=frozenset({"main", "physics"})))
    site.bed.run("qconf", "-as", name)  # as an image of the site's might do by itself
    site.bed.run("qconf", "-rattr", "queue", "prolog", "/bin/true", f"main@{name}")
    assert len(site.mentions(name)) >= 5
    if dead:
        running = site.bed.qsub("-q", "main", "-r", "n", script="sleep 300")
        site.until(runs(running))
        site.leave(name)
    else:
        site.scheduler.hold(name, MARK)
        site.scheduler.remove(name)
        time.sleep(3)  # its daemon has been started again by its machine, and may not come back
    assert site.mentions(name) == []


def test_accounts_are_what_a_says(bed: SgeBed) -> None:
    resource = replace(SMALL, reservation=Reservation(account="physics"))
    scheduler = bed.scheduler(CLUSTER, account_from="account")
    scheduler.declare([resource])
    with made(bed, scheduler) as site:
        theirs = bed.qsub("-P", "physics", "-q", "physics", "-A", "chemistry", script="true")
        ours = bed.qsub("-P", "physics", "-q", "physics", "-A", "physics", script="sleep 60")
        view = site.until(lambda view: job(view, ours).wait is Wait.HELPS)
        assert (job(view, theirs).shape.account, job(view, ours).shape.account) == ("chemistry", "physics")
        site.join("acct-1", resource)
        site.until(lambda view: not any(one.wait is Wait.HELPS for one in view.jobs))


def test_jobs_beyond_a_quota_get_no_nodes(bed: SgeBed, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "quota"
    file.write_text(
        "{\n  name peruser\n  description NONE\n  enabled TRUE\n  limit name each users {*} to slots=2\n"
        "  limit name lic users {alice} projects physics queues physics to slots=1\n}\n"
    )
    tmp_path.chmod(0o755)
    bed.run("qconf", "-Arqs", str(file))
    try:
        scheduler = bed.scheduler(CLUSTER)  # one that has not read the site's configuration before
        scheduler.declare([SMALL])
        with made(bed, scheduler) as site:
            site.join("quota-1")
            running = bed.qsub("-q", "main", "-pe", "smp", "2", script="sleep 300")
            site.until(runs(running))
            more = bed.qsub("-q", "main", script="true")
            others = bed.qsub("-q", "main", "-pe", "smp", "4", user="bob", script="true")
            view = site.until(lambda view: "quota" in job(view, more).reason)
            assert job(view, more).wait is Wait.NO
            assert "slots under the quota peruser/each" in job(view, more).reason
            assert job(view, others).wait is Wait.HELPS  # has used nothing yet: cannot be seen
            assert view.stale_facets == ()
    finally:
        bed.run("qconf", "-drqs", "peruser")


def test_a_host_in_error_is_down_and_a_job_in_error_waits_for_its_user(site: Site) -> None:
    site.join("err-1")
    bad = site.bed.qsub("-q", "main", "-wd", "/no/such/place", script="true")
    view = site.until(lambda view: "in error" in job(view, bad).reason)
    assert job(view, bad).wait is Wait.NO
    for queue in ("main", "long"):
        site.bed.run("qconf", "-rattr", "queue", "prolog", "/bin/false", f"{queue}@err-1")
    site.bed.qsub("-q", "main", script="true")
    site.bed.qsub("-q", "long", script="true")
    view = site.until(lambda view: next(one for one in view.hosts if one.name == "err-1").state is HostState.DOWN)
    assert "in error" in next(one for one in view.hosts if one.name == "err-1").detail


def test_a_hold_outlives_a_restart_of_qmaster(site: Site) -> None:
    site.join("mark-1")
    site.scheduler.hold("mark-1", MARK)
    site.bed.stop_head()
    with pytest.raises(DynamicClusterError):
        site.scheduler.poll()
    site.bed.start_head()
    again = site.bed.scheduler(CLUSTER)
    host = again.find("mark-1")
    assert host is not None
    assert host.hold is not None
    assert (host.hold.mark, host.hold.ours) == (MARK, True)
    shown = next(one for one in again.poll().hosts if one.name == "mark-1")
    assert shown.state in (HostState.UP, HostState.UNKNOWN)  # out of reach perhaps, but not dead
    site.until(lambda view: next(one for one in view.hosts if one.name == "mark-1").state is HostState.UP, 90)


def test_verified_jobs_are_refused_where_no_node_is_yet(site: Site) -> None:
    with pytest.raises(DynamicClusterError, match="no suitable queues"):
        site.bed.qsub("-w", "e", "-q", "main", script="true")
    assert site.bed.qsub("-w", "n", "-q", "main", script="true")
