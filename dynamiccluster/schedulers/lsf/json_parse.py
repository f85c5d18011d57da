"""From the text of ``bjobs -o ... -json`` and ``bhosts -o ... -json`` to records. Pure.

The shape is documented by IBM for 10.1.0.2 and later, and quoted by other projects: ``{"COMMAND":..., "JOBS":n,
"RECORDS":[...]}`` with upper-case keys and texts as values. None of it was seen on an LSF of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from dynamiccluster.schedulers.lsf.record import Record, Records, Request, Unreadable

JOB_FIELDS = (
    "jobid",
    "stat",
    "user",
    "queue",
    "proj_name",
    "job_name",
    "nreq_slot",
    "exec_host",
    "effective_resreq",
    "runtimelimit",
    "submit_time",
    "start_time",
    "pend_reason",
)
"""Without these there is no reading a job. All are documented for every 10.1.0.2 and later."""

MORE_JOB_FIELDS = (
    "jobindex",
    "user_group",
    "min_req_proc",
    "combined_resreq",
    "exclusive",
    "ask_hosts",
    "specified_start_time",
    "job_priority",
    "gpu_num",
)
"""Asked for as long as LSF knows them: each came with some fix pack."""

HOST_FIELDS = ("host_name", "status", "max", "njobs", "run", "ssusp", "ususp", "rsv", "comments")

_RECORDS = re.compile(r'"RECORDS"\s*:\s*\[')
_NUMBER = re.compile(r'"(?:JOBS|HOSTS)"\s*:\s*"?(\d{1,9})\b')
"""How many records there are to be."""

_BETWEEN = re.compile(r"\}\s*,\s*\{")
_SPACE = re.compile(r"[\s,]*")
_NOTHING = frozenset({"", "-", "N/A"})
_ID = re.compile(r"\d{1,18}(\[\d{1,9}\])?")


def read_jobs(text: str, account: str) -> Records:
    """The jobs in ``text``. ``account``: as :func:`~dynamiccluster.schedulers.lsf.uf_parse.read_uf`.

    :raises ValueError: the text was cut off, or is something else.
    """
    requests: dict[Request, Request] = {}
    for record in read_records(text, "bjobs"):
        if isinstance(record, Unreadable):
            yield record
            continue
        try:
            yield _job(record, account, requests)
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            yield Unreadable(f"{str(record.get('JOBID'))[:40]}: {error!r}")


def read_records(text: str, command: str) -> Iterator[dict[str, Any] | Unreadable]:
    """The ``RECORDS`` of one command, one after the other. Messages before the document are skipped.

    A record that is not JSON costs itself only: what follows the next ``}, {`` is read again.

    :raises ValueError: the text was cut off, or is not what ``command`` prints.
    """
    begins = _RECORDS.search(text, max(text.find("{"), 0))
    if begins is None:
        raise ValueError(f"there is no JSON with RECORDS in what {command} printed: {text.strip()[:80]!r}")
    at, decoder = begins.end(), json.JSONDecoder(strict=False)
    promised, read, odd = _NUMBER.search(text, 0, begins.start()), 0, False
    while True:
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # matches everywhere
        if text[at : at + 1] == "]":
            break
        try:
            record, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            following = _BETWEEN.search(text, at + 1)
            closing = text.find("]", text.rfind("}", at, text.rstrip().rfind("]") + 1))
            if following is None and closing < 0:
                raise ValueError(f"what {command} printed was cut off: it ends {text[-40:]!r}") from error
            odd = True
            yield Unreadable(f"not JSON ({error}); it begins {' '.join(text[at : at + 60].split())!r}")
            at = following.end() - 1 if following else closing
        else:
            read += 1
            yield record if isinstance(record, dict) else Unreadable("a record is no object")
    if "}" not in text[at:] or (promised is not None and not odd and read < int(promised[1])):
        raise ValueError(f"what {command} printed was cut off: it ends {text[-40:]!r}")


def _job(record: Mapping[str, str], account: str, requests: dict[Request, Request]) -> Record:
    job_id = record["JOBID"].strip()
    index = record.get("JOBINDEX", "").strip()
    if "[" not in job_id and index not in _NOTHING and index != "0":
        job_id = f"{job_id}[{index}]"
    if not _ID.fullmatch(job_id):
        raise ValueError("odd job id")
    request = Request(
        record["QUEUE"].strip(),
        record[_ACCOUNTS[account]].strip(),
        _slots(record),
        record["EFFECTIVE_RESREQ"].strip() or record.get("COMBINED_RESREQ", "").strip(),
        record.get("EXCLUSIVE", "").strip().upper() in ("Y", "YES"),
        tuple(re.split(r"[\s:,]+", _plain(record.get("ASK_HOSTS", "")))) if _plain(record.get("ASK_HOSTS", "")) else (),
        _plain(record["RUNTIMELIMIT"]).partition("/")[0].partition(" ")[0],
        _plain(record.get("GPU_NUM", "")),
    )
    return Record(
        job_id,
        record["STAT"].strip(),
        record["JOB_NAME"],
        record["USER"].strip(),
        requests.setdefault(request, request),
        record["SUBMIT_TIME"],
        _plain(record.get("SPECIFIED_START_TIME", "")),
        record["START_TIME"],
        exec_hosts(record["EXEC_HOST"]),
        record["PEND_REASON"],
        _plain(record.get("JOB_PRIORITY", "")),
    )


_ACCOUNTS = {"project": "PROJ_NAME", "user_group": "USER_GROUP", "user": "USER"}


def exec_hosts(text: str) -> tuple[str, ...]:
    """``cn01:cn01``, ``4*cn01:4*cn02``, ``-``: each host once."""
    if text.strip() in _NOTHING:
        return ()
    return tuple(dict.fromkeys(part.rpartition("*")[2] for part in text.strip().split(":") if part))


def _slots(record: Mapping[str, str]) -> str:
    """The least that will do: of ``-n 2,8`` the 2."""
    least = _plain(record.get("MIN_REQ_PROC", ""))
    return least if least.isdecimal() else _plain(record["NREQ_SLOT"]).replace(",", "-")


def _plain(text: str) -> str:
    text = text.strip()
    return "" if text in _NOTHING else text
