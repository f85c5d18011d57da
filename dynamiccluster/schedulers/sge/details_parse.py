"""What only ``qstat -j IDS -xml`` tells of jobs: the limit of an array, the start time asked for, the account. Pure.

It prints 4 kB per job, so it is asked about those jobs only where something depends on it. Ids that are gone by then
are left out of the answer; if all are, the root is ``unknown_jobs`` and the return code 0 all the same (8.1.9).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from dynamiccluster.schedulers.sge.records_parse import plain, require_whole

_ROOT = "detailed_job_info"
_NUMBER = "<JB_job_number>"
_FIELD = re.compile(
    r"<(JB_ja_task_concurrency|JB_execution_time|JB_account|JB_project|JB_restart)>([^<]*)</\1>",
)


@dataclass(frozen=True, slots=True)
class Detail:
    """One job."""

    at_once: int = 0  # tasks of the array at the same time; 0 = no limit
    not_before_at: float = 0.0
    account: str = ""
    project: str = ""
    rerunnable: bool = True  # as far as the job itself says


def parse_details(text: str) -> dict[str, Detail]:
    """The jobs in ``text`` by number.

    :raises ValueError: the text was cut off, or is no such list.
    """
    if "<unknown_jobs" in text[:1000]:
        return {}
    require_whole(text, _ROOT)
    jobs = text.partition("</djob_info>")[0]
    found: dict[str, Detail] = {}
    for piece in jobs.split(_NUMBER)[1:]:
        number = piece.partition("<")[0].strip()
        values = dict(_FIELD.findall(piece))
        begins, at_once = values.get("JB_execution_time", ""), values.get("JB_ja_task_concurrency", "")
        if not number.isdigit():
            continue
        found[number] = Detail(
            int(at_once) if at_once.isdigit() else 0,
            float(begins) if begins.isdigit() else 0.0,
            plain(values.get("JB_account", "")),
            plain(values.get("JB_project", "")),
            values.get("JB_restart", "0") != "2",
        )
    return found
