"""The long proof on a real nova: launches by a service that is killed with -9 at its steps and at random moments.

    scripts/soak.d/nova.py [N]     N launches at least (200)

Needs root, Debian, and DYNAMICCLUSTER_TESTBEDS=1; without them it says so and ends with exit code 3. The last line
of output is the result; before it stands what each life has measured.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import signal
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "system")]

from openstack_service import OpenstackService, alive, resources  # noqa: E402 - see above
from rounds.server_kills import GENERAL, Tally, kills, live_through  # noqa: E402 - see above

from dynamiccluster.errors import DynamicClusterError  # noqa: E402 - see above
from dynamiccluster.testing.openstack_bed import OpenstackBed, openstack_bed, why_not  # noqa: E402 - see above
from dynamiccluster.testing.torque_bed import torque_bed  # noqa: E402 - see above

DEATHS = 16  # of a life
JOBS = 6 * DEATHS  # of a life, so that each start finds six new ones, each of which fills a node
JOB_S = 60.0  # most of them need a node of their own, and the first are over while there are deaths to come
MOST_PROBLEMS = 3  # more of them teach nothing


def main() -> int:
    parser = argparse.ArgumentParser(description="Launches on a real nova by a service that is killed.")
    parser.add_argument("number", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    if reason := why_not():
        print(reason)
        return 3
    rng, tally, lives, began = random.Random(asked.seed), Tally(), 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dcsoak-") as scratch, openstack_bed(15100) as nova:
        while tally.launches < asked.number and len(tally.problems) < MOST_PROBLEMS:
            lives += 1
            live(f"life{lives}", pathlib.Path(scratch), nova, rng, tally)
            print(f"life {lives}, {(time.monotonic() - began) / 60:.1f} minutes: {tally}", flush=True)
    for problem in tally.problems:
        print(problem)
    verdict = f"{len(tally.problems)} problem(s)" if tally.problems else "none twice, none left"
    print(f"{tally} in {lives} lives; {verdict}; seed {asked.seed}")
    return 1 if tally.problems else 0


def live(name: str, scratch: pathlib.Path, nova: OpenstackBed, rng: random.Random, tally: Tally) -> None:
    with torque_bed("", scheduler="pbs_sched", unsent_s=1) as batch:
        service = OpenstackService(batch, scratch, name, resources(JOBS), GENERAL, nova=nova)
        with alive(service):
            try:
                live_through(service, JOBS, kills(rng, DEATHS), tally, job_s=JOB_S)
            except (AssertionError, DynamicClusterError) as error:
                tally.problems.append(f"{name}: {error}")


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # so that an end from outside takes the cloud down
        signal.signal(number, signal.default_int_handler)
    sys.exit(main())
