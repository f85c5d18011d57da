"""An LSF of a few dozen lines with the manners of the recorded OpenLava 4.0, behind the fake runner."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from dynamiccluster.errors import UnknownOutcomeError
from dynamiccluster.kit.runner import Completed
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.lsf.adapter import LsfScheduler, LsfSettings
from dynamiccluster.testing.runner import Call, FakeRunner

NOW = 1_795_158_000.0  # 2026-11-20 07:00 UTC, some minutes after the recordings
SMALL = Resource("small", "x", "t", Capacity(4, 4000), max_nodes=3, features=frozenset({"fast"}))
MARK = "dynamiccluster:c1:n1"

OPENLAVA = "OpenLava 4.0dev4, Nov 20 2026\n\nMy cluster name is openlava\nMy master name is hn01\n"
LSF = "IBM Spectrum LSF Standard 10.1.0.13, Apr 15 2022\n\nMy cluster name is c1\nMy master name is hn01\n"
LOAD = """
 CURRENT LOAD USED FOR SCHEDULING:
              r15s   r1m  r15m    ut    pg    io   ls    it   tmp   swp   mem
 Total         2.3   7.5   8.4   99%   0.0     0    0 2e+08   72G    0M   19G
 Reserved      0.0   0.0   0.0    0%   0.0     0    0     0    0M    0M  {}M


 LOAD THRESHOLD USED FOR SCHEDULING:
           r15s   r1m  r15m   ut      pg    io   ls    it    tmp    swp    mem
 loadSched   -     -     -     -       -     -    -     -     -      -      -
 loadStop    -     -     -     -       -     -    -     -     -      -      -

"""
BAD_HOST = "Bad host name, host group name or cluster name\n"


class FixedClock:
    def now(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 0.0


@dataclass
class FakeHost:
    name: str
    words: list[str] = field(default_factory=lambda: ["fast"])
    slots: int = 4
    cores: int | None = None  # None: its LIM has not reported
    memory: int = 4000
    status: str = "unavail"
    load: str = "unavail"
    jobs: int = 0
    message: str = ""
    static: bool = False
    in_lim: bool = True
    in_batch: bool = True
    reserved: int = 0


class FakeLsf:
    def __init__(self, version: str = OPENLAVA) -> None:
        self.version = version
        self.hosts: dict[str, FakeHost] = {}
        self.booleans = ["fast", "big", "queue_long", "cs"]
        self.queues = {"main": "", "long": "select[queue_long]"}
        self.uf = ""  # what bjobs -UF prints
        self.json_jobs: list[dict[str, str]] = []
        self.arrays = ""  # what bjobs -A -w prints
        self.places: dict[str, str] = {}  # job -> EXEC_HOST
        self.stubborn: set[str] = set()  # jobs that only bkill -r ends
        self.told: list[tuple[str, ...]] = []  # about jobs
        self.names: set[str] | None = None  # that resolve; None: all
        self.unknown_fields: set[str] = set()
        self.no_json: set[str] = set()  # programs without -json
        self.no_slots_option = False
        self.complaints: dict[str, tuple[int, str]] = {}  # program or verb -> what it says instead
        self.hang: set[str] = set()
        self.sneaky = ""  # a host that gets a job at the moment it is closed
        self.runner = FakeRunner()
        self.runner.on(lambda argv: True, self._run)

    def host(self, name: str, **changes: object) -> FakeHost:
        """One that is up."""
        host = self.hosts[name] = FakeHost(name, cores=4, status="ok", load="ok")
        for key, value in changes.items():
            setattr(host, key, value)
        return host

    def changes(self) -> list[tuple[str, ...]]:
        """Command lines that changed something."""
        asks = ("lsid", "lsinfo", "lshosts", "lsload", "bhosts", "bjobs", "bqueues")
        return [argv for argv in self.runner.argvs if not argv[0].endswith(asks)]

    def programs(self) -> list[str]:
        return [argv[0] for argv in self.runner.argvs]

    def _run(self, call: Call) -> Completed | str:
        words = list(call.argv)
        while words[0] in ("sudo", "-n", "env", "-u", "LSB_BJOBS_FORMAT") or "=" in words[0]:
            del words[0]
        program, *arguments = [word for word in words if word != "-X"]
        program = program.rpartition("/")[2]
        verb = arguments[0] if program in ("badmin", "lsadmin") else ""
        for key in (verb, program):
            if key in self.complaints:
                code, text = self.complaints[key]
                return Completed(call.argv, code, "", text, 0.0)
            if key in self.hang:
                raise UnknownOutcomeError(f"{key} did not end within 30 s and was killed")
        answer = getattr(self, f"_{program}")(call, list(arguments))
        assert isinstance(answer, Completed | str)
        return answer

    def _fail(self, call: Call, text: str, code: int = 255) -> Completed:
        return Completed(call.argv, code, "", text, 0.0)

    def _lsid(self, call: Call, words: list[str]) -> str:
        return self.version

    def _lsinfo(self, call: Call, words: list[str]) -> str:
        rows = "".join(f"{name:13} Boolean   N/A   Words\n" for name in self.booleans)
        return f"RESOURCE_NAME   TYPE   ORDER  DESCRIPTION\nmem           Numeric   Dec   Available memory\n{rows}"

    def _bqueues(self, call: Call, words: list[str]) -> str:
        return "".join(
            f"\nQUEUE: {name}\n  -- words\n\nUSERS:  all users\nHOSTS:  all hosts used by the OpenLava system\n"
            + (f"RES_REQ:  {wanted}\n" if wanted else "")
            for name, wanted in self.queues.items()
        )

    def _lshosts(self, call: Call, words: list[str]) -> str:
        rows = ["HOST_NAME                       type       model  cpuf ncpus maxmem maxswp server RESOURCES\n"]
        for host in self.hosts.values():
            if host.in_lim:
                has = f"{host.cores:5d} {host.memory:5d}M" if host.cores is not None else f"{'-':>5} {'-':>6}"
                rows.append(f"{host.name:25} linux     IntelI5 100.0 {has}      -    Yes ({' '.join(host.words)})\n")
        return "".join(rows)

    def _lsload(self, call: Call, words: list[str]) -> str:
        rows = ["HOST_NAME               status  r15s   r1m  r15m   ut    pg    io  ls    it   tmp   swp   mem\n"]
        for host in self.hosts.values():
            if host.in_lim:
                figures = "   5.6  15.0  17.1  99%   0.0     0   0 2e+08   72G    0M   19G" if host.load == "ok" else ""
                rows.append(f"{host.name:23} {host.load:>6}{figures}\n")
        return "".join(rows)

    def _bhosts(self, call: Call, words: list[str]) -> Completed | str:
        known = {name: host for name, host in self.hosts.items() if host.in_batch}
        if words[0] != "-l" and "bhosts" in self.no_json:
            return self._fail(call, "bhosts: invalid option -- 'o'\nUsage:\nbhosts [-h]\n")
        if words[-1] not in ("-l", "-json"):
            if words[-1] not in known:
                return self._fail(call, f"{words[-1]}: {BAD_HOST}")
            known = {words[-1]: known[words[-1]]}
        if words[0] == "-o":
            records = [self._record(host) for host in known.values()]
            return "LSF is down. Please wait ...\n" + json.dumps(
                {"COMMAND": "bhosts", "HOSTS": len(records), "RECORDS": records}
            )
        return "".join(self._long(host) for host in (known or {"": FakeHost("hn01", slots=0)}).values())

    def _record(self, host: FakeHost) -> dict[str, str]:
        figures = {"MAX": str(host.slots), "NJOBS": str(host.jobs), "RUN": str(host.jobs)}
        zeros = dict.fromkeys(("SSUSP", "USUSP", "RSV"), "0")
        return {"HOST_NAME": host.name, "STATUS": host.status, **figures, **zeros, "COMMENTS": host.message}

    def _long(self, host: FakeHost) -> str:
        message = f'\nADMIN ACTION MESSAGE: "{host.message}"\n' if host.message else ""
        return (
            f"HOST  {host.name}\n"
            "STATUS           CPUF  JL/U    MAX  NJOBS    RUN  SSUSP  USUSP    RSV DISPATCH_WINDOW\n"
            f"{host.status:15}100.00     -  {host.slots:5}  {host.jobs:5}  {host.jobs:5}      0      0      0      -\n"
            f"{LOAD.format(host.reserved)}{message}\n"
        )

    def _bjobs(self, call: Call, words: list[str]) -> Completed | str:
        if "-A" in words:
            return self.arrays or self._fail(call, "No unfinished job found\n")
        if "-o" in words:
            fields = words[words.index("-o") + 1].split()
            wrong = next((name for name in fields if name in self.unknown_fields), "")
            if "bjobs" in self.no_json:
                return self._fail(call, "bjobs: invalid option -- 'o'\nUsage: bjobs [-h]\n")
            if wrong:
                return self._fail(call, f"bjobs: <{wrong}> is not a valid field name\n")
            return json.dumps({"COMMAND": "bjobs", "JOBS": len(self.json_jobs), "RECORDS": self.json_jobs})
        if words[0] == "-w":
            place = self.places.get(words[1])
            if place is None:
                return self._fail(call, f"Job <{words[1]}> is not found\n")
            number = words[1].partition("[")[0]
            return (
                "JOBID   USER    STAT  QUEUE      FROM_HOST   EXEC_HOST   JOB_NAME   SUBMIT_TIME\n"
                f"{number:7} bob     {'RUN' if place != '-' else 'PEND'}   normal     hn01        {place}   x y\n"
                "999     root    RUN   normal     hn01        small-1   forged     Nov 20 06:54\n"
            )
        return self.uf or self._fail(call, "No unfinished job found\n")

    def _badmin(self, call: Call, words: list[str]) -> Completed:
        verb, name = words[0], words[-1]
        host = self.hosts.get(name)
        if host is None or not host.in_batch:
            return self._fail(call, BAD_HOST)
        if verb == "hclose":
            host.status, host.message = "closed_Adm", words[2]
            host.jobs += self.sneaky == name
        else:
            host.status, host.message = "ok", ""
        return Completed(call.argv, 0, "", f"{verb[1:].title()} <{name}> ...... done\n", 0.0)

    def _brequeue(self, call: Call, words: list[str]) -> Completed:
        return self._about_jobs(call, "brequeue", words, "requeued")

    def _bkill(self, call: Call, words: list[str]) -> Completed:
        return self._about_jobs(call, "bkill", words, "terminated")

    def _about_jobs(self, call: Call, program: str, words: list[str], done: str) -> Completed:
        self.told.append((program, *words))
        said, complaints = [], []
        for job_id in words:
            if job_id.startswith("-"):
                continue
            if job_id not in self.places:
                complaints.append(f"Job <{job_id}> : No matching job found\n")
                continue
            if program == "brequeue" and job_id in self.stubborn and self.places[job_id] != "-":
                complaints.append(f"Job <{job_id}> : Slave batch daemon not responding ... request is kept\n")
                continue
            said.append(f"Job <{job_id}> is being {done}\n")
            if job_id not in self.stubborn or "-r" in words:
                self.places[job_id] = "-"
        return Completed(call.argv, 255 if complaints else 0, "".join(said), "".join(complaints), 0.0)

    def _lsaddhost(self, call: Call, words: list[str]) -> Completed | str:
        name = words[-1]
        if self.no_slots_option and "-M" in words:
            return self._fail(call, "lsaddhost: invalid option -- 'M'\nlsaddhost: [-h] [-V] -m model\n")
        if self.names is not None and name not in self.names:
            return self._fail(call, f"main: invalid hostname {name}\n")
        if name in self.hosts and self.hosts[name].in_lim:
            return self._fail(call, "ls_addhost: Migrant host already known to master LIM\n")
        words_of = words[words.index("-R") + 1].split() if "-R" in words else []
        slots = int(words[words.index("-M") + 1]) if "-M" in words else 4
        self.hosts[name] = FakeHost(name, words_of, slots, in_batch=False)
        return f"Host {name} added.\n"

    def _lsrmhost(self, call: Call, words: list[str]) -> Completed | str:
        name = words[-1]
        if self.names is not None and name not in self.names:
            return self._fail(call, f"main: invalid hostname {name}\n")
        if name not in self.hosts or self.hosts[name].static:
            return self._fail(call, "ls_rmhost: Bad arguments\n")
        self.hosts[name].in_lim = False
        return f"Host {name} removed.\n"

    def _lsadmin(self, call: Call, words: list[str]) -> Completed | str:
        self.hosts.pop(words[-1], None)
        return ""


def adapter(lsf: FakeLsf, settings: LsfSettings | None = None, **options: object) -> LsfScheduler:
    return LsfScheduler(lsf.runner, FixedClock(), "c1", settings=settings, **options)  # type: ignore[arg-type]
