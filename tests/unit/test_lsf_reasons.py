"""LSF's words for states and pending reasons: every one of them, and what is made of several."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dynamiccluster.model.job import JobState, Wait
from dynamiccluster.schedulers.lsf.reasons import (
    HELD_STATES,
    STATES,
    WEIGHTS,
    Weight,
    plain_reason,
    reasons_in,
    wait_of,
    weight_of,
)

RECORDED = Path(__file__).parents[1] / "recorded" / "openlava"
PAGE = Path(__file__).parents[2] / "docs" / "schedulers" / "lsf.md"

DOCUMENTED_STATES = [
    *("PEND", "PSUSP", "RUN", "USUSP", "SSUSP", "DONE", "EXIT", "UNKWN", "WAIT", "ZOMBI"),
    *("POST_DONE", "POST_ERR", "PROV", "FWD_PEND"),
]

DOCUMENTED_REASONS = {
    Weight.BLOCKED: [
        "Job dependency condition not satisfied",
        "Dependency condition invalid or never satisfied",
        "Event is rejected by eeventd due to syntax error",
        "System is unable to schedule the job",
        "System is unable to schedule the job.",
        "Unable to access job file",
        "Unable to set job's environment variables",
        "Unable to determine job's home/working directories",
        "Unable to open job's I/O buffers",
        "Job execution initialization failed",
        "Unable to copy restarting job's checkpoint files",
        "Checkpoint directory is invalid",
        "Failed to get user password",
        "The job was suspended by the user while pending",
        "The job was suspended by the user while pending.",
        "Job was suspended by the user while pending.",
        "The job was suspended by LSF admin or root while pending",
        "The job was suspended by openlava admin or root while pending",
        "The queue is inactivated by the administrator",
        "The queue is inactivated by its time windows",
        "The queue has reached its job slot limit",
        "The queue has not enough job slots for the parallel job",
        "User has reached the per-user job slot limit of the queue",
        "Not enough per-user job slots of the queue for the parallel job",
        "Job will not finish before queue's run window is closed",
        "Job no longer satisfies queue PROCLIMIT configuration",
        "The user has reached his/her job slot limit",
        "One of the user's groups has reached its job slot limit",
        "The user has not enough job slots for the parallel job",
        "One of user's groups has not enough job slots for the parallel job",
        "Unable to determine user account for execution",
        "The user has no permission to run the job on remote host/cluster",
        "Not allowed due to resource limit.",
        "The job group limit has been reached",
        "The specified job group has reached its job limit",
        "Number of jobs exceeds quota",
        "Resource (slot) limit defined on queue has been reached",
        "Resource (mem) limit defined on user and/or group has been reached",
        "Resource limit defined on host(s) and/or host group has been reached",
    ],
    Weight.LATER: [
        "New job is waiting for scheduling",
        "The job has a specified start time",
        "Migrating job is waiting for rescheduling",
        "Preempted job is waiting to be resumed",
        "Requeue the job for the next run",
        "Requeued job is waiting for rescheduling",
        "The job has been requeued",
        "The schedule of the job is postponed for a while",
        "Waiting for re-scheduling after switching queue",
        "Waiting for re-scheduling after parameters have been changed",
        "Waiting for scheduling after resumed by user",
        "Waiting for scheduling after resumed by administrator or user",
        "System is not ready for scheduling after reconfiguration",
        "The job array has reached its running element limit",
        "The job array has reached its job slot limit.",
        "The job's pre-exec command exited with non-zero status",
        "The queue's pre-exec command exited with non-zero status",
    ],
    Weight.HELPS: [
        "Job slot limit reached",
        "Not enough job slot(s)",
        "Not enough hosts to meet the job's spanning requirement",
        "Not enough hosts to meet the queue's spanning requirement",
        "Not enough processors to meet the job's spanning requirement",
        "Not enough processors to meet the queue's spanning requirement",
        "Not enough slots or resources for whole duration of the job",
        "Job's resource requirements not satisfied",
        "Queue's resource requirements not satisfied",
        "Job's requirements for resource reservation not satisfied",
        "Job's requirements for resource reservation not satisfied (Resource: mem)",
        "Queue's requirements for resource reservation not satisfied",
        "Job requirements for reserving resource (mem) not satisfied",
        "Job's requirements for reserving resource (scratch) not satisfied",
        "Queue requirements for reserving resource (swp) not satisfied",
        "Job's requirement for exclusive execution not satisfied",
        "Running an exclusive job",
        "An exclusive job has reserved the host",
        "Unable to lock host for exclusively executing the job",
        "Higher or equal priority jobs suspended by host load",
        "Higher or equal priority jobs already suspended by system",
        "Load threshold reached",
        "Load information unavailable",
        "LIM is unreachable now",
        "The 15s effective CPU queue length (r15s) is beyond threshold",
        "The CPU utilization (ut) is beyond threshold",
        "The paging rate (pg) is beyond threshold",
        "There are too many login users (ls)",
        "The idle time (it) is not long enough",
        "The available /tmp space (tmp) is low",
        "The available memory (mem) is low",
        "External load index (x) is beyond threshold",
        "Unable to reach slave batch server",
        "Failed in talking to server to start the job",
        "Failed in receiving the reply from server when starting the job",
        "Slave batch server failed to accept job",
        "Unable to allocate memory to run job",
        "Unable to fork process to run job",
        "Unable to communicate with job process",
        "Closed by LSF administrator",
        "Host is locked by LSF administrator",
        "Host is locked by master LIM",
        "Host is locked",
        "Dispatch windows closed",
        "Job will not finish on the host before queue's run window is closed",
        "Not usable to the queue",
        "Host or host group is not used by the queue",
        "User has no access to the host partition",
        "Not the same type as the submission host",
        "Not specified in job submission",
        "The specified first exection host is not eligible for this job at this time",
        "Queue's per-host job slot limit reached",
        "Queue's per-CPU job slot limit reached",
        "User's per-CPU job slot limit reached",
        "User group's per-CPU job slot limit reached",
        "Host's per-user job slot limit reached",
        "Individual host based reasons",
    ],
    Weight.HOST_LATER: [
        "Just started a job recently",
        "Cleaning up zombie job",
        "Unable to get the PID of the restarting job",
    ],
    Weight.HOST_NO: [
        "There is no such user account",
        "Can't run jobs submitted by root",
        "Job will not finish on the host before job's termination deadline",
        "Bad host name, host group name or cluster name",
    ],
}


@pytest.mark.parametrize("word", DOCUMENTED_STATES)
def test_every_state_is_known(word: str) -> None:
    assert word in STATES
    if word != "UNKWN":
        assert STATES[word] is not JobState.UNKNOWN
    assert (word in HELD_STATES) == (word in ("PSUSP", "FWD_PEND"))


@pytest.mark.parametrize(("text", "weight"), [(text, w) for w, texts in DOCUMENTED_REASONS.items() for text in texts])
def test_every_documented_reason_has_its_weight(text: str, weight: Weight) -> None:
    assert weight_of(plain_reason(text)) is weight
    assert reasons_in(f" {text}: 2 hosts;\n") == [plain_reason(text)]
    assert reasons_in(f"{text}: cn01, cn02;") == [plain_reason(text)]


def test_the_tables_hold_nothing_that_is_not_enumerated_here() -> None:
    here = {plain_reason(text) for texts in DOCUMENTED_REASONS.values() for text in texts}
    assert set(WEIGHTS) - here == {"External load index is beyond threshold"}


def test_every_recorded_reason_is_known() -> None:
    seen = set()
    for path in RECORDED.glob("s*_bjobs*.txt"):
        seen |= set(re.findall(r"(?m)^ (\S.*?): (?:\d+ hosts?|[\w, ]+);$", path.read_text()))
    assert len(seen) >= 8
    assert {reason for reason in seen if weight_of(plain_reason(reason)) is None} == set()


@pytest.mark.parametrize(
    ("text", "wait", "decides"),
    [
        ("", Wait.NOT_YET, "New job is waiting for scheduling"),
        ("Job slot limit reached: 2 hosts;", Wait.HELPS, "Job slot limit reached"),
        (
            "Job slot limit reached: 1 host;\nThe job has a specified start time: 1 host;",
            Wait.NOT_YET,
            "The job has a specified start time",
        ),
        (
            "Just started a job recently: 1 host; Load information unavailable: 2 hosts;",
            Wait.HELPS,
            "Load information unavailable",
        ),
        ("Just started a job recently: 3 hosts;", Wait.NOT_YET, "Just started a job recently"),
        ("There is no such user account: 3 hosts;", Wait.NO, "There is no such user account"),
        (
            "Job slot limit reached: 9 hosts; The user has reached his/her job slot limit;",
            Wait.NO,
            "The user has reached his/her job slot limit",
        ),
    ],
)
def test_several_reasons(text: str, wait: Wait, decides: str) -> None:
    assert wait_of(reasons_in(text), element=False) == (wait, decides, frozenset())


def test_a_reason_without_words_is_the_limit_of_an_array() -> None:
    assert reasons_in(" : 1 host;") == [""]
    assert wait_of([""], element=True)[:2] == (Wait.NOT_YET, "The job array has reached its job slot limit")
    assert wait_of([""], element=False)[0] is Wait.HELPS


def test_an_unknown_reason_helps_and_is_told() -> None:
    wait, reason, unknown = wait_of(["Mondkalb"], element=False)
    assert (wait, reason, unknown) == (Wait.HELPS, "Mondkalb", {"Mondkalb"})
    assert wait_of(["Mondkalb", "The job has a specified start time"], element=False)[0] is Wait.NOT_YET


def test_the_page_says_what_is_made_of_each() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [word for word in STATES if f"`{word}`" not in page] == []
    assert [reason for reason in WEIGHTS if reason not in page] == []
