"""How long it takes to read Torque's queue and nodes: from the XML of ``qstat -x -t`` and ``pbsnodes -x``."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator

from dynamiccluster.schedulers.torque.jobs_parse import Asked, parse_jobs
from dynamiccluster.schedulers.torque.nodes_parse import parse_nodes

ROWS = ((10_000, 100, 500), (50_000, 1_000, 500), (50_000, 1_000, 20_000))
"""Waiting jobs, hosts, and different requests among the jobs. 50,000 jobs are 80 MB of XML."""

REPEATS = 3
NOW = 1_800_000_000

_JOB = (
    "<Job><Job_Id>{number}.head</Job_Id><Job_Name>job-{number}</Job_Name><Job_Owner>user{user}@login</Job_Owner>"
    "<job_state>Q</job_state><queue>{queue}</queue><server>head</server>{account}<Checkpoint>u</Checkpoint>"
    "<ctime>{time}</ctime><Error_Path>login:/home/user{user}/job-{number}.e{number}</Error_Path>"
    "<Hold_Types>n</Hold_Types><Join_Path>n</Join_Path><Keep_Files>n</Keep_Files><Mail_Points>a</Mail_Points>"
    "<mtime>{time}</mtime><Output_Path>login:/home/user{user}/job-{number}.o{number}</Output_Path>"
    "<Priority>0</Priority><qtime>{time}</qtime><Rerunable>True</Rerunable><Resource_List>{request}</Resource_List>"
    "<substate>10</substate><Variable_List>{variables}</Variable_List><euser>user{user}</euser><egroup>users</egroup>"
    "<queue_rank>{number}</queue_rank><queue_type>E</queue_type><etime>{time}</etime>"
    "<submit_args>-N job-{number} -q {queue} run.sh</submit_args><fault_tolerant>False</fault_tolerant>"
    "<job_radix>0</job_radix><submit_host>login</submit_host><init_work_dir>/home/user{user}</init_work_dir>"
    "<request_version>1</request_version></Job>"
)
_VARIABLES = "PBS_O_QUEUE=batch," + ",".join(f"PBS_O_{name}=/srv/of/some/length/{name}" for name in "ABCDEFGHIJKLMNOP")
_NODE = (
    "<Node><name>wn-{number:08d}</name><state>{state}</state><power_state>Running</power_state><np>16</np>"
    "<properties>std,fast</properties><ntype>cluster</ntype>{jobs}<status>opsys=linux,uname=Linux wn 6.1.0-18-amd64 #1 "
    "SMP x86_64,sessions=59 61,nsessions=2,nusers=1,idletime=11136,totmem=24684092kb,availmem=21058424kb,"
    "physmem=24684092kb,ncpus=16,loadave=0.99,gres=,netload=56239,state=free,varattr= ,cpuclock=Fixed,version=6.1.3,"
    "rectime=1795157268,jobs=</status><mom_service_port>15002</mom_service_port>"
    "<mom_manager_port>15003</mom_manager_port></Node>"
)


def rows() -> Iterator[dict[str, object]]:
    for jobs, nodes, shapes in ROWS:
        queue, hosts = queue_text(jobs, shapes), nodes_text(nodes)
        priorities = {str(number): float(number) for number in range(1, jobs + 1)}
        yield {
            "name": "parse-torque",
            "jobs": jobs,
            "nodes": nodes,
            "shapes": shapes,
            "seconds": round(min(timed(queue, hosts, priorities, jobs, nodes) for _ in range(REPEATS)), 4),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def timed(queue: str, hosts: str, priorities: dict[str, float], jobs: int, nodes: int) -> float:
    began = time.perf_counter()
    known = parse_nodes(hosts, "dc-template")
    parsed = parse_jobs(queue, Asked(known.names, NOW, priorities))
    seconds = time.perf_counter() - began
    assert (len(known.nodes), len(parsed.jobs)) == (nodes, jobs)
    assert not known.dropped
    assert not parsed.dropped
    return seconds


def queue_text(jobs: int, shapes: int, seed: int = 1) -> str:
    """What ``qstat -x -t`` prints for so many waiting jobs."""
    rng = random.Random(seed)
    requests = [request(rng, number) for number in range(shapes)]
    records = (
        _JOB.format(
            number=number,
            user=rng.randrange(200),
            queue=rng.choice(("batch", "long")),
            account=rng.choice(("", "<Account_Name>physics</Account_Name>")),
            time=NOW + number,
            request=requests[number % shapes],
            variables=_VARIABLES,
        )
        for number in range(1, jobs + 1)
    )
    return f'<?xml version="1.0"?>\n<Data>{"".join(records)}</Data>\n'


def request(rng: random.Random, number: int) -> str:
    """One kind of ``Resource_List``; ``number`` makes it different from the others."""
    count, ppn = rng.choice((1, 1, 1, 2, 4)), rng.choice((1, 2, 4, 8, 16))
    words = f"{count}:ppn={ppn}" + rng.choice(("", ":std", ":std:fast"))
    return (
        f"<nodes>{words}</nodes><nodect>{count}</nodect><neednodes>{words}</neednodes><mem>{100 + number}mb</mem>"
        "<walltime>24:00:00</walltime>"
    )


def nodes_text(nodes: int) -> str:
    """What ``pbsnodes -x`` prints for so many nodes, half of them in use."""
    records = (
        _NODE.format(
            number=number,
            state="job-exclusive" if number % 2 else "free",
            jobs=f"<jobs>0-7/{number}.head,8-15/{number + 100_000}.head</jobs>" if number % 2 else "",
        )
        for number in range(nodes)
    )
    return f"<Data>{''.join(records)}</Data>\n"
