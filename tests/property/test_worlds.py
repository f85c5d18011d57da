"""A few short worlds on every test run; ``scripts/worlds`` runs many whole days."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamiccluster.testing.faults import Fault, FaultKind, parse_faults
from dynamiccluster.testing.world import run_world

REGRESS = Path(__file__).parents[1] / "regress"


@pytest.mark.parametrize("seed", range(1001, 1005))
def test_a_quarter_of_a_bad_day_keeps_every_promise(seed: int) -> None:
    report = run_world(seed, hours=6.0)
    assert [str(breach) for breach in report.breaches] == []
    assert report.jobs > 0
    assert report.machines > 0


def test_a_seed_tells_the_same_story_twice() -> None:
    first, second = run_world(1010, hours=4.0), run_world(1010, hours=4.0)
    assert (first.jobs, first.machines, first.commits, first.strikes) == (
        second.jobs,
        second.machines,
        second.commits,
        second.strikes,
    )


def test_a_quiet_day_has_nothing_to_report() -> None:
    report = run_world(1020, hours=4.0, schedule=())
    assert report.ok
    assert (report.crashes, report.strikes) == (0, 0)


def test_the_engine_is_really_killed_and_comes_back() -> None:
    schedule = [Fault(FaultKind.CRASH, "c1", 600.0 * n, 600.0 * n + 120.0, float(n)) for n in range(1, 12)]
    report = run_world(1030, hours=2.0, schedule=schedule)
    assert [str(breach) for breach in report.breaches] == []
    assert report.crashes == 11


def worlds_to_keep() -> list[Path]:
    """Bad days that once broke a promise: ``seed-N*.world`` with the schedule of that day."""
    return sorted(REGRESS.glob("seed-*.world"))


@pytest.mark.parametrize("file", worlds_to_keep(), ids=lambda file: file.stem)
def test_a_day_that_broke_a_promise_does_so_no_more(file: Path) -> None:
    seed = int(file.stem.split("-")[1])
    report = run_world(seed, hours=24.0, schedule=parse_faults(file.read_text(encoding="utf-8").splitlines()))
    assert [str(breach) for breach in report.breaches] == []
