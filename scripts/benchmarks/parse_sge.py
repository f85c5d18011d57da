"""How long it takes to read Grid Engine's lists: from the XML of one ``qstat`` and one ``qhost`` to jobs and hosts."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator

from dynamiccluster.schedulers.sge.hosts_parse import Naming, parse_hosts
from dynamiccluster.schedulers.sge.jobs_parse import parse_jobs
from dynamiccluster.schedulers.sge.request_parse import Rules
from dynamiccluster.schedulers.sge.site_parse import (
    ClusterQueue,
    Complex,
    Consumed,
    ParallelEnvironment,
    Site,
)

ROWS = ((1_000, 100, 50), (10_000, 500, 500), (50_000, 1_000, 500), (50_000, 1_000, 20_000))
"""Waiting jobs, hosts (each with a running job), and different requests among the jobs."""

REPEATS = 5
SITE = Site(
    {
        "h_vmem": Complex("h_vmem", "MEMORY", "<=", "YES", Consumed.PER_SLOT, "100M"),
        "h_rt": Complex("h_rt", "TIME", "<=", "YES", Consumed.NOT, "0:0:0"),
    },
    {
        name: ClusterQueue(name, groups=frozenset({"@allhosts"}), environments=frozenset({"smp", "mpi"}))
        for name in ("short.q", "long.q")
    },
    {"smp": ParallelEnvironment("smp", one_host=True), "mpi": ParallelEnvironment("mpi")},
)
NAMING = Naming("dynamiccluster:c1:", ("h_vmem",), ("gpu",))


def rows() -> Iterator[dict[str, object]]:
    for jobs, hosts, shapes in ROWS:
        queue, nodes = qstat(jobs, hosts, shapes), qhost(hosts)
        yield {
            "name": "parse-sge",
            "jobs": jobs,
            "nodes": hosts,
            "shapes": shapes,
            "seconds": round(min(timed(queue, nodes, jobs, hosts) for _ in range(REPEATS)), 4),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "xml_mb": round((len(queue) + len(nodes)) / 1e6, 1),
        }


def timed(queue: str, nodes: str, jobs: int, hosts: int) -> float:
    began = time.perf_counter()
    seen = parse_hosts(nodes, NAMING)
    parsed = parse_jobs(queue, SITE, Rules(given=seen.shared), seen.places)
    seconds = time.perf_counter() - began
    assert len(seen.hosts) == hosts
    assert len(parsed.jobs) == jobs + hosts
    assert not parsed.dropped
    assert not seen.dropped
    return seconds


def qstat(jobs: int, hosts: int, shapes: int, seed: int = 1) -> str:
    """What ``qstat -xml -r -u '*'`` prints: 35 MB for 50,000 jobs."""
    rng = random.Random(seed)
    requests = [_request(rng, number) for number in range(shapes)]
    running = "".join(
        _job(number + 1, "r", "running", requests[0], rng, f"short.q@wn{number:05d}") for number in range(hosts)
    )
    waiting = "".join(
        _job(hosts + number + 1, "qw", "pending", requests[number % shapes], rng, "") for number in range(jobs)
    )
    return (
        "<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"http://example.invalid/qstat.xsd\">\n"
        f"  <queue_info>\n{running}  </queue_info>\n  <job_info>\n{waiting}  </job_info>\n</job_info>\n"
    )


def _job(number: int, letters: str, kind: str, request: str, rng: random.Random, place: str) -> str:
    when = "JAT_start_time" if place else "JB_submission_time"
    moment = f"2026-11-20T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}"
    return (
        f'    <job_list state="{kind}">\n      <JB_job_number>{number}</JB_job_number>\n'
        f"      <JAT_prio>0.{50_000 - number % 40_000:05d}</JAT_prio>\n      <JB_name>job-{number}</JB_name>\n"
        f"      <JB_owner>user{rng.randrange(200)}</JB_owner>\n      <state>{letters}</state>\n"
        f"      <{when}>{moment}</{when}>\n      <queue_name>{place}</queue_name>\n"
        + request.format(name=f"job-{number}")
        + "      <binding>NONE</binding>\n    </job_list>\n"
    )


def _request(rng: random.Random, number: int) -> str:
    """The elements of one kind of request; ``number`` makes it different from the others."""
    slots, environment = rng.choice((1, 2, 4, 8, 16, 64)), rng.choice(("smp", "mpi"))
    return (
        f"      <slots>{slots}</slots>\n      <full_job_name>{{name}}</full_job_name>\n"
        f'      <requested_pe name="{environment}">{slots}</requested_pe>\n'
        f'      <hard_request name="h_vmem" resource_contribution="0.000000">{100 + number}M</hard_request>\n'
        f'      <hard_request name="h_rt" resource_contribution="0.000000">{rng.choice((600, 3600))}</hard_request>\n'
        f"      <hard_req_queue>{rng.choice(('short.q', 'long.q'))}</hard_req_queue>\n"
    )


def qhost(hosts: int) -> str:
    """What ``qhost -q -j -F ... -xml`` prints for hosts of ours with one job each."""
    parts = [
        "<?xml version='1.0'?>\n<qhost xmlns:xsd=\"http://example.invalid/qhost.xsd\">\n",
        " <host name='global'>\n </host>\n",
    ]
    values = ("arch_string", "num_proc", "m_socket", "m_core", "m_thread", "load_avg", "mem_total", "mem_used")
    given = {"slots": "15.000000", "h_vmem": "62.305G"}
    for number in range(hosts):
        name = f"wn{number:05d}"
        parts.append(f" <host name='{name}'>\n")
        parts += [f"   <hostvalue name='{value}'>23.5G</hostvalue>\n" for value in values]
        parts += [
            f"   <resourcevalue name='{key}' dominance='hc'>{value}</resourcevalue>\n" for key, value in given.items()
        ]
        parts.append("   <resourcevalue name='dynamiccluster' dominance='hf'>16/64000/0/10.0.0.1</resourcevalue>\n")
        for queue, used in (("short.q", 1), ("long.q", 0)):
            states = {"qtype_string": "BIP", "slots_used": used, "slots": 16, "slots_resv": 0, "state_string": ""}
            parts.append(f" <queue name='{queue}'>\n")
            parts += [
                f"   <queuevalue qname='{queue}' name='{key}'>{value}</queuevalue>\n" for key, value in states.items()
            ]
            parts.append(" </queue>\n")
        job = {
            "priority": "'0.5'",
            "qinstance_name": f"short.q@{name}",
            "job_name": "j",
            "job_state": "r",
            "pe_master": "MASTER",
        }
        parts.append(f" <job name='{number + 1}'>\n")
        parts += [f"   <jobvalue jobid='{number + 1}' name='{key}'>{value}</jobvalue>\n" for key, value in job.items()]
        parts.append(" </job>\n </host>\n")
    return "".join([*parts, "</qhost>\n"])
