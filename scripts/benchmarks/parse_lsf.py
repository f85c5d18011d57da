"""How long it takes to read LSF's lists: jobs and hosts, from OpenLava's text and from LSF's JSON."""

from __future__ import annotations

import json
import random
import resource
import time
from collections.abc import Iterator

from dynamiccluster.schedulers.lsf.hosts_parse import (
    Site,
    make_hosts,
    read_bhosts_json,
    read_bhosts_long,
    read_lshosts,
    read_lsload,
)
from dynamiccluster.schedulers.lsf.jobs_parse import make_jobs
from dynamiccluster.schedulers.lsf.json_parse import read_jobs
from dynamiccluster.schedulers.lsf.shape_parse import Rules
from dynamiccluster.schedulers.lsf.uf_parse import read_uf

ROWS = (("openlava", 50_000, 1_000, 500), ("lsf", 50_000, 1_000, 500))
"""Dialect, waiting jobs, hosts, different requests among the jobs. A fifth of the jobs are elements of arrays."""

REPEATS = 3
NOW = 1_795_158_000.0

_TAIL = """
 SCHEDULING PARAMETERS:
           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem
 loadSched   -     -     -     -       -     -    -     -     -      -      -  
 loadStop    -     -     -     -       -     -    -     -     -      -      -  

 RESOURCE REQUIREMENT DETAILS:
 Combined: {0}
 Effective: {0}
"""  # noqa: W291 - as recorded


def rows() -> Iterator[dict[str, object]]:
    for dialect, jobs, hosts, shapes in ROWS:
        texts = openlava(jobs, hosts, shapes) if dialect == "openlava" else lsf(jobs, hosts, shapes)
        yield {
            "name": "parse-lsf",
            "jobs": jobs,
            "nodes": hosts,
            "shapes": shapes,
            "seconds": round(min(timed(dialect, texts, hosts) for _ in range(REPEATS)), 4),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "dialect": dialect,
            "mib_of_text": round(sum(map(len, texts)) / 2**20, 1),
        }


def timed(dialect: str, texts: tuple[str, str, str, str], hosts: int) -> float:
    jobs_text, batch_text, lim_text, load_text = texts
    began = time.perf_counter()
    batch = read_bhosts_long(batch_text) if dialect == "openlava" else read_bhosts_json(batch_text)
    lims, loads = read_lshosts(lim_text), read_lsload(load_text)
    made = make_hosts(batch.items, lims.items, loads.items, Site())
    records = read_uf(jobs_text, "project") if dialect == "openlava" else read_jobs(jobs_text, "project")
    queue = make_jobs(records, Rules(), NOW, frozenset(batch.items))
    seconds = time.perf_counter() - began
    assert len(made) == hosts
    assert not queue.dropped
    assert not queue.unknown_reasons
    return seconds


def requests(count: int) -> list[tuple[str, str, str, str]]:
    """Queue, project, slots and resource requirement of so many different requests."""
    rng = random.Random(1)
    spans = ("", " span[hosts=1]", " span[ptile=4]")
    words = ("type == any", "bigmem", "(fast) && (type == local)", "a || b")
    return [
        (
            rng.choice(("normal", "short", "long")),
            rng.choice(("default", "proj42", "chem")),
            str(rng.choice((1, 1, 2, 4, 8, 16))),
            f"select[{rng.choice(words)}] order[r15s:pg] rusage[mem={100 + number}.00]{rng.choice(spans)}",
        )
        for number in range(count)
    ]


def ids(jobs: int) -> Iterator[tuple[str, str]]:
    """Id and name: four single jobs, then an element of an array of a hundred."""
    for number in range(jobs):
        if number % 5:
            yield str(1000 + number), f"job-{number}"
        else:
            array, index = 500_000 + number // 500, number % 500 // 5 + 1
            yield f"{array}[{index}]", f"arr[{index}]"


def openlava(jobs: int, hosts: int, shapes: int) -> tuple[str, str, str, str]:
    kinds = requests(shapes)
    records = []
    for number, (job_id, name) in enumerate(ids(jobs)):
        queue, project, slots, resreq = kinds[number // 500 % shapes if "[" in job_id else number % shapes]
        minute, second = divmod(number % 3600, 60)
        processors = f", {slots} Processors Requested" if slots != "1" else ""
        records.append(
            f"\nJob <{job_id}>, Job Name <{name}>, User <user{number % 200}>, Project <{project}>, Status <PEND>, "
            f"Queue <{queue}>, Command <sleep {number}>\n"
            f"Fri Nov 20 06:{minute:02d}:{second:02d}: Submitted from host <hn01>, CWD <$HOME/run/{number}>{processors}"
            f", Requested Resources <{resreq}>;\n PENDING REASONS:\n Job slot limit reached: {hosts} hosts;\n"
            + _TAIL.format(resreq)
        )
    return ("-" * 78 + "\n").join(records) + "\n", batch_long(hosts), lim_hosts(hosts), loads(hosts)


def lsf(jobs: int, hosts: int, shapes: int) -> tuple[str, str, str, str]:
    kinds = requests(shapes)
    records = []
    for number, (job_id, name) in enumerate(ids(jobs)):
        queue, project, slots, resreq = kinds[number // 500 % shapes if "[" in job_id else number % shapes]
        minute = number % 60
        records.append(
            json.dumps(
                {
                    "JOBID": job_id,
                    "STAT": "PEND",
                    "USER": f"user{number % 200}",
                    "QUEUE": queue,
                    "PROJ_NAME": project,
                    "JOB_NAME": name,
                    "NREQ_SLOT": slots,
                    "EXEC_HOST": "",
                    "EFFECTIVE_RESREQ": resreq,
                    "RUNTIMELIMIT": "1440.0",
                    "SUBMIT_TIME": f"Nov 20 06:{minute:02d}",
                    "START_TIME": "",
                    "PEND_REASON": f"Job slot limit reached: {hosts} hosts;",
                    "JOBINDEX": "0",
                    "USER_GROUP": "",
                    "MIN_REQ_PROC": "",
                    "COMBINED_RESREQ": resreq,
                    "EXCLUSIVE": "N",
                    "ASK_HOSTS": "",
                    "SPECIFIED_START_TIME": "",
                    "JOB_PRIORITY": "50",
                    "GPU_NUM": "",
                },
                indent=2,
            )
        )
    zeros = dict.fromkeys(("SSUSP", "USUSP", "RSV"), "0")
    batch = [
        {
            "HOST_NAME": f"n{at:05d}",
            "STATUS": "closed_Full",
            "MAX": "4",
            "NJOBS": "4",
            "RUN": "4",
            **zeros,
            "COMMENTS": "",
        }
        for at in range(hosts)
    ]
    return (
        f'{{\n"COMMAND":"bjobs",\n"JOBS":{jobs},\n"RECORDS":[\n{",".join(records)}\n]\n}}\n',
        json.dumps({"COMMAND": "bhosts", "HOSTS": hosts, "RECORDS": batch}, indent=2),
        lim_hosts(hosts),
        loads(hosts),
    )


def batch_long(hosts: int) -> str:
    block = (
        "HOST  {}\nSTATUS           CPUF  JL/U    MAX  NJOBS    RUN  SSUSP  USUSP    RSV DISPATCH_WINDOW\n"
        "closed_Full    100.00     -      4      4      4      0      0      0      -\n\n"
        " CURRENT LOAD USED FOR SCHEDULING:\n"
        "              r15s   r1m  r15m    ut    pg    io   ls    it   tmp   swp   mem\n"
        " Total         2.3   7.5   8.4   99%   0.0     0    0 2e+08   72G    0M   19G\n"
        " Reserved      0.0   0.0   0.0    0%   0.0     0    0     0    0M    0M    0M\n\n\n"
        " LOAD THRESHOLD USED FOR SCHEDULING:\n"
        "           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem\n"
        " loadSched   -     -     -     -       -     -    -     -     -      -      -  \n"
        " loadStop    -     -     -     -       -     -    -     -     -      -      -  \n\n\n"
    )
    return "".join(block.format(f"n{at:05d}") for at in range(hosts))


def lim_hosts(hosts: int) -> str:
    head = "HOST_NAME                       type       model  cpuf ncpus maxmem maxswp server RESOURCES\n"
    line = "{:25} linux     IntelI5 100.0     4 24105M      -    Yes (fast cs)\n"
    return head + "".join(line.format(f"n{at:05d}") for at in range(hosts))


def loads(hosts: int) -> str:
    head = "HOST_NAME               status  r15s   r1m  r15m   ut    pg    io  ls    it   tmp   swp   mem\n"
    line = "{:23}     ok   5.6  15.0  17.1  99%   0.0     0   0 2e+08   72G    0M   19G\n"
    return head + "".join(line.format(f"n{at:05d}") for at in range(hosts))
