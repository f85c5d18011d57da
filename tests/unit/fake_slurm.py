"""A Slurm of a few dozen lines with the manners of the real one, behind the fake runner.

Its quirks were seen with 22.05.8: creating a node that exists, or one for which the node table has no room, or one
with unknown GPUs says nothing; partitions notice changed features only when a node is created. ``complains``: as with
24.11.5, the first two are refused, and the node that exists is deleted if it is free.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dynamiccluster.errors import UnknownOutcomeError
from dynamiccluster.kit.runner import Completed
from dynamiccluster.schedulers.slurm.shape_parse import host_names
from dynamiccluster.testing.runner import Call, FakeRunner

TOKEN = "~7~"
CONFIG = "SelectTypeParameters    = CR_CPU_MEMORY\nMaxNodeCount            = {}\nSLURM_VERSION           = 22.05.8\n"
PARTITIONS = (
    "PartitionName=main MaxNodes=UNLIMITED NodeSets=nodes_main Nodes= State=UP\n"
    "PartitionName=long MaxNodes=UNLIMITED NodeSets=nodes_long Nodes= State=UP\n"
    "PartitionName=all MaxNodes=UNLIMITED Nodes=ALL State=UP\n"
)


@dataclass
class FakeNode:
    name: str
    cores: int = 1
    memory: int = 1
    features: list[str] = field(default_factory=list)
    gres: str = "(null)"
    address: str = ""
    base: str = "FUTURE"
    flags: set[str] = field(default_factory=lambda: {"DYNAMIC_NORM"})
    used: int = 0
    reason: str = ""
    partitions: list[str] = field(default_factory=list)

    def show(self) -> str:
        reason = f" Reason={self.reason} [root@2026-11-20T08:00:00]" if self.reason else ""
        state = "+".join([self.base, *sorted(self.flags)])
        return (
            f"NodeName={self.name} CPUAlloc={self.used} CPUTot={self.cores} "
            f"AvailableFeatures={','.join(self.features) or '(null)'} Gres={self.gres} "
            f"NodeAddr={self.address or self.name} RealMemory={self.memory} AllocMem=0 State={state} "
            f"Partitions={','.join(self.partitions)} AllocTRES={reason}\n"
        )


class FakeSlurm:
    def __init__(self, max_nodes: int = 100, *, complains: bool = False) -> None:
        self.complains = complains
        self.nodes: dict[str, FakeNode] = {}
        self.max_nodes = max_nodes
        self.gres_types = {"gpu"}
        self.jobs = ""  # what squeue prints to a poll
        self.asked_jobs = ""  # what it prints when asked for certain jobs
        self.restarts = ""  # what it prints when asked how often jobs were started
        self.jobs_on: dict[str, list[str]] = {}
        self.licences = ""
        self.reservations = "No reservations in the system\n"
        self.limits = ""
        self.enforce = "none"
        self.hang_on: set[str] = set()  # verbs of scontrol that are executed, but never answered
        self.complaints: dict[str, str] = {}  # verb -> what it says instead of doing it
        self.runner = FakeRunner()
        self.runner.on(["scontrol"], self._scontrol)
        self.runner.on(["squeue"], self._squeue)
        self.runner.on(["scancel"], "")

    def node(self, name: str) -> FakeNode:
        return self.nodes[name]

    def changes(self) -> list[tuple[str, ...]]:
        """Command lines that changed something."""
        asks = ("show",)
        return [argv for argv in self.runner.argvs if argv[0] != "squeue" and not set(asks) & set(argv)]

    def _squeue(self, call: Call) -> Completed | str:
        if "-w" in call.argv:
            return "".join(f"{job_id}|\n" for job_id in self.jobs_on.get(call.argv[call.argv.index("-w") + 1], ()))
        if any("RestartCnt" in word for word in call.argv):
            return self.restarts
        if "-j" in call.argv or "JobID" in call.argv:
            return self.asked_jobs
        return self.jobs

    def _scontrol(self, call: Call) -> Completed | str:
        words = [word for word in call.argv[1:] if not word.startswith("-")]
        verb, named = words[0], dict(word.partition("=")[::2] for word in words[1:])
        if verb in self.complaints:
            return Completed(call.argv, 1, "", self.complaints[verb], 0.0)
        answer = getattr(self, f"_{verb}")(call, words, named)
        assert isinstance(answer, Completed | str)
        if verb in self.hang_on:
            raise UnknownOutcomeError(f"{verb} did not end")
        return answer

    def _show(self, call: Call, words: list[str], named: dict[str, str]) -> Completed | str:
        match words[1]:
            case "config":
                return CONFIG.format(self.max_nodes) + f"AccountingStorageEnforce = {self.enforce}\n"
            case "partition":
                return PARTITIONS
            case "licenses":
                return self.licences
            case "reservation":
                return self.reservations
            case "assoc_mgr":
                return self.limits
        if len(words) > 2:
            found = self.nodes.get(words[2])
            return found.show() if found else Completed(call.argv, 1, "", f"Node {words[2]} not found\n", 0.0)
        return "".join(node.show() for node in self.nodes.values()) or "No nodes in the system\n"

    def _create(self, call: Call, words: list[str], named: dict[str, str]) -> Completed | str:
        for name in host_names(named["nodename"]):
            if name in self.nodes or len(self.nodes) >= self.max_nodes:
                if not self.complains:
                    continue
                said = "Node already exists in the node table"
                if name not in self.nodes:
                    said = "Unable to add node, node table is full"
                elif not self.nodes[name].used:
                    del self.nodes[name]
                return Completed(call.argv, 1, "", f"scontrol: error: {said} ({name})\n", 0.0)
            gres = named.get("Gres", "(null)")
            self.nodes[name] = FakeNode(
                name,
                int(named.get("CPUs", "1")),
                int(named.get("RealMemory", "1")),
                named["Feature"].split(",") if "Feature" in named else [],
                gres if gres.partition(":")[0] in self.gres_types else "(null)",
                named.get("nodeaddr", ""),
                named["state"],
            )
        self._refresh()
        return ""

    def _refresh(self) -> None:
        for node in self.nodes.values():
            by_feature = [name for name in ("main", "long") if f"queue_{name}" in node.features]
            node.partitions = [*by_feature, "all"]

    def _update(self, call: Call, words: list[str], named: dict[str, str]) -> Completed | str:
        if "nodename" not in named:
            return ""
        node = self.nodes.get(named["nodename"])
        if node is None:
            return Completed(call.argv, 1, "", "slurm_update error: Invalid node name specified\n", 0.0)
        if "nodeaddr" in named:
            node.address = named["nodeaddr"]
        if "availablefeatures" in named:
            node.features = named["availablefeatures"].split(",")
        match named.get("state"):
            case "DRAIN":
                node.flags.add("DRAIN")
                node.reason = named["reason"]
            case "UNDRAIN":
                node.flags.discard("DRAIN")
                node.flags.add("NOT_RESPONDING")
                node.reason = ""
            case "DOWN":
                node.base, node.used = "DOWN", 0
                node.flags.discard("COMPLETING")
                node.reason = named["reason"]
        return ""

    def _delete(self, call: Call, words: list[str], named: dict[str, str]) -> Completed | str:
        node = self.nodes.get(named["nodename"])
        if node is None:
            return Completed(call.argv, 1, "", "delete_node: Invalid node name specified\n", 0.0)
        if node.used or "COMPLETING" in node.flags:
            return Completed(call.argv, 1, "", "delete_node: Requested nodes are busy\n", 0.0)
        del self.nodes[node.name]
        return ""

    def _requeue(self, call: Call, words: list[str], named: dict[str, str]) -> str:
        return ""

    def _release(self, call: Call, words: list[str], named: dict[str, str]) -> str:
        return ""
