"""Lines as ``squeue`` prints them to a poll, for tests."""

from __future__ import annotations

from dynamiccluster.model.job import Job
from dynamiccluster.schedulers.slurm.jobs_parse import Queue, output_format, parse_jobs

TOKEN = "~5f3a~"
DEFAULTS = {
    "JobArrayID": "7",
    "SubmitTime": "1795164000",
    "PriorityLong": "100",
    "State": "PENDING",
    "Reason": "Resources",
    "Requeue": "1",
    "Licenses": "(null)",
    "Dependency": "(null)",
    "Reservation": "(null)",
    "QOS": "normal",
    "UserName": "alice",
    "EligibleTime": "1795164000",
    "StartTime": "N/A",
    "NodeList": "",
    "Partition": "main",
    "Account": "physics",
    "NumNodes": "1",
    "NumTasks": "1",
    "NumCPUs": "1",
    "cpus-per-task": "1",
    "NTPerNode": "0",
    "MinCpus": "1",
    "MinMemory": "100M",
    "tres-alloc": "cpu=1,mem=100M,node=1,billing=1",
    "tres-per-job": "N/A",
    "tres-per-node": "N/A",
    "tres-per-task": "N/A",
    "tres-per-socket": "N/A",
    "mem-per-tres": "N/A",
    "Feature": "(null)",
    "OverSubscribe": "OK",
    "ReqNodes": "",
    "TimeLimit": "1-00:00:00",
    "Name": "wrap",
}


def line(token: str = TOKEN, **values: str) -> str:
    """One record. Dashes of column names are written as underscores."""
    named = {key.replace("_", "-"): value for key, value in values.items()}
    assert not named.keys() - DEFAULTS.keys()
    separators = [word.partition(":") for word in output_format(token).split(",")]
    return "".join({**DEFAULTS, **named}[name] + separator for name, _, separator in separators) + "\n"


def parsed(*lines: str, **options: float) -> Queue:
    return parse_jobs("".join(lines), TOKEN, **options)  # type: ignore[arg-type]


def one(**values: str) -> Job:
    queue = parsed(line(**values))
    assert not queue.dropped
    (job,) = queue.jobs
    return job
