"""Two hundred launches on EC2's stand-in, with the process killed at random moments and replies lost.

    scripts/soak.d/prove_ec2.py [LAUNCHES] [--seed N] [--warm]

Needs nothing but the tools of the tests (moto). The last line of output is the result.
"""

from __future__ import annotations

import argparse
import asyncio
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from ec2_kills import launch_and_die  # noqa: E402 - see above
from ec2_site import ec2_site  # noqa: E402 - see above

from dynamiccluster.kit.pace import PacedLoop  # noqa: E402 - see above


def main() -> int:
    parser = argparse.ArgumentParser(description="Launches on EC2's stand-in while the process dies.")
    parser.add_argument("launches", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--warm", action="store_true", help="machines are stopped, and started again for launches")
    asked = parser.parse_args()
    with ec2_site() as site, asyncio.Runner(loop_factory=lambda: PacedLoop(None)) as runner:
        try:
            tally = runner.run(launch_and_die(site, asked.launches, asked.seed, warm=asked.warm))
        except AssertionError as error:
            print(f"{error}; seed {asked.seed}")
            return 1
    print(f"{tally}; found = recorded, none left; seed {asked.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
