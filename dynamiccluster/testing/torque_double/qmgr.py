"""``qmgr -c``: nodes made, changed and taken away; attributes of queues and server."""

from __future__ import annotations

import re

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.advance import advance
from dynamiccluster.testing.torque_double.cluster import is_six, new_node, news
from dynamiccluster.testing.torque_double.pbsnodes import facts

_DELETE_S = 2.0
_LOST = (
    "The server was unable to communicate with the MOM to requeue or delete the job. The node has been deleted and "
    "all jobs on the node have been purged."
)
_CHANGE = re.compile(r'\s*(?P<key>[\w.]+)\s*(?P<sign>[+-]?=)\s*(?P<value>"[^"]*"|[^,\s"]*)\s*(?:,|$)')
_NO_ATTRIBUTE = "qmgr: Syntax error - cannot locate attribute"


def qmgr(call: Call) -> int:
    """Takes the lock itself: ``delete node`` waits without it."""
    commands = [word for at, word in enumerate(call.arguments) if at and call.arguments[at - 1] == "-c"]
    lines = commands or call.stdin.splitlines()
    code = 0
    for line in lines:
        code = _one(call, line.strip()) or code
    return code


def _one(call: Call, line: str) -> int:
    words = line.split(None, 3)
    if len(words) < 2:
        call.complain(f"qmgr: Syntax error - cannot locate object type\n{line}")
        return 2
    verb, kind = words[0], words[1]
    name = words[2] if len(words) > 2 else ""
    rest = words[3] if len(words) > 3 else ""
    if verb.startswith("d") and kind.startswith("n"):
        return _delete_node(call, name)
    with call.place.locked() as state:
        advance(call.place, state, call.place.now())
        if verb in ("list", "print", "l", "p"):
            return _show(call, state, verb, kind, name)
        if call.user != "root" and call.user not in state["server"]["managers"]:
            return _refuse(call, name, "Unauthorized Request ")
        if kind.startswith("n"):
            return _node(call, state, verb, name, rest, line)
        return _other(call, state, verb, kind, line)


def _refuse(call: Call, name: str, text: str) -> int:
    call.complain(f"qmgr obj={name} svr=default: {text}")
    return 2


def _node(call: Call, state: State, verb: str, name: str, rest: str, line: str) -> int:
    if verb.startswith("c"):
        if name in state["nodes"]:
            return _refuse(call, name, "Node name already exists")
        if not call.place.resolves(name):
            return _refuse(call, name, "Unknown node ")
        changes = attributes(rest)
        if changes is None:
            return _syntax(call, line, rest)
        node = new_node(1, state["now"], six=is_six(state), unsent_s=state["unsent_s"])
        state["nodes"][name] = node
    else:
        if name not in state["nodes"]:
            return _refuse(call, name, "Unknown node ")
        changes = attributes(rest)
        if changes is None:
            return _syntax(call, line, rest)
        node = state["nodes"][name]
    for key, operator, value in changes:
        if key == "np":
            node["np"] = int(value)
        elif key == "properties":
            given = [word for word in value.split(",") if word]
            old = node["properties"]
            if operator == "+=":
                node["properties"] = [*old, *(word for word in given if word not in old)]
            else:
                node["properties"] = [word for word in old if word not in given] if operator == "-=" else given
        elif key == "note":
            node["note"] = value
        elif key == "state":
            words = set(value.split(","))
            kept = node["offline"] if operator == "+=" or (operator == "-=" and "offline" not in words) else False
            node["offline"] = kept or ("offline" in words and operator != "-=")
        else:
            return _syntax(call, line, rest)
    news(state, state["now"])
    return 0


def attributes(text: str) -> list[tuple[str, str, str]] | None:
    """``np = 4,properties="a,b"`` as changes; ``None`` where ``qmgr`` finds no attribute (blanks between two)."""
    changes = []
    while text.strip():
        found = _CHANGE.match(text)
        if found is None:
            return None
        changes.append((found["key"], found["sign"], found["value"].strip('"')))
        text = text[found.end() :]
    return changes


def _syntax(call: Call, line: str, rest: str) -> int:
    """The caret stands under the character at which the next attribute begins."""
    at = line.find(rest) + rest.find(" ") + 1
    call.complain(_NO_ATTRIBUTE, line, f"{'':{max(at, 0)}}^")
    return 2


def _delete_node(call: Call, name: str) -> int:
    with call.place.locked() as state:
        now = call.place.now()
        advance(call.place, state, now)
        node = state["nodes"].get(name)
        if node is None:
            return _refuse(call, name, "Unknown node ")
        if not is_six(state):  # jobs on it stay R on a node that is not there any more (recorded)
            del state["nodes"][name]
            return 0
        busy = bool(node["jobs"])
        if busy and name not in state["deletions"]:
            state["deletions"][name] = {"job": "", "since": now, "done_at": 0}
        if not busy:
            del state["nodes"][name]
    if not busy:
        call.wait(_DELETE_S)
        return 0
    while True:
        call.look_again()
        with call.place.locked() as state:
            advance(call.place, state, call.place.now())
            if state["deletions"].get(name, {"done_at": 1})["done_at"]:
                break
    call.wait(_DELETE_S)
    return _refuse(call, name, _LOST)


def _show(call: Call, state: State, verb: str, kind: str, name: str) -> int:
    if kind.startswith("s"):
        if verb.startswith("p"):
            _print_server(call, state)
        else:
            call.say(f"Server {state['host']}", "\tserver_state = Active")
            call.say(*(f"\t{key} = {value}" for key, value in state["server"].items()), "")
        return 0
    if kind.startswith("n"):
        names = list(state["nodes"]) if name.startswith("@") or not name else [name]
        if any(one not in state["nodes"] for one in names):
            return _refuse(call, name, "Unknown node ")
        if verb.startswith("p"):
            _print_nodes(call, state, names)
        else:
            for one in names:
                _list_node(call, state, one)
        return 0
    names = list(state["queues"]) if name.startswith("@") or not name else [name]
    if any(one not in state["queues"] for one in names):
        return _refuse(call, name, "Unknown queue ")
    for one in names:
        call.say(*_queue_lines(state, one))
    return 0


def _queue_lines(state: State, name: str) -> list[str]:
    values = [(key, value) for key, value in state["queues"][name].items() if key != "mtime"]
    return [
        "#",
        f"# Create and define queue {name}",
        "#",
        f"create queue {name}",
        *(f"set queue {name} {key} = {value}" for key, value in values),
    ]


def _print_server(call: Call, state: State) -> None:
    call.say("#", "# Create queues and set their attributes.", "#")
    for name in state["queues"]:
        call.say(*_queue_lines(state, name))
    call.say("#", "# Set server attributes.", "#")
    call.say(*(f"set server {key} = {value}" for key, value in state["server"].items()))


def _list_node(call: Call, state: State, name: str) -> None:
    call.say(f"Node {name}")
    for key, value in facts(state, name, state["nodes"][name])[1:]:
        call.say(f"\t{key} = {_wrapped(value)}")
    call.say("")


def _wrapped(value: str, width: int = 62, first: int = 62) -> str:
    """Broken after commas; the lines that follow are indented."""
    lines: list[str] = []
    for piece in value.split(","):
        limit = first if len(lines) < 2 else width
        if lines and len(lines[-1]) + len(piece) + 2 <= limit:
            lines[-1] += f",{piece}"
        else:
            lines.append(piece)
    return ",\n                 ".join(lines)


def _print_nodes(call: Call, state: State, names: list[str]) -> None:
    call.say("#", "# Create nodes and set their properties.", "#")
    for name in names:
        call.say("#", f"# Create and define node {name}", "#", f"create node {name}")
        for key, value in facts(state, name, state["nodes"][name])[1:]:
            if key in ("power_state", "jobs", "mom_service_port", "mom_manager_port"):
                continue
            for at, part in enumerate(value.split(",") if key != "note" else [value]):
                call.say(f"set node {name} {key} {'+=' if at else '='} {part}")


def _other(call: Call, state: State, verb: str, kind: str, line: str) -> int:
    """``set server A = V``, ``set queue Q A = V``, ``create queue Q``, ``unset ...``."""
    words = line.split(None, 2 if kind.startswith("s") else 3)
    if kind.startswith("s"):
        target, rest = state["server"], words[2] if len(words) > 2 else ""
    else:
        name, rest = words[2], words[3] if len(words) > 3 else ""
        if verb.startswith("c"):
            state["queues"][name] = {"mtime": int(state["now"])}
        if name not in state["queues"]:
            return _refuse(call, name, "Unknown queue ")
        if verb.startswith("d"):
            del state["queues"][name]
            return 0
        target = state["queues"][name]
    if verb.startswith("u"):
        target.pop(rest.strip(), None)
        return 0
    for part in [piece for piece in rest.split(",") if "=" in piece]:
        key, _, value = part.partition("=")
        target[key.strip()] = value.strip()
    news(state, state["now"])
    return 0
