"""The adapter on a small Grid Engine: what it asks for, in which order, and what it makes of the answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_sge import MARK, SMALL, FakeSge, changes
from sge_cluster import FakeHost

from dynamiccluster.errors import BadConfigError, BusyError, NotFoundError, TransientError
from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.host import Host
from dynamiccluster.model.job import Job
from dynamiccluster.model.resource import Reservation
from dynamiccluster.model.view import SchedulerView
from dynamiccluster.schedulers.sge.adapter import SgeScheduler


@pytest.fixture
def sge() -> FakeSge:
    return FakeSge()


@pytest.fixture
def scheduler(sge: FakeSge) -> SgeScheduler:
    made = sge.scheduler()
    made.declare([SMALL])
    sge.runner.calls.clear()
    return made


def join(sge: FakeSge, scheduler: SgeScheduler, name: str = "small-1") -> None:
    sge.known_names.add(name)
    sge.boot(name)
    scheduler.add(name, "10.0.0.5", SMALL)
    sge.pass_time(1)
    sge.runner.calls.clear()


def host(view: SchedulerView, name: str = "small-1") -> Host:
    return next(one for one in view.hosts if one.name == name)


def job(view: SchedulerView, job_id: str) -> Job:
    return next(one for one in view.jobs if one.job_id == job_id)


# -- declare -----------------------------------------------------------------------------------------------


def test_the_attribute_is_defined_once_and_nothing_else_is_touched(sge: FakeSge) -> None:
    before = [line for line in sge.complexes if not line.startswith("#")]
    sge.scheduler().declare([SMALL])
    assert sge.complexes == [*before, "dynamiccluster dynamiccluster STRING == NO NO NONE 0"]
    sge.runner.calls.clear()
    sge.scheduler("another").declare([SMALL])
    assert changes(sge) == []


def test_queues_without_a_host_that_stays_get_one_without_slots(sge: FakeSge) -> None:
    sge.scheduler().declare([SMALL, replace(SMALL, name="p", reservation=Reservation(account="physics"))])
    assert changes(sge) == [
        "qconf -Mc FILE",
        "qconf -Ae FILE",
        *(
            line
            for queue in ("long", "main", "physics")
            for line in (
                f"qconf -rattr queue slots 0 {queue}@sgemaster",
                f"qconf -aattr queue hostlist sgemaster {queue}",
            )
        ),
    ]
    view = sge.scheduler().poll()
    assert [(one.name, one.template) for one in view.hosts] == [("sgemaster", True)]


def test_a_host_of_the_site_is_enough(sge: FakeSge) -> None:
    sge.hosts["static1"] = FakeHost("static1", heard_at=1.0)
    sge.queues["main"].hosts.append("static1")
    sge.scheduler().declare([replace(SMALL, queues=frozenset({"main"}))])
    assert changes(sge) == ["qconf -Mc FILE"]


def test_the_host_of_the_queue_can_be_chosen(sge: FakeSge) -> None:
    sge.known_names.add("login1")
    sge.scheduler(placeholder_host="login1").declare([replace(SMALL, queues=frozenset({"main"}))])
    assert sge.queues["main"].hosts == ["login1"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"queues": frozenset({"nosuch"})}, "there is no queue nosuch"),
        ({"reservation": Reservation(queue="nosuch")}, "there is no queue nosuch"),
        ({"reservation": Reservation(account="nosuch")}, "no queue has the host group @nosuch"),
        ({"features": frozenset({"unheard"})}, "its feature unheard is no attribute of type BOOL"),
        ({"features": frozenset({"h_vmem"})}, "no attribute of type BOOL"),
        ({"capacity": Capacity(0, 100)}, "without cores"),
    ],
)
def test_what_the_site_does_not_have_is_said(sge: FakeSge, changed: dict[str, object], said: str) -> None:
    odd = replace(SMALL, name="odd", **changed)  # type: ignore[arg-type]  # as the parameters say
    with pytest.raises(BadConfigError, match=f"odd: .*{said}"):
        sge.scheduler().declare([odd, SMALL])
    assert sge.queues["main"].hosts == ["sgemaster"]  # the other one is declared all the same


def test_gpus_and_forced_attributes(sge: FakeSge) -> None:
    sge.complexes = [line for line in sge.complexes if not line.startswith("gpu")]
    with pytest.raises(BadConfigError, match="no attribute gpu"):
        sge.scheduler().declare([replace(SMALL, capacity=Capacity(4, 4000, 1))])
    sge.complexes.append("vip vip BOOL == FORCED NO 0 0")
    with pytest.raises(BadConfigError, match="vip is FORCED"):
        sge.scheduler().declare([replace(SMALL, features=frozenset({"vip"}))])
    sge.scheduler().declare([replace(SMALL, reservation=Reservation(property="vip"))])


# -- add ---------------------------------------------------------------------------------------------------


def test_a_host_may_report_in_only_when_all_else_is_there(sge: FakeSge, scheduler: SgeScheduler) -> None:
    sge.known_names.add("small-1")
    scheduler.add("small-1", "10.0.0.5", SMALL)
    assert changes(sge) == [
        "qconf -Ae FILE",
        "qconf -rattr queue slots 4 long@small-1",
        "qconf -rattr queue slots 4 main@small-1",
        "qconf -aattr hostgroup hostlist small-1 @allhosts",
        "qconf -ah small-1",
    ]
    assert sge.hosts["small-1"].values == {
        "slots": "4",
        "h_vmem": "4000M",
        "fast": "TRUE",
        "dynamiccluster": "4/4000/0/10.0.0.5",
    }


def test_adding_again_changes_nothing(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    before = dict(sge.hosts["small-1"].values)
    scheduler.add("small-1", "10.0.0.5", SMALL)
    assert changes(sge) == ["qconf -aattr hostgroup hostlist small-1 @allhosts", "qconf -ah small-1"]
    assert sge.hosts["small-1"].values == before


def test_other_attributes_are_corrected_and_a_hold_is_kept(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    scheduler.hold("small-1", MARK)
    scheduler.add("small-1", "10.0.0.6", replace(SMALL, capacity=Capacity(8, 9000)))
    assert sge.hosts["small-1"].values["slots"] == "8"
    assert sge.queues["main"].slots["small-1"] == 8
    found = scheduler.find("small-1")
    assert found is not None
    assert found.hold is not None
    assert (found.hold.mark, found.total.cores, found.address) == (MARK, 8, "10.0.0.6")


def test_a_daemon_that_was_faster_is_no_obstacle(sge: FakeSge, scheduler: SgeScheduler) -> None:
    sge.known_names.add("small-1")
    asked = iter((True, False))
    real = sge.runner.run

    def late(argv: tuple[str, ...], **more: object) -> Completed:
        if argv[1] == "-se" and next(asked, False):
            done = real(argv, **more)  # type: ignore[arg-type]  # passed on
            sge.hosts["small-1"] = FakeHost("small-1")
            return done
        return real(argv, **more)  # type: ignore[arg-type]  # as above

    sge.runner.run = late  # type: ignore[method-assign, assignment]  # a race that no rule of the fake can play
    scheduler.add("small-1", "10.0.0.5", SMALL)
    assert sge.hosts["small-1"].values["slots"] == "4"


def test_a_reserved_queue_gets_the_slots_and_the_others_none(sge: FakeSge, scheduler: SgeScheduler) -> None:
    sge.known_names.add("long-1")
    scheduler.add("long-1", "", replace(SMALL, reservation=Reservation(queue="long")))
    assert (sge.queues["long"].slots["long-1"], sge.queues["main"].slots["long-1"]) == (4, 0)
    found = scheduler.find("long-1")
    assert found is not None
    assert found.queues == {"long"}


def test_a_queue_that_no_group_leads_to_is_joined_directly(sge: FakeSge, scheduler: SgeScheduler) -> None:
    sge.known_names.add("x-1")
    scheduler.add("x-1", "", replace(SMALL, queues=frozenset({"physics"})))
    assert "qconf -aattr queue hostlist x-1 physics" in changes(sge)
    assert sge.queues["main"].slots["x-1"] == 0


@pytest.mark.parametrize("account", ["physics", "@physics"])
def test_a_node_for_an_account_joins_its_host_group_alone(sge: FakeSge, account: str) -> None:
    sge.known_names.add("p-1")
    resource = replace(SMALL, reservation=Reservation(account=account), features=frozenset())
    scheduler = sge.scheduler()
    scheduler.declare([resource])
    scheduler.add("p-1", "", resource)
    assert sge.groups == {"@allhosts": [], "@physics": ["p-1"]}
    sge.submit(queues=("physics",))
    sge.pass_time(1)
    calls = [argv for argv in sge.runner.argvs if argv[0].endswith("qstat")]
    scheduler.poll()
    asked = [argv for argv in sge.runner.argvs if argv[0].endswith("qstat")][len(calls) :]
    assert "-ext" in asked[0]  # else nothing tells the project


def test_a_feature_may_be_a_host_group(sge: FakeSge, scheduler: SgeScheduler) -> None:
    sge.groups["@big"] = []
    sge.known_names.add("b-1")
    scheduler.add("b-1", "", replace(SMALL, features=frozenset({"@big", "fast"})))
    assert sge.groups["@big"] == sge.groups["@allhosts"] == ["b-1"]
    assert "@big" not in sge.hosts["b-1"].values
    with pytest.raises(BadConfigError, match="there is no host group @nosuch"):
        scheduler.add("b-1", "", replace(SMALL, features=frozenset({"@nosuch"})))


def test_memory_that_would_kill_jobs_is_not_given(sge: FakeSge) -> None:
    sge.complexes = [line.replace("100M", "0") if line.startswith("h_vmem") else line for line in sge.complexes]
    sge.known_names |= {"small-1", "small-2"}
    scheduler = sge.scheduler()
    scheduler.declare([SMALL])
    scheduler.add("small-1", "", SMALL)
    assert "h_vmem" not in sge.hosts["small-1"].values
    sge.complexes = [
        line.replace(" YES  ", " FORCED ", 1) if line.startswith("h_vmem") else line for line in sge.complexes
    ]
    scheduler.declare([SMALL])
    scheduler.add("small-2", "", SMALL)
    assert sge.hosts["small-2"].values["h_vmem"] == "4000M"


def test_a_name_that_cannot_be_resolved_yet_is_tried_again(sge: FakeSge, scheduler: SgeScheduler) -> None:
    with pytest.raises(TransientError, match="resolve"):
        scheduler.add("small-1", "10.0.0.5", SMALL)
    for name, address in (("-x", ""), ("a b", ""), ("small-1", "here")):
        with pytest.raises(BadConfigError):
            scheduler.add(name, address, SMALL)


# -- hold and release --------------------------------------------------------------------------------------


def test_the_mark_is_there_before_the_host_is_closed_and_gone_after(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    scheduler.hold("small-1", MARK)
    assert changes(sge) == [
        f"qconf -mattr exechost complex_values dynamiccluster=4/4000/0/10.0.0.5/{MARK} small-1",
        "qmod -d *@small-1",
    ]
    sge.runner.calls.clear()
    scheduler.hold("small-1", MARK)
    assert changes(sge) == []
    scheduler.release("small-1", MARK)
    assert changes(sge) == [
        "qmod -e *@small-1",
        "qconf -mattr exechost complex_values dynamiccluster=4/4000/0/10.0.0.5 small-1",
    ]
    sge.runner.calls.clear()
    scheduler.release("small-1", MARK)
    assert changes(sge) == []


def test_a_mark_left_over_is_cleared(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    sge.hosts["small-1"].values["dynamiccluster"] += f"/{MARK}"
    assert host(scheduler.poll()).hold is None
    scheduler.release("small-1", MARK)
    assert sge.hosts["small-1"].values["dynamiccluster"] == "4/4000/0/10.0.0.5"


def test_marks_of_others_and_none_at_all(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    sge.scheduler("c2").hold("small-1", "dynamiccluster:c2:n1")
    for call in (scheduler.hold, scheduler.release):
        with pytest.raises(BusyError, match="dynamiccluster:c2:n1"):
            call("small-1", MARK)
    found = host(scheduler.poll())
    assert found.hold is not None
    assert not found.hold.ours
    for mark in ("", "two words", "a/b", "x,y=z"):
        with pytest.raises(BadConfigError):
            scheduler.hold("small-1", mark)
    with pytest.raises(NotFoundError):
        scheduler.hold("sgemaster", MARK)  # it only stands for a queue


def test_a_hold_that_does_not_take_is_no_success(sge: FakeSge, scheduler: SgeScheduler) -> None:
    join(sge, scheduler)
    sge.runner.on(["qmod", "-d"], "")
    with pytest.raises(TransientError, match="not disabled in all of its queues"):
        scheduler.hold("small-1", MARK)


def test_a_host_of_the_site_can_be_held_too(sge: FakeSge, scheduler: SgeScheduler) -> None:
    sge.hosts["static1"] = FakeHost("static1", heard_at=sge.clock.now(), alive=True)
    sge.queues["main"].hosts.append("static1")
    scheduler.hold("static1", MARK)
    found = scheduler.find("static1")
    assert found is not None
    assert found.hold is not None
    assert found.hold.mark == MARK
    assert found.total.memory_mib == 24064  # still what the list says


def test_a_host_in_no_queue_can_be_held(sge: FakeSge, scheduler: SgeScheduler) -> None:
    sge.hosts["lonely"] = FakeHost("lonely", heard_at=sge.clock.now())
    scheduler.hold("lonely", MARK)
    scheduler.release("lonely", MARK)
    found = scheduler.find("lonely")
    assert found is not None
    assert found.hold is None
