"""The long proofs: each a command whose last line of output is its result."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from beds import SYSTEMS

ROOT = Path(__file__).resolve().parents[2]
CORES = str(len(os.sched_getaffinity(0)))
HOUR_S = 3600.0
END_S = 120.0  # a bed takes its daemons down, and with them what a proof has left
MOST_LINES = 200  # of a failed proof's output


@dataclass(frozen=True)
class Proof:
    name: str
    command: tuple[str, ...]
    limit_s: float


PROOFS = (
    Proof("worlds", ("scripts/worlds", "5000", "--jobs", CORES), 24 * HOUR_S),
    Proof("mutants", ("scripts/mutants", "--jobs", CORES), 6 * HOUR_S),
    Proof("ec2-kills", (sys.executable, "scripts/soak.d/prove_ec2.py", "200"), 1 * HOUR_S),
    Proof("ec2-warm", (sys.executable, "scripts/soak.d/prove_ec2.py", "200", "--warm"), 1 * HOUR_S),
    *(
        Proof(f"{name}-{proof}", (sys.executable, "scripts/soak.d/prove.py", name, proof, str(number)), limit_s)
        for name, system in SYSTEMS.items()
        for proof, number, limit_s in (
            ("races", system.races, 2 * HOUR_S),
            ("kills", 20, 4 * HOUR_S),
            ("faults", 100, 2 * HOUR_S),
        )
    ),
    Proof("openstack-kills", (sys.executable, "scripts/soak.d/nova.py", "200"), 6 * HOUR_S),
)
NOT_HERE = 3
"""A proof ends with exit code 0 if it holds, and with 3 if this machine is not one for it. To add one, add a line: its
command must need nothing but this tree."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description="Run the long proofs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--list", action="store_true", help="show the proofs and their commands")
    options = parser.parse_args()
    if unknown := set(options.names) - {proof.name for proof in PROOFS}:
        parser.error(f"no proof {', '.join(sorted(unknown))}; there are {', '.join(proof.name for proof in PROOFS)}")
    chosen = [proof for proof in PROOFS if not options.names or proof.name in options.names]
    if options.list:
        for proof in chosen:
            print(f"{proof.name:<18} {' '.join(proof.command)}")
        return 0
    return max([run(proof) for proof in chosen], default=0)


def run(proof: Proof) -> int:
    """Run one proof, print its closing line, and all of its end if it does not hold; 0 if it holds."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            proof.command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(proof.limit_s)
        except subprocess.TimeoutExpired:
            end(process)
            code = 124
        except KeyboardInterrupt:
            end(process)
            raise
        output.seek(0)
        lines = output.read().decode("utf-8", "replace").strip().splitlines() or ["it said nothing"]
    if code == NOT_HERE:
        print(f"{proof.name}: was not run: {lines[-1]}", flush=True)
        return 0
    if code:
        print("\n".join(lines[-MOST_LINES:-1]), flush=True)
    took_h = (time.monotonic() - began) / HOUR_S
    verdict = "holds" if code == 0 else "took too long" if code == 124 else "DOES NOT HOLD"
    print(f"{proof.name}: {verdict} after {took_h:.1f} h: {lines[-1]}", flush=True)
    return 1 if code else 0


def end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT is ignored in what a script starts with &
        signal.signal(number, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
