"""How long it takes to read the queue: from the text of one ``squeue`` to job objects."""

from __future__ import annotations

import random
import resource
import time
from collections.abc import Iterator

from dynamiccluster.schedulers.slurm.jobs_parse import output_format, parse_jobs

ROWS = ((1_000, 100), (10_000, 500), (100_000, 500), (100_000, 20_000))
"""Lines and different requests among them. A tenth of the jobs runs."""

TOKEN = "~5f3a9c01d2e4~"  # noqa: S105 - a separator
REPEATS = 5
SUBMITTED_AT = 1_800_000_000


def rows() -> Iterator[dict[str, object]]:
    for jobs, shapes in ROWS:
        text = queue(jobs, shapes)
        yield {
            "name": "parse-slurm",
            "jobs": jobs,
            "nodes": 0,
            "shapes": shapes,
            "seconds": round(min(timed(text, jobs) for _ in range(REPEATS)), 4),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }


def timed(text: str, jobs: int) -> float:
    began = time.perf_counter()
    parsed = parse_jobs(text, TOKEN)
    seconds = time.perf_counter() - began
    assert len(parsed.jobs) == jobs
    assert not parsed.dropped
    return seconds


def queue(jobs: int, shapes: int, seed: int = 1) -> str:
    """What ``squeue`` prints for so many separate jobs: about 25 MB for 100,000."""
    rng = random.Random(seed)
    separators = [word.rpartition(":")[2] for word in output_format(TOKEN).split(",")]
    requests = [_request(rng, number) for number in range(shapes)]
    lines: list[str] = []
    for number in range(jobs):
        runs = number % 10 == 0
        submitted = SUBMITTED_AT + number
        status = ["RUNNING", "None"] if runs else ["PENDING", "Priority"]
        place = (
            [str(submitted), str(submitted + 60), f"wn-{number % 5000:08d}"] if runs else [str(submitted), "N/A", ""]
        )
        values = [
            str(number + 1),
            str(submitted),
            str(4_294_900_000 - number),
            *status,
            "1",
            "(null)",
            "(null)",
            "(null)",
            "normal",
            f"user{rng.randrange(200)}",
            *place,
            *requests[number % shapes],
            f"job-{number}",
        ]
        lines.append("".join(f"{value}{separator}" for value, separator in zip(values, separators, strict=True)))
    return "\n".join(lines) + "\n"


def _request(rng: random.Random, number: int) -> list[str]:
    """The columns of one kind of request; ``number`` makes it different from the others."""
    cores, nodes = rng.choice((1, 2, 4, 8, 16, 64)), rng.choice((1, 1, 1, 2, 4))
    memory = 100 + number
    account, partition = rng.choice(("physics", "chem", "bio")), rng.choice(("main", "long", "main,long"))
    total = f"cpu={cores * nodes},mem={memory * cores * nodes}M,node={nodes},billing={cores * nodes}"
    head = [partition, account, str(nodes), str(nodes), str(cores * nodes), str(cores), "0", str(cores), f"{memory}M"]
    feature = rng.choice(("(null)", "std", "std&amd", "(a|b)&c"))
    return [*head, total, "N/A", "N/A", "N/A", "N/A", "N/A", feature, "OK", "", "1-00:00:00"]
