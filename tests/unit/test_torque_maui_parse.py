"""What Maui says of priorities, reservations and jobs that it does not run: recorded, and lookalikes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamiccluster.schedulers.torque.maui_parse import (
    Verdict,
    alone_on,
    parse_created,
    parse_job,
    parse_priorities,
    parse_reservations,
)

MAUI = Path(__file__).parents[1] / "recorded" / "maui"


def read(name: str) -> str:
    return (MAUI / name).read_text(encoding="utf-8")


def test_recorded_priorities() -> None:
    assert parse_priorities(read("s1_diagnose_p.txt")) == {"1": 1, "7": 1, "8": 1, "10": 1, "13": 0}
    assert parse_priorities(read("s2_diagnose_p.txt"))["31"] == 0


def test_other_priorities() -> None:
    head = "Job                    PRIORITY*   Cred(Class)\n"
    assert parse_priorities(head + "4[12]     -20   0.0( 0.0)\n35    1000001*  0.0\nMoab.7   5  0\n9.head  3 0\n") == {
        "4[12]": -20,
        "35": 1000001,
        "7": 5,
        "9": 3,
    }
    assert parse_priorities(head) == {}


@pytest.mark.parametrize("text", ["", "ERROR:    lost connection to server\n", "<html>"])
def test_what_is_no_list_of_priorities_is_not_an_empty_one(text: str) -> None:
    with pytest.raises(ValueError, match="did not list"):
        parse_priorities(text)


def test_recorded_reservations() -> None:
    found = parse_reservations(read("s2_showres_n.txt"))
    assert len(found) == 10
    people = [each for each in found if each.by_people]
    assert [(each.node, each.reservation_id, each.name) for each in people] == [
        ("node01", "cloudres.0", "cloudres"),
        ("node02", "hpcxres.0", "hpcxres"),
        ("node02", "cloudres.0", "cloudres"),
    ]
    assert alone_on(found, "node02") == ["hpcxres.0"]  # the other is on node01, too
    assert alone_on(found, "node01") == []
    assert alone_on(parse_reservations(read("s1_showres_n.txt")), "node01") == []


@pytest.mark.parametrize("text", ["", "ERROR:    lost connection to server\n"])
def test_what_is_no_list_of_reservations_is_not_an_empty_one(text: str) -> None:
    with pytest.raises(ValueError, match="did not list"):
        parse_reservations(text)
    assert parse_reservations("reservations on Fri Nov 20 06:47:49\n\n0 nodes reserved\n") == ()


def test_recorded_answers_of_setres() -> None:
    assert parse_created(read("s2_setres.txt")) == ("hpcxres.0", {"node02"})
    assert parse_created(read("s2_setres_allhosts.txt")) == ("cloudres.0", {"node01", "node02"})
    with pytest.raises(ValueError, match="invalid hostlist"):
        parse_created("\n\nERROR:    invalid hostlist ('x')\n\n")
    with pytest.raises(ValueError, match="no answer"):
        parse_created("")


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("s3_checkjob_deferred_16ppn.txt", Verdict.GIVEN_UP),
        ("s3_checkjob_deferred_50nodes.txt", Verdict.GIVEN_UP),
        ("s6_checkjob_23_deferred.txt", Verdict.GIVEN_UP),
        ("s6_checkjob_29_after_release.txt", Verdict.GIVEN_UP),
        ("s7_checkjob_placeholder_down_feature.txt", Verdict.GIVEN_UP),
        ("s8_checkjob_35_deferred_before.txt", Verdict.GIVEN_UP),
        ("s3_checkjob_held_user.txt", Verdict.BLOCKED),
        ("s3_checkjob_dependency.txt", Verdict.BLOCKED),
        ("s3_checkjob_arrayslot_held.txt", Verdict.BLOCKED),
        ("s1_checkjob_1.txt", Verdict.WAITS),
        ("s1_checkjob_13_feature.txt", Verdict.WAITS),
        ("s2_checkjob_cloud_property.txt", Verdict.WAITS),
        ("s2_checkjob_three_nodes.txt", Verdict.WAITS),
        ("s1_checkjob_0_running.txt", Verdict.WAITS),
    ],
)
def test_recorded_jobs(name: str, verdict: Verdict) -> None:
    assert parse_job(read(name))[0] is verdict


@pytest.mark.parametrize(
    "reason",
    [
        "Admin",
        "SystemLimitsExceeded",
        "BankFailure",
        "CannotDebitAccount",
        "RMFailure",
        "RMReject",
        "PolicyViolation",
        "QOSAccess",
    ],
)
def test_every_other_documented_reason_is_no_lack_of_nodes(reason: str) -> None:
    text = f"job is deferred.  Reason:  {reason}  (x)\nHolds:    Defer  (hold reason:  {reason})\n"
    verdict, why = parse_job(text)
    assert verdict is Verdict.BLOCKED
    assert reason in why


@pytest.mark.parametrize(
    ("holds", "verdict"),
    [
        ("Defer", Verdict.GIVEN_UP),
        ("Batch", Verdict.GIVEN_UP),  # after DEFERCOUNT deferrals
        ("User", Verdict.BLOCKED),
        ("System", Verdict.BLOCKED),
        ("Defer,User", Verdict.BLOCKED),  # releasehold -a would lift the user's, too
        ("User Defer", Verdict.BLOCKED),
    ],
)
def test_only_holds_of_its_own_are_lifted(holds: str, verdict: Verdict) -> None:
    text = f"job is deferred.  Reason:  NoResources  (x)\nHolds:    {holds}  (hold reason:  NoResources)\n"
    assert parse_job(text)[0] is verdict


def test_a_deferred_job_that_its_user_holds_now_is_held() -> None:
    text = read("s3_checkjob_deferred_16ppn.txt").replace("State: Idle", "State: Hold")
    assert parse_job(text) == (Verdict.BLOCKED, "held")


def test_limits_are_named() -> None:
    text = "cannot select job 5 for partition DEFAULT (job 5 violates active HARD MAXPROC limit of 6 for class long)\n"
    verdict, why = parse_job(text)
    assert verdict is Verdict.BLOCKED
    assert why == "violates active HARD MAXPROC limit of 6 for class long"
