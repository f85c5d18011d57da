"""One round on a real Slurm, written down and drawn as ``docs/pictures/round.svg``.

DYNAMICCLUSTER_TESTBEDS=1 scripts/docs.d/round.py record   # root, Debian: two minutes; writes docs/pictures/round.json
.venv/bin/python scripts/docs.d/round.py draw              # draws that file again

What is drawn of nodes is the service's own event history; what is drawn of jobs is what Slurm says of them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import pathlib
import re
import sys
import tempfile
import time
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "system"), str(pathlib.Path(__file__).parent)]

from round_picture import Job, Round, draw  # noqa: E402 - the path above comes first
from rounds.service import Service, kind, running, until_declared  # noqa: E402 - the path above comes first

from dynamiccluster.testing.slurm_bed import SlurmBed, slurm_bed, why_not  # noqa: E402 - the path above comes first

PICTURES = ROOT / "docs" / "pictures"
NETWORK = "10.77.9.0/24"
_PAIR = re.compile(r"(?:^|\s)([A-Za-z][\w:/]*)=(\S*)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("record", "draw"))
    parser.add_argument("--file", type=pathlib.Path, default=PICTURES / "round.json")
    asked = parser.parse_args()
    if asked.verb == "record":
        reason = why_not()
        if reason:
            print(reason, file=sys.stderr)
            return 3
        with slurm_bed(NETWORK) as bed, tempfile.TemporaryDirectory() as scratch:
            document = record(bed, pathlib.Path(scratch))
        asked.file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    document = json.loads(asked.file.read_text(encoding="utf-8"))
    seen = Round(document["events"], [Job(**job) for job in document["jobs"]], document["cores"])
    asked.file.with_suffix(".svg").write_text(draw(seen), encoding="utf-8")
    print(asked.file.with_suffix(".svg"))
    return 0


def record(bed: SlurmBed, scratch: pathlib.Path) -> dict[str, Any]:
    """Two waves of jobs, the second while the first one's nodes are about to leave."""
    resources = {
        "small": kind(4, 4000, 5, queues=["main"]),
        "large": kind(8, 16000, 1, reservation={"queue": "long"}),
    }
    with running(Service(bed, scratch, "round", resources, {"max_idle_time": 12})) as service:
        until_declared(service)
        for cores, seconds in ((4, 18), (2, 10), (2, 14), (1, 8), (1, 8), (2, 6)):
            bed.sbatch(f"-c{cores}", wrap=f"sleep {seconds}")
        bed.sbatch("-N3", "-n3", "-c4", "-J", "gang", wrap="sleep 9")
        bed.sbatch("-p", "long", "-c8", wrap="sleep 12")
        _pause(service, 32)
        bed.sbatch("-a", "1-6", "-c2", wrap="sleep 7")
        bed.sbatch("-c4", wrap="sleep 10")
        service.until(lambda: not service.waiting_or_running(), 90, "all have run")
        jobs = jobs_of(bed)
        service.until(lambda: not service.leftovers(), 60, "nothing is left")
        events = service.client.get("api", "v1", "events", limit=1000)["events"]
    wanted = ("at", "kind", "node_id", "host_name", "resource", "from_state", "to_state")
    events = [{name: event[name] for name in wanted} for event in reversed(events) if event["kind"] == "node"]
    return {
        "events": events,
        "jobs": jobs,
        "cores": {name: one["capacity"]["cores"] for name, one in resources.items()},
    }


def _pause(service: Service, seconds: float) -> None:
    end = time.monotonic() + seconds
    service.until(lambda: time.monotonic() > end, seconds + 5, "time passes")


def jobs_of(bed: SlurmBed) -> list[dict[str, Any]]:
    """Every job and task with its times, from ``scontrol show job``."""
    found = []
    for line in bed.run("scontrol", "-o", "show", "job").splitlines():
        record: dict[str, str] = {}
        for key, value in _PAIR.findall(line):
            record.setdefault(key, value)
        name = record["JobId"]
        if record.get("ArrayTaskId", "").isdigit():
            name = f"{record['ArrayJobId']}_{record['ArrayTaskId']}"
        times = [datetime.datetime.fromisoformat(record[key]).timestamp() for key in _TIMES]
        nodes = int(record["NumNodes"].partition("-")[0])
        found.append(vars(Job(name, *times, int(record["NumCPUs"]), nodes)))
    return sorted(found, key=lambda job: (job["submitted_at"], job["started_at"], job["name"]))


_TIMES = ("SubmitTime", "StartTime", "EndTime")


if __name__ == "__main__":
    sys.exit(main())
