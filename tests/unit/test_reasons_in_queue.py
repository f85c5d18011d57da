"""Reasons told to the queue: only ours, only what has changed, and never many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from builders import NOW, job, jobs, picture, plan, policy, resource, running, shape
from fake_slurm import FakeSlurm
from slurm_lines import DEFAULTS
from test_slurm_adapter import adapter

from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import BadConfigError
from dynamiccluster.model.job import Job, JobState, Wait
from dynamiccluster.plugins.reasons import LONGEST, MOST_JOBS, MOST_NAMED, MOST_WRITES, ReasonsInQueue, reasons_in_queue
from dynamiccluster.schedulers.slurm.jobs_parse import output_format

MARK = "dynamiccluster:c1: "
RULES = policy(resource("r", 4, max_nodes=1))


class Queue:
    """What the scheduler was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, tuple[str, ...]]] = []

    def tell_reason(self, text: str, job_ids: Sequence[str]) -> None:
        self.told.append((text, tuple(job_ids)))

    @property
    def comments(self) -> dict[str, str]:
        return {job_id: text for text, job_ids in self.told for job_id in job_ids}


def seen(*listed: Job, at: float = NOW - 2) -> ReadModel:
    """What plug-ins see after a decision about these jobs."""
    snapshot = picture(jobs=listed)
    assert snapshot.scheduler is not None
    snapshot = replace(snapshot, scheduler=replace(snapshot.scheduler, started_at=at))
    return ReadModel(at=NOW, snapshot=snapshot, policy=RULES, demand=plan(snapshot, RULES).demand)


def told(*listed: Job) -> Queue:
    queue = Queue()
    ReasonsInQueue(queue, MARK, 10).observe(seen(*listed))
    return queue


def test_every_waiting_job_is_told_its_reason() -> None:
    queue = told(
        job("1", shape(4)),
        job("2", shape(4)),
        job("3", shape(64)),
        job("4", wait=Wait.NO, reason="JobHeldUser"),
        running("5", "h1"),
        job("6", state=JobState.DONE),
    )
    assert queue.comments == {
        "1": f"{MARK}nodes are being launched for it",
        "2": f"{MARK}waits because of a limit: r has its maximum number of nodes",
        "3": f"{MARK}can never run here: no resource and no host can hold it",
        "4": f"{MARK}waits for something that more nodes do not give: JobHeldUser",
    }


def test_only_what_has_changed_is_written() -> None:
    same = f"{MARK}nodes are being launched for it"
    assert told(job("1", shape(4), comment=same)).told == []
    assert told(job("1", shape(4), comment=f"{MARK}something else")).comments == {"1": same}


def test_the_comment_of_somebody_else_is_left_alone() -> None:
    texts = ["see ticket 7", "dynamiccluster:other: waits", "dynamiccluster:c1"]
    assert told(*(job(str(at), shape(4), comment=text) for at, text in enumerate(texts))).told == []
    assert told(running("1", "h", comment="see ticket 7")).told == []


def test_the_text_goes_when_the_job_starts() -> None:
    ours = f"{MARK}waits"
    queue = told(
        running("1", "h1", comment=ours),
        job("2", shape(4), tasks=5, running_tasks=1, comment=ours),  # its array has begun
        job("3", shape(4), tasks=5, running_tasks=1),
    )
    assert queue.told == [("", ("1", "2"))]


def test_a_job_that_has_just_come_is_not_bothered() -> None:
    assert told(job("1", shape(4), submitted_at=NOW - 9)).told == []
    assert told(job("1", shape(4), submitted_at=NOW - 11)).comments.keys() == {"1"}


def test_the_same_view_is_not_written_twice() -> None:
    queue = Queue()
    plugin = ReasonsInQueue(queue, MARK, 10)
    plugin.observe(seen(job("1", shape(4))))
    plugin.observe(seen(job("1", shape(4))))
    assert len(queue.told) == 1
    plugin.observe(seen(job("1", shape(4)), at=NOW - 1))
    assert len(queue.told) == 2


def test_equal_texts_go_together_and_one_look_writes_little() -> None:
    queue = told(*jobs(3 * MOST_NAMED, shape(4)))
    assert [len(job_ids) for _, job_ids in queue.told] == [MOST_NAMED, MOST_NAMED, MOST_NAMED - 1, 1]
    different = told(*(job(str(at), wait=Wait.NO, reason=f"reason {at}") for at in range(20)))
    assert len(different.told) == MOST_WRITES


def test_a_long_queue_is_told_little_by_little() -> None:
    queue = Queue()
    plugin = ReasonsInQueue(queue, MARK, 10)
    listed = [job(str(at), wait=Wait.NO, reason="JobHeldUser") for at in range(MOST_JOBS + 500)]
    looks = 0
    while any(not one.comment for one in listed):
        plugin.observe(seen(*listed, at=NOW - 100 + looks))
        assert sum(len(job_ids) for _, job_ids in queue.told) <= MOST_WRITES * MOST_NAMED
        listed = [replace(one, comment=queue.comments.get(one.job_id, one.comment)) for one in listed]
        queue.told.clear()
        looks += 1
        assert looks < 20


def test_texts_are_one_short_line() -> None:
    queue = told(job("1", wait=Wait.NO, reason="a\nb\x1b[31m\tc " + "d" * 500))
    (text,) = queue.comments.values()
    assert text.isprintable()
    assert len(text) == LONGEST
    assert "a b [31m c dd" in text


def test_only_where_the_site_wants_it_and_the_scheduler_can() -> None:
    assert reasons_in_queue(Queue(), False, "c1", 10) == {}
    assert reasons_in_queue(object(), True, "c1", 10) == {}
    (plugin,) = reasons_in_queue(Queue(), True, "c1", 0.2).values()
    assert plugin.interval_s == 1.0


def test_slurm_reads_and_writes_admin_comments() -> None:
    slurm = FakeSlurm()
    token = "~7~"
    values = {**DEFAULTS, "admin_comment": "of ours"}
    words = (word.partition(":") for word in output_format(token, comments=True).split(","))
    slurm.jobs = "".join(values[name] + separator for name, _, separator in words) + "\n"
    scheduler = adapter(slurm, comments=True)
    assert [one.comment for one in scheduler.poll().jobs] == ["of ours"]
    scheduler.tell_reason('it "waits" | for\'s sake', ["7", "8+1", "9_[1-3]", "9_[5]"])
    assert slurm.changes()[-1] == ("scontrol", "update", 'admincomment=it "waits" | for\'s sake', "jobid=7,8+1,9")
    with pytest.raises(BadConfigError):
        scheduler.tell_reason("x", ["7 state=down"])
