"""Resource quotas as ``qquota -xml`` prints them, and the jobs that wait for one."""

from __future__ import annotations

import contextlib
import random

import pytest
from sge_recorded import recorded, site

from dynamiccluster.model.job import Job, JobState, Shape, Wait
from dynamiccluster.schedulers.sge.jobs_parse import Queue
from dynamiccluster.schedulers.sge.quotas_parse import Quota, parse_quotas
from dynamiccluster.schedulers.sge.request_parse import Asked, Request
from dynamiccluster.schedulers.sge.shared_parse import lower_unserved

HEAD = "<?xml version='1.0'?>\n<qquota_result xmlns=\"x\">\n"
SHAPE = Shape(queues=("main",))
RULE = " <qquota_rule name='{name}'>\n{scopes}   <limit {limit}/>\n </qquota_rule>\n"


def listed(scopes: str = "", limit: str = "resource='slots' limit='4' value='1'", name: str = "set/1") -> str:
    return HEAD + RULE.format(name=name, scopes=scopes, limit=limit) + "</qquota_result>\n"


def one(text: str) -> Quota:
    (found,) = parse_quotas(text)
    return found


def test_the_recording() -> None:
    assert parse_quotas(recorded("qquota.xml")) == (
        Quota("peruser/1", "slots", 0, users=("bob",)),
        Quota("peruser/1", "slots", 0, users=("alice",)),
        Quota("perproject/1", "slots", 1, projects=("physics",), queues=("main", "long")),
    )  # that of a single host is none of ours


@pytest.mark.parametrize(
    ("limit", "left"),
    [
        ("resource='slots' limit='4' value='1'", 3),
        ("resource='h_vmem' limit='8G' value='1024.000M'", 7168),
        ('resource="lic" limit="2.5" value="0"', 2.5),
        ("resource='slots' limit='2' value='3'", -1),  # lowered since
    ],
)
def test_what_is_left(limit: str, left: float) -> None:
    assert one(listed(limit=limit)).left == left


def test_several_limits_of_one_rule() -> None:
    text = listed(limit="resource='slots' limit='4' value='1'/>\n   <limit resource='lic' limit='3' value='1'")
    assert [(quota.resource, quota.left) for quota in parse_quotas(text)] == [("slots", 3), ("lic", 2)]


@pytest.mark.parametrize(
    "scope", ["<hosts>n1</hosts>", "<users>@staff</users>", "<queues>!long</queues>", "<new>x</new>"]
)
def test_what_cannot_be_matched_is_left_out(scope: str) -> None:
    assert parse_quotas(listed(scopes=f"   {scope}\n")) == ()


@pytest.mark.parametrize(
    ("quota", "bound"),
    [
        (Quota("q", "slots", 0), True),
        (Quota("q", "slots", 0, users=("alice",)), True),
        (Quota("q", "slots", 0, users=("*",)), True),
        (Quota("q", "slots", 0, users=("bob", "carol")), False),
        (Quota("q", "slots", 0, projects=("physics",)), True),
        (Quota("q", "slots", 0, projects=("chemistry",)), False),
        (Quota("q", "slots", 0, environments=("smp",)), False),
        (Quota("q", "slots", 0, environments=("*",)), False),  # any, but one
        (Quota("q", "slots", 0, queues=("main", "long")), True),
        (Quota("q", "slots", 0, queues=("main",)), False),  # it may run in long, too
    ],
)
def test_whom_a_quota_binds(quota: Quota, bound: bool) -> None:
    assert quota.binds("alice", "physics", ("main", "long"), "") is bound


def test_a_job_of_no_known_queue_is_not_bound_by_a_queues_quota() -> None:
    assert not Quota("q", "slots", 0, queues=("main",)).binds("alice", "", (), "")


def lowered(jobs: list[tuple[Job, Request]], *quotas: Quota) -> list[tuple[Wait, int]]:
    queue = Queue(tuple(job for job, _ in jobs), (), {at: request for at, (_, request) in enumerate(jobs)}, frozenset())
    return [(job.wait, job.throttle) for job in lower_unserved(queue, queue.jobs, site(), {}, quotas)]


def job(number: int, tasks: int = 1, user: str = "alice") -> Job:
    return Job(str(number), JobState.PENDING, SHAPE, user=user, priority=-number, tasks=tasks, wait=Wait.HELPS)


def test_what_is_left_is_given_out_in_order() -> None:
    two = Request(SHAPE, slots=2, asked=Asked())
    jobs = [(job(number), two) for number in (1, 2, 3)]
    quota = Quota("q", "slots", 4, users=("alice",))
    assert [wait for wait, _ in lowered(jobs, quota)] == [Wait.HELPS, Wait.HELPS, Wait.NO]
    assert [wait for wait, _ in lowered([*jobs, (job(4, user="bob"), two)], quota)][-1] is Wait.HELPS


def test_of_an_array_so_many_tasks_as_there_are_slots_for() -> None:
    assert lowered([(job(1, tasks=10), Request(SHAPE))], Quota("q", "slots", 3)) == [(Wait.HELPS, 3)]


def test_only_what_the_job_asks_for_counts() -> None:
    request = Request(SHAPE, draws=(("matlab", 2.0),))
    assert lowered([(job(1), request)], Quota("q", "matlab", 1)) == [(Wait.NO, 0)]
    assert lowered([(job(1), request)], Quota("q", "octave", 0)) == [(Wait.HELPS, 0)]
    environment = Request(SHAPE, draws=(("pe:smp", 4.0),), slots=4)
    assert lowered([(job(1), environment)], Quota("q", "slots", 3, environments=("smp",))) == [(Wait.NO, 0)]
    assert lowered([(job(1), environment)], Quota("q", "slots", 3, environments=("mpi",))) == [(Wait.HELPS, 0)]


def test_a_cut_list_is_a_failure() -> None:
    text = recorded("qquota.xml")
    for bad in ("", text[:-20], "qquota: command not found", listed(limit="resource='slots' limit='x' value='1'")):
        with pytest.raises(ValueError):
            parse_quotas(bad)


def test_rubbish_raises_nothing_else() -> None:
    chance, text = random.Random(7), recorded("qquota.xml")
    for _ in range(500):
        letters = list(text)
        for _ in range(chance.randrange(1, 8)):
            letters[chance.randrange(len(letters))] = chance.choice("<>'/=& \n0Gx")
        with contextlib.suppress(ValueError):
            parse_quotas("".join(letters))
