"""The long proofs on a real Slurm: jobs that race with scale-down, and ``kill -9`` of the service anywhere.

    scripts/soak.d/slurm.py races [N]     N jobs, each while its node is being let go
    scripts/soak.d/slurm.py kills [N]     every step of a node's life, then N moments drawn at random

Needs root, Debian, and DYNAMICCLUSTER_TESTBEDS=1; without them it says so and ends with exit code 3. The last line
of output is the result.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import sys
import tempfile
import time
from collections.abc import Callable

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "system")]

from slurm_kills import GENERAL, LIFE_S, RESOURCES, STEPS, after_seconds, at_step, live_through  # noqa: E402 - see above
from slurm_races import lanes, race  # noqa: E402 - see above
from slurm_service import Service, running, until_declared  # noqa: E402 - see above

from dynamiccluster.testing.slurm_bed import SlurmBed, slurm_bed, why_not  # noqa: E402 - see above

LANES = 8
MOST_DEATHS = 40  # of one step in one life


def main() -> int:
    parser = argparse.ArgumentParser(description="The long proofs on a real Slurm.")
    parser.add_argument("proof", choices=("races", "kills"))
    parser.add_argument("number", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    reason = why_not()
    if reason:
        print(reason)
        return 3
    proof = races if asked.proof == "races" else kills
    with tempfile.TemporaryDirectory() as scratch, slurm_bed("10.77.8.0/24") as bed:
        problems, told = proof(bed, pathlib.Path(scratch), asked.number, random.Random(asked.seed))
    for problem in problems:
        print(problem)
    print(f"{told}; {len(problems)} problem(s); seed {asked.seed}")
    return 1 if problems else 0


def races(bed: SlurmBed, scratch: pathlib.Path, number: int, rng: random.Random) -> tuple[list[str], str]:
    service = Service(bed, scratch, "races", lanes(LANES))
    with running(service):
        until_declared(service)
        tally = race(service, number, rng)
        machines = len(service.machines)
    met = ", ".join(f"{count} {state}" for state, count in tally.met.most_common())
    slowest_s = max(tally.waits_s)
    return tally.problems, f"{len(tally.waits_s)} jobs on {machines} machines, slowest {slowest_s:.1f} s; met {met}"


def kills(bed: SlurmBed, scratch: pathlib.Path, number: int, rng: random.Random) -> tuple[list[str], str]:
    problems: list[str] = []
    lives = deaths = 0

    def live(what: str, kill: Callable[[Service], bool]) -> bool:
        nonlocal lives, deaths
        lives += 1
        try:
            died = live_through(Service(bed, scratch, f"life{lives}", RESOURCES, GENERAL), kill)
        except AssertionError as error:
            problems.append(f"killed {what}: {error}")
            return True
        deaths += died
        return died

    for step in STEPS:
        for nth in range(1, MOST_DEATHS):
            if not live(f"{step} {nth}", at_step(step, nth)):
                break
    for _ in range(number):
        delay_s = rng.uniform(0.3, LIFE_S)
        live(f"after {delay_s:.2f} s", after_seconds(delay_s))
    return problems, f"{deaths} deaths in {lives} lives"


if __name__ == "__main__":
    sys.exit(main())
