"""Jobs of every shape on a cluster that begins empty: all that can run has run, and the rest is explained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dynamiccluster.testing.bed import Bed, JobState, Order
from rounds.service import Service, kind, most_at_once, until_declared


@dataclass
class Queue:
    """What was submitted: names by id."""

    runs: dict[str, str] = field(default_factory=dict)
    stays: dict[str, str] = field(default_factory=dict)

    def id_of(self, name: str) -> str:
        """The id of the job of this name; "" if the scheduler has no such jobs."""
        return next((job_id for job_id, known in {**self.runs, **self.stays}.items() if known == name), "")


def resources(bed: Bed, least: int) -> dict[str, dict[str, Any]]:
    """``least``: that many nodes of the first are always there."""
    small, big = kind(4, 4000, 4, least, priority=1), kind(8, 16000, 2, priority=2)
    return bed.special_resources({"small": small, "big": big})


def submit_all(bed: Bed) -> Queue:
    """Twenty jobs or so; fewer where the scheduler has no notion of a shape."""
    queue = Queue()

    def submit(name: str, order: Order, needs: str = "", stays: bool = False) -> str:
        if needs in bed.cannot:
            return ""
        job_id = bed.submit(order)
        (queue.stays if stays else queue.runs)[job_id] = name
        return job_id

    submit("serial", Order("hostname", name="serial"))
    submit("threads", Order("sleep 2", cores=2))
    submit("all-cores", Order("echo ran", cores=4))
    submit("multi", Order("echo ran", nodes=2, cores=2), "nodes")
    submit("multi3", Order("echo ran", nodes=3), "nodes")
    submit("memory", Order("hostname", memory_mib=3500), "memory_mib")
    submit("large", Order("hostname", cores=8, memory_mib=12000), "memory_mib")
    submit("hostile", Order("hostname", name=bed.hostile_name))
    submit("array", Order("echo ran; sleep 1", array=6, at_once=2), "at_once" if "array" not in bed.cannot else "array")
    submit("array-of-any", Order("echo ran", array=4), "array")
    first = submit("first", Order("sleep 2"))
    submit("after", Order("hostname", after=first), "after")
    held = submit("held", Order("hostname", held=True), "held", stays=True)
    submit("after-held", Order("hostname", after=held), "after" if "held" not in bed.cannot else "held", stays=True)
    queue.runs |= bed.submit_special()
    return queue


def round_of_mixed_jobs(service: Service, least: int) -> str:
    """The whole round on a running service; what was measured, in one line.

    :raises AssertionError: a job did not run, ran twice, or was not explained; a node stayed; a limit was passed.
    """
    bed = service.bed
    until_declared(service)
    service.until(lambda: sum(host.up for host in service.hosts().values()) == least, 60, "the minimum is there")
    queue = submit_all(bed)
    with bed.impossible() as never:
        stays = {*queue.stays, never}
        took_s = service.until(lambda: service.waiting_or_running() == stays, 200, "all that can run has ended")
        over = {job_id: service.tasks(job_id) for job_id in queue.runs}
        wrong = {
            queue.runs[job_id]: [task.word for task in tasks]
            for job_id, tasks in over.items()
            if not tasks or any(task.state is not JobState.COMPLETED for task in tasks)
        }
        assert not wrong, (wrong, service.scene())
        assert {job_id for job_id, _ in service.seen} == {*queue.runs, *stays}
        _check_outputs(bed, service, queue)
        _check_answers(service, queue, never)

    def at_minimum() -> bool:
        there = (len(service.hosts()), len(service.living))
        return there == (least, least) and (least > 0 or not service.leftovers())

    shrank_s = service.until(at_minimum, bed.removal_limit_s, "back at its minimum")
    assert service.waiting_or_running() == set(queue.stays)
    most = {name: most_at_once(service.machines, name) for name in service.resources}
    limits = {name: one["quantity"]["max"] for name, one in service.resources.items()}
    assert all(0 < number <= limits[name] for name, number in most.items()), most
    assert not service.restarts
    waits_s = [round(wait_s) for wait_s in service.waits_s()]
    left_out = f"; left out: {', '.join(sorted(bed.cannot))}" if bed.cannot else ""
    return (
        f"{len(queue.runs)} jobs ended after {took_s:.0f} s, minimum {shrank_s:.0f} s later; waits {waits_s}; "
        f"most nodes {most}{left_out}"
    )


def _check_outputs(bed: Bed, service: Service, queue: Queue) -> None:
    for name, number in (("array", 6), ("array-of-any", 4)):
        if job_id := queue.id_of(name):
            assert bed.output_of(job_id) == "ran\n" * number, name
            assert len(service.tasks(job_id)) == number, service.tasks(job_id)
    for name, number in (("multi", 2), ("multi3", 3)):
        if job_id := queue.id_of(name):
            (job,) = service.tasks(job_id)
            assert len(set(job.hosts)) == number, job
            assert bed.output_of(job_id) == "ran\n", name


def _check_answers(service: Service, queue: Queue, never: str) -> None:
    """Every job that stays has an answer."""
    if held := queue.id_of("held"):
        assert service.bed.held_word in service.explain(held)["summary"]
    if after := queue.id_of("after-held"):
        assert service.explain(after)["summary"]
    answer = service.explain(never)
    assert "never" in answer["summary"], answer
    assert set(answer["refusals"]) == set(service.resources), answer
