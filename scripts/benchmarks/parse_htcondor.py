"""How long it takes to read a pool: from the JSON of ``condor_status`` and ``condor_q`` to hosts and jobs."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator

from dynamiccluster.schedulers.htcondor.classads import Evaluator
from dynamiccluster.schedulers.htcondor.hosts_parse import parse_machines
from dynamiccluster.schedulers.htcondor.jobs_parse import Reading, parse_jobs
from dynamiccluster.schedulers.htcondor.offers import Offers

ROWS = ((1_000, 100, 100), (50_000, 1_000, 500), (50_000, 1_000, 20_000))
"""Pending jobs, hosts, and different requests among the jobs."""

REPEATS = 3
SUBMITTED_AT = 1_800_000_000
REQUIREMENTS = (
    '(TARGET.Arch == \\"X86_64\\") && (TARGET.OpSys == \\"LINUX\\") && (TARGET.Disk >= RequestDisk) && '
    "(TARGET.Memory >= RequestMemory) && (TARGET.Cpus >= RequestCpus) && (TARGET.HasFileTransfer)"
)


def rows() -> Iterator[dict[str, object]]:
    for jobs, hosts, shapes in ROWS:
        pool, queue = machines(hosts), waiting(jobs, shapes)
        yield {
            "name": "parse-htcondor",
            "jobs": jobs,
            "nodes": hosts,
            "shapes": shapes,
            "seconds": round(min(timed(pool, queue, jobs, hosts) for _ in range(REPEATS)), 4),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "text_mib": (len(pool) + len(queue)) >> 20,
        }


def timed(pool: str, queue: str, jobs: int, hosts: int) -> float:
    began = time.perf_counter()
    found = parse_machines(pool, lambda mark: False, ("fast",), 660.0)
    parsed = parse_jobs(queue, Reading(Evaluator(None), Offers(), found.names, now=SUBMITTED_AT + 100.0))
    seconds = time.perf_counter() - began
    assert (len(found.hosts), len(parsed.jobs)) == (hosts, jobs)
    assert not found.dropped
    assert not parsed.dropped
    return seconds


def waiting(jobs: int, shapes: int, seed: int = 1) -> str:
    """What ``condor_q -json -attributes`` prints of so many separate jobs."""
    rng = random.Random(seed)
    requests = [_request(rng, number) for number in range(shapes)]
    ads = [
        f'{{\n  "AutoClusterId": {number % shapes},\n  "ClusterId": {number // 10 + 1},\n  "Cmd": "/home/u/job.sh",\n'
        f'  "GlobalJobId": "submit.example.org#{number // 10 + 1}.{number % 10}#{SUBMITTED_AT + number}",\n'
        f'  "ImageSize": 45,\n  "JobBatchName": "analysis-{number}",\n  "JobLeaseDuration": 2400,\n  "JobPrio": 0,\n'
        f'  "JobStatus": 1,\n  "JobUniverse": 5,\n  "Owner": "user{rng.randrange(200)}",\n  "ProcId": {number % 10},\n'
        f'  "QDate": {SUBMITTED_AT + number},\n{requests[number % shapes]},\n  "TotalSubmitProcs": 10\n}}'
        for number in range(jobs)
    ]
    return "[\n" + "\n,\n".join(ads) + "\n]\n"


def _request(rng: random.Random, number: int) -> str:
    """The attributes of one kind of request; ``number`` makes it different from the others."""
    word = rng.choice(("", "(TARGET.fast is true) && ", '(VMType is \\"a\\") && '))
    group = rng.choice(("group_physics", "group_chem", "group_bio"))
    return (
        f'  "AccountingGroup": "{group}.user",\n  "AcctGroup": "{group}",\n  "MinHosts": 1,\n'
        f'  "RequestCpus": {rng.choice((1, 2, 4, 8))},\n  "RequestDisk": 1024,\n  "RequestMemory": {100 + number},\n'
        f'  "Requirements": "\\/Expr({word}{REQUIREMENTS})\\/"'
    )


def machines(hosts: int) -> str:
    """What ``condor_status -any -json -attributes`` prints of so many machines, half of them in use."""
    ads = [
        f'{{\n  "Activity": "Idle",\n  "Cpus": {8 - number % 2 * 3},\n  "DynamicClusterHold": "",\n  "GPUs": 0,\n'
        f'  "LastHeardFrom": {SUBMITTED_AT},\n  "Machine": "wn-{number:08x}.example.org",\n  "Memory": 16000,\n'
        f'  "MyAddress": "<10.1.{number // 250}.{number % 250}:9618?addrs=10.1.0.1-9618&noUDP&sock=startd_2_f347>",\n'
        f'  "MyType": "Machine",\n  "Name": "slot1@wn-{number:08x}.example.org",\n  "NumDynamicSlots": {number % 2},\n'
        '  "PartitionableSlot": true,\n  "SlotType": "Partitionable",\n  "Start": true,\n  "State": "Unclaimed",\n'
        '  "TotalSlotCpus": 8,\n  "TotalSlotGPUs": 0,\n  "TotalSlotMemory": 16000,\n  "fast": true\n}'
        for number in range(hosts)
    ]
    return "[\n" + "\n,\n".join(ads) + "\n]\n"
