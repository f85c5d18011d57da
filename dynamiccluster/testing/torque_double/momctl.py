"""``momctl``: what a mom says of itself."""

from __future__ import annotations

from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State
from dynamiccluster.testing.torque_double.moms import beat


def momctl(call: Call, state: State) -> int:
    """``-d LEVEL -h HOST``, ``-s -h HOST`` (shut down). Of the diagnosis only the head is given, as at level 0."""
    words = call.arguments
    host = words[words.index("-h") + 1] if "-h" in words[:-1] else state["host"]
    facts = beat(call.place, state, host, state["now"])
    if facts is None or facts.get("stopped"):
        call.complain(f"cannot connect to MOM on node '{host}', errno=111 (Connection refused)")
        return 1
    if "-s" in words:
        if host in state["moms"]:
            state["moms"][host].update(silent_since=state["now"], stopped=True)
        call.say(f"{host}:   shutdown request successful on {host}")
        return 0
    address = call.place.address_of(host)
    call.say("", f"Host: {host}/{host}   Version: {state['version']}   IP address: {address}   PID: 45")
    call.say(f"Server[0]: {state['host']} ({state['address']}:15001)", "", "diagnostics complete", "")
    return 0
