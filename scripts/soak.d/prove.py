"""The long proofs on a scheduler: jobs that race with scale-down, ``kill -9`` of the service, faults around it.

    scripts/soak.d/prove.py SYSTEM races [N]     N jobs, each while its node is being let go
    scripts/soak.d/prove.py SYSTEM kills [N]     each step of a node's life five times, then N moments drawn at random
    scripts/soak.d/prove.py SYSTEM faults        everything around the service fails, one after another

Needs root, Debian, and DYNAMICCLUSTER_TESTBEDS=1; without them it says so and ends with exit code 3. The last line
of output is the result; before it stands what each part has measured.
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

from beds import PROOFS, SYSTEMS  # noqa: E402 - see above
from rounds import faults as failing  # noqa: E402 - see above
from rounds import kills as killing  # noqa: E402 - see above
from rounds import races as racing  # noqa: E402 - see above
from rounds.service import Service, running  # noqa: E402 - see above

from dynamiccluster.testing.bed import LANES, Bed  # noqa: E402 - see above

TIMES = 5  # each step
MOST_DEATHS = 100  # of one step in one life
Result = tuple[list[str], str]


def main() -> int:
    parser = argparse.ArgumentParser(description="The long proofs on a scheduler.")
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("proof", choices=PROOFS)
    parser.add_argument("number", type=int, nargs="?", default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    system = SYSTEMS[asked.system]
    if reason := system.why_not():
        print(reason)
        return 3
    proof = {"races": races, "kills": kills, "faults": faults}[asked.proof]
    with tempfile.TemporaryDirectory(prefix="dcsoak-") as scratch, system.bed() as bed:
        problems, told = proof(bed, pathlib.Path(scratch), asked.number, random.Random(asked.seed))
    for problem in problems:
        print(problem)
    print(f"{told}; {len(problems)} problem(s); seed {asked.seed}")
    return 1 if problems else 0


def races(bed: Bed, scratch: pathlib.Path, number: int, rng: random.Random) -> Result:
    service = Service(bed, scratch, "races", racing.lanes(bed, len(LANES)))
    with running(service):
        tally = racing.race(service, number, rng)
        machines = len(service.machines)
    return tally.problems, f"{tally}; {machines} machines"


def kills(bed: Bed, scratch: pathlib.Path, number: int, rng: random.Random) -> Result:
    problems: list[str] = []
    lives = deaths = 0

    def live(what: str, kill: Callable[[Service], bool]) -> bool:
        nonlocal lives, deaths
        lives += 1
        try:
            service = Service(bed, scratch, f"life{lives}", killing.RESOURCES, killing.GENERAL)
            died = killing.live_through(service, kill)
        except AssertionError as error:
            problems.append(f"killed {what}: {error}")
            died = True
        deaths += died
        print(f"{lives}: killed {what}: {'died' if died else 'never came to it'}", flush=True)
        return died

    for step in killing.STEPS:
        nth = first = killing.first_telling(step)
        beyond, wanted = MOST_DEATHS, deaths + TIMES  # there are no more than that in a life
        while deaths < wanted and beyond > first:
            if live(f"at {step}, number {nth}", killing.at_step(step, nth)):
                nth = nth + 1 if nth + 1 < beyond else first
            else:
                nth, beyond = first, nth
        if beyond == first:
            problems.append(f"it never comes to {step}")
    at_steps = deaths
    for _ in range(number):
        delay_s = rng.uniform(0.3, killing.LIFE_S)
        live(f"after {delay_s:.2f} s", killing.after_seconds(delay_s))
    told = f"{at_steps} deaths at {len(killing.STEPS)} steps, {deaths - at_steps} at random moments, in {lives} lives"
    return problems, told


def faults(bed: Bed, scratch: pathlib.Path, number: int, rng: random.Random) -> Result:
    problems: list[str] = []
    names = list(failing.FAULTS)
    rng.shuffle(names)
    for name in names[:number]:
        try:
            print(f"{name}: {failing.run(bed, scratch, name, long=True)}", flush=True)
        except AssertionError as error:
            problems.append(f"{name}: {error}")
    return problems, f"{len(names[:number])} faults: {', '.join(names[:number])}"


if __name__ == "__main__":
    sys.exit(main())
