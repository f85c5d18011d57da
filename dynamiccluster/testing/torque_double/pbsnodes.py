"""``pbsnodes``: nodes listed, held, released, annotated."""

from __future__ import annotations

from xml.sax.saxutils import escape

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.cluster import Node, is_six, news, ranges, state_words
from dynamiccluster.testing.torque_double.qstat import version

_UNSENT = (
    "The updated okclients list hasn't been sent out to the cluster yet. The node(s) will automatically update to "
    "free once this is done and the mom has reported in."
)

_NO_NODES = "pbsnodes: Server has no node list  MSG=node list is empty - check 'server_priv/nodes' file"
"""Not recorded: the text stands in Torque's sources."""


def pbsnodes(call: Call, state: State) -> int:
    """:returns: 1 for an unknown node that is to be listed; 0 for one that is to be changed (recorded)."""
    flags: set[str] = set()
    words: list[str] = []
    note: str | None = None
    arguments = list(call.arguments)
    while arguments:
        word = arguments.pop(0)
        if word == "--version":
            version(call, state)
            return 0
        if word == "-N":
            note = arguments.pop(0) if arguments else ""
        elif word.startswith("-") and len(word) > 1:
            flags |= set(word[1:])
        else:
            words.append(word)
    if flags & {"o", "c", "r"} or note is not None:
        return _change(call, state, flags, words, note)
    if "l" in flags:
        return _short(call, state, flags, words)
    for word in words:
        if word not in state["nodes"]:
            call.complain("pbsnodes: Unknown node  MSG=cannot locate specified node")
            return 1
    if not state["nodes"]:
        call.complain(_NO_NODES)
        return 1
    nodes = {word: state["nodes"][word] for word in words} or state["nodes"]
    if "x" in flags:
        rows = "".join(f"<Node>{_xml(facts(state, name, node))}</Node>" for name, node in nodes.items())
        call.say(f"<Data>{rows}</Data>")
        return 0
    for name, node in nodes.items():
        call.say(name, *(f"     {key} = {value}" for key, value in facts(state, name, node)[1:]), "")
    return 0


def facts(state: State, name: str, node: Node) -> list[tuple[str, str]]:
    """A node's attributes in the order in which they are printed."""
    six = is_six(state)
    found = [("name", name), ("state", ",".join(state_words(node)))]
    if six:
        found.append(("power_state", "Running"))
    found.append(("np", str(node["np"])))
    if node["properties"]:
        found.append(("properties", ",".join(node["properties"])))
    found.append(("ntype", "cluster"))
    if node["jobs"]:
        jobs = (f"{ranges(slots)}/{job_id}.{state['host']}" for slots, job_id in node["jobs"])
        found.append(("jobs", ",".join(jobs)))
    if node["status"]:
        found.append(("status", ",".join(f"{key}={value}" for key, value in node["status"])))
    if node["note"]:
        found.append(("note", node["note"]))
    return [*found, ("mom_service_port", "15002"), ("mom_manager_port", "15003")]


def _xml(found: list[tuple[str, str]]) -> str:
    return "".join(f"<{key}>{escape(value)}</{key}>" for key, value in found)


def _change(call: Call, state: State, flags: set[str], words: list[str], note: str | None) -> int:
    for word in words:
        node = state["nodes"].get(word)
        trouble = "Unknown node " if node is None else _UNSENT if node["unsent_until"] and "o" in flags else ""
        if node is None or trouble:
            call.complain(f"Error setting note attribute for {word} - {trouble}")
            continue
        if note is not None:
            node["note"] = note
        if "o" in flags:
            node["offline"] = True
        if flags & {"c", "r"}:
            node["offline"] = False
            news(state, state["now"])
    return 0


def _short(call: Call, state: State, flags: set[str], words: list[str]) -> int:
    """``-l [STATE]``: nodes that cannot be used, or those in that state; with ``-n`` their notes."""
    wanted = words[0] if words else "down"
    for name, node in state["nodes"].items():
        found = state_words(node)
        if wanted == "all" or (wanted == "down" and {"down", "offline"} & set(found)) or wanted in found:
            note = node["note"] if "n" in flags else ""
            shown = ",".join(found)
            call.say(
                f"{name:<20} {shown:<23}{'   ' if note else ''} {note}".rstrip() if note else f"{name:<20} {shown}"
            )
    return 0
