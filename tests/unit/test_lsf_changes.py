"""What the LSF adapter tells hosts and jobs: a small LSF with the manners of the recorded OpenLava."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from fake_lsf import LSF, MARK, OPENLAVA, SMALL, FakeLsf, adapter

from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    BusyError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.model.host import HostState
from dynamiccluster.model.resource import Reservation
from dynamiccluster.schedulers.lsf.adapter import LsfSettings

LONG = replace(SMALL, name="long", reservation=Reservation("long", "", "big"))


# -- what a host is told ---------------------------------------------------------------------------------


def test_hold_and_release() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", jobs=1)
    scheduler = adapter(lsf)
    scheduler.hold("small-1", MARK)
    scheduler.hold("small-1", MARK)
    assert lsf.changes() == [("badmin", "hclose", "-C", MARK, "small-1")]
    (host,) = scheduler.poll().hosts
    assert host.hold is not None
    assert (host.hold.mark, host.hold.ours, host.state) == (MARK, True, HostState.UP)
    scheduler.release("small-1", MARK)
    scheduler.release("small-1", MARK)
    assert lsf.changes()[1:] == [("badmin", "hopen", "small-1")]


def test_the_hold_of_somebody_else_stays() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", status="closed_Adm", message="disk is dying")
    scheduler = adapter(lsf)
    with pytest.raises(BusyError, match="disk is dying"):
        scheduler.hold("small-1", MARK)
    with pytest.raises(BusyError, match="disk is dying"):
        scheduler.release("small-1", MARK)
    lsf.hosts["small-1"].message = ""
    with pytest.raises(BusyError, match="no comment"):
        scheduler.hold("small-1", MARK)
    assert not lsf.changes()


def test_a_full_host_is_not_held() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", status="closed_Full", jobs=4)
    scheduler = adapter(lsf)
    scheduler.hold("small-1", MARK)
    assert lsf.hosts["small-1"].message == MARK


def test_what_is_not_there_cannot_be_held() -> None:
    lsf = FakeLsf()
    lsf.host("other")
    with pytest.raises(NotFoundError):
        adapter(lsf).hold("small-9", MARK)
    with pytest.raises(NotFoundError):
        adapter(lsf, LsfSettings(placeholder_hosts=("other",))).hold("other", MARK)


@pytest.mark.parametrize("name", ["$(reboot)", "--help", "a b", "", "x" * 300, "a;b", "../x"])
def test_hostile_names_reach_no_command(name: str) -> None:
    lsf = FakeLsf()
    scheduler = adapter(lsf)
    calls: tuple[Callable[[], object], ...] = (
        lambda: scheduler.hold(name, MARK),
        lambda: scheduler.release(name, MARK),
        lambda: scheduler.add(name, "10.0.0.1", SMALL),
        lambda: scheduler.remove(name),
        lambda: scheduler.find(name),
        lambda: scheduler.vacate(name, ["1"]),
    )
    for call in calls:
        with pytest.raises(BadConfigError):
            call()
    assert not [argv for argv in lsf.runner.argvs if name and name in argv]
    with pytest.raises(BadConfigError):
        scheduler.hold("small-1", "two words")
    with pytest.raises(BadConfigError):
        scheduler.vacate("small-1", ["1; rm"])


def test_what_badmin_says_when_it_may_not() -> None:
    lsf = FakeLsf()
    lsf.host("small-1")
    lsf.complaints["hclose"] = 255, "Close <small-1> ...... Host control failed.: User permission denied\n"
    with pytest.raises(AuthError):
        adapter(lsf).hold("small-1", MARK)
    lsf.complaints["hclose"] = 0, "Close <small-1> ......\n"
    with pytest.raises(TransientError):
        adapter(lsf).hold("small-1", MARK)
    del lsf.complaints["hclose"]
    lsf.hang.add("hclose")
    with pytest.raises(UnknownOutcomeError):
        adapter(lsf).hold("small-1", MARK)


# -- joining and leaving ---------------------------------------------------------------------------------


def test_a_host_is_added_as_recorded() -> None:
    lsf = FakeLsf()
    lsf.queues = {"main": ""}
    scheduler = adapter(lsf, LsfSettings(host_resources=("cs",)))
    scheduler.add("small-1", "10.0.0.1", SMALL)
    added = ("lsaddhost", "-m", "IntelI5", "-t", "linux", "-f", "100", "-R", "cs fast", "-M", "4", "small-1")
    assert lsf.changes() == [added]
    found = scheduler.find("small-1")
    assert found is not None
    assert (found.state, found.address, found.total) == (HostState.JOINING, "10.0.0.1", SMALL.capacity)
    scheduler.add("small-1", "10.0.0.1", SMALL)
    assert lsf.programs().count("lsrmhost") == 0


def test_a_host_that_somebody_else_removes_is_gone() -> None:
    for version in (OPENLAVA, LSF):
        lsf = FakeLsf(version)
        scheduler = adapter(lsf)
        scheduler.add("small-1", "10.0.0.1", SMALL)
        lsf.host("small-1")
        assert [host.address for host in scheduler.poll().hosts] == ["10.0.0.1"]
        del lsf.hosts["small-1"]
        assert scheduler.poll().hosts == ()


def test_a_host_of_a_queue_gets_the_queues_resource() -> None:
    lsf = FakeLsf()
    scheduler = adapter(lsf)
    scheduler.add("a", "", LONG)
    scheduler.add("b", "", SMALL)
    scheduler.add("c", "", replace(SMALL, queues=frozenset({"main"})))
    assert [host.words for host in lsf.hosts.values()] == [
        ["big", "fast", "queue_long"],
        ["fast", "queue_long"],
        ["fast"],
    ]
    lsf.hosts["c"].in_batch = True
    lsf.hosts["c"].cores = 4
    host = next(host for host in scheduler.poll().hosts if host.name == "c")
    assert host.queues == {"main"}


def test_a_host_left_over_with_other_words_is_put_right() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", words=["big"], status="unavail", load="unavail")
    adapter(lsf).add("small-1", "10.0.0.1", SMALL)
    assert [argv[0] for argv in lsf.changes()] == ["lsaddhost", "lsrmhost", "lsaddhost"]
    for changes in ({"status": "ok"}, {"jobs": 1}):
        works = FakeLsf()
        works.host("small-1", **({"words": ["big"], "status": "unavail"} | changes))
        adapter(works).add("small-1", "10.0.0.1", SMALL)
        assert [argv[0] for argv in works.changes()] == ["lsaddhost"]


def test_names_must_be_resolvable() -> None:
    lsf = FakeLsf()
    lsf.names = set()
    with pytest.raises(TransientError, match="resolvable"):
        adapter(lsf).add("small-1", "10.0.0.1", SMALL)


def test_an_early_lsaddhost_has_no_option_for_slots() -> None:
    lsf = FakeLsf()
    lsf.no_slots_option = True
    scheduler = adapter(lsf)
    scheduler.add("a", "", SMALL)
    scheduler.add("b", "", SMALL)
    assert ["-M" in argv for argv in lsf.changes()] == [True, False, False]


def test_an_empty_host_is_closed_and_removed() -> None:
    lsf = FakeLsf()
    lsf.host("small-1")
    scheduler = adapter(lsf)
    scheduler.remove("small-1")
    assert [argv[:2] for argv in lsf.changes()] == [("badmin", "hclose"), ("lsrmhost", "small-1")]
    assert scheduler.poll().hosts == ()  # though mbatchd lists it until its next look
    scheduler.remove("small-1")
    assert len(lsf.changes()) == 2


def test_a_busy_host_is_not_removed() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", jobs=1)
    with pytest.raises(BusyError):
        adapter(lsf).remove("small-1")
    assert not lsf.changes()


def test_a_job_that_is_quicker_keeps_its_host() -> None:
    lsf = FakeLsf()
    lsf.host("small-1")
    lsf.sneaky = "small-1"
    with pytest.raises(BusyError):
        adapter(lsf).remove("small-1")
    assert [argv[:2] for argv in lsf.changes()] == [("badmin", "hclose"), ("badmin", "hopen")]
    assert lsf.hosts["small-1"].in_lim


def test_a_host_that_cannot_be_seen_is_not_removed() -> None:
    lsf = FakeLsf()
    lsf.host("small-1", jobs=1, slots="?")  # its own record is the odd one
    lsf.host("other")
    with pytest.raises(TransientError, match="cannot be seen"):
        adapter(lsf).remove("small-1")
    assert not lsf.changes()


def test_static_hosts_stay() -> None:
    lsf = FakeLsf()
    lsf.host("cn01", static=True)
    with pytest.raises(BadConfigError, match=r"lsf\.cluster"):
        adapter(lsf).remove("cn01")
    lsf.names = set()
    lsf.hosts["cn01"].static = False
    with pytest.raises(BadConfigError, match="resolve"):
        adapter(lsf).remove("cn01")


def test_lsf_hosts_join_and_expire_by_themselves() -> None:
    lsf = FakeLsf(LSF)
    scheduler = adapter(lsf)
    scheduler.add("small-1", "10.0.0.1", SMALL)
    assert not lsf.changes()
    (host,) = scheduler.poll().hosts
    assert (host.name, host.state, host.total) == ("small-1", HostState.JOINING, SMALL.capacity)
    lsf.host("small-1", status="closed_Adm", message=MARK)
    scheduler.remove("small-1")
    assert lsf.changes() == [("lsadmin", "expire", "small-1")]
    assert scheduler.poll().hosts == ()
    old = FakeLsf(LSF)
    old.host("small-1", status="closed_Adm", message=MARK)
    old.complaints["expire"] = 255, "lsadmin: Unknown command expire\n"
    adapter(old).remove("small-1")  # it stays closed until LSF_DYNAMIC_HOST_TIMEOUT


# -- jobs ------------------------------------------------------------------------------------------------


def test_only_jobs_that_are_still_there_are_requeued() -> None:
    lsf = FakeLsf()
    lsf.places = {"1": "small-1:small-1", "2": "other", "3": "-", "5[2]": "4*small-1"}
    scheduler = adapter(lsf)
    scheduler.vacate("small-1", ["1", "2", "3", "4", "5[2]", "999"])
    assert lsf.told == [("brequeue", "1", "5[2]")]
    scheduler.vacate("small-1", [])
    assert len(lsf.told) == 1


def test_a_job_that_ends_meanwhile_is_success() -> None:
    lsf = FakeLsf()
    lsf.places = {"1": "small-1"}
    lsf.complaints["brequeue"] = 255, "Job <1> : Job has already finished\n"
    adapter(lsf).vacate("small-1", ["1"])
    lsf.complaints["brequeue"] = 255, "Job <1> : User permission denied\n"
    with pytest.raises(AuthError):
        adapter(lsf).vacate("small-1", ["1"])


def test_jobs_of_a_dead_host_go_back_to_the_queue() -> None:
    lsf = FakeLsf()
    lsf.places = {"1": "small-1", "2": "small-1"}
    lsf.stubborn = {"2"}
    adapter(lsf).evacuate("small-1", ["1", "2", "7"], delete_jobs=False)
    assert lsf.told == [("brequeue", "1", "2"), ("bkill", "-r", "2"), ("brequeue", "-e", "2")]


def test_a_host_that_is_silent_cannot_be_vacated() -> None:
    lsf = FakeLsf()
    lsf.places = {"2": "small-1"}
    lsf.stubborn = {"2"}
    with pytest.raises(TransientError, match="not responding"):
        adapter(lsf).vacate("small-1", ["2"])


def test_jobs_of_a_dead_host_are_deleted() -> None:
    lsf = FakeLsf()
    lsf.places = {"1": "small-1", "2": "small-1"}
    lsf.stubborn = {"2"}
    adapter(lsf).evacuate("small-1", ["1", "2"], delete_jobs=True)
    assert lsf.told == [("bkill", "1", "2"), ("bkill", "-r", "2")]


def test_lsf_gives_up_on_no_job() -> None:
    lsf = FakeLsf()
    adapter(lsf).unstick(["1"])
    assert not lsf.runner.calls
