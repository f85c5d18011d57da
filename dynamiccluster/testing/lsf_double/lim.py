"""What LIM knows: ``lsid``, ``lshosts``, ``lsload``, ``lsinfo``; and hosts that come and go at run time."""

from __future__ import annotations

from dynamiccluster.testing.lsf_double.bjobs_json import say
from dynamiccluster.testing.lsf_double.cluster import LSF, new_host
from dynamiccluster.testing.lsf_double.life import lose
from dynamiccluster.testing.stand_in.call import Call
from dynamiccluster.testing.stand_in.place import State

_NUMERIC = """r15s          Numeric   Inc   15-second CPU run queue length
r1m           Numeric   Inc   1-minute CPU run queue length (alias: cpu)
r15m          Numeric   Inc   15-minute CPU run queue length
ut            Numeric   Inc   1-minute CPU utilization (0.0 to 1.0)
pg            Numeric   Inc   Paging rate (pages/second)
io            Numeric   Inc   Disk IO rate (Kbytes/second)
ls            Numeric   Inc   Number of login sessions (alias: login)
it            Numeric   Dec   Idle time (minutes) (alias: idle)
tmp           Numeric   Dec   Disk space in /tmp (Mbytes)
swp           Numeric   Dec   Available swap space (Mbytes) (alias: swap)
mem           Numeric   Dec   Available memory (Mbytes)
ncpus         Numeric   Dec   Number of CPUs
ndisks        Numeric   Dec   Number of local disks
maxmem        Numeric   Dec   Maximum memory (Mbytes)
maxswp        Numeric   Dec   Maximum swap space (Mbytes)
maxtmp        Numeric   Dec   Maximum /tmp space (Mbytes)
cpuf          Numeric   Dec   CPU factor
rexpri        Numeric   N/A   Remote execution priority
slots         Numeric   Dec   Available slots (MBD slots resource)
maxslots      Numeric   Dec   Available MXJ slots (MBD MXJ resource)
server        Boolean   N/A   LSF server host
fs            Boolean   N/A   File server"""
_STRINGS = """type           String   N/A   Host type
model          String   N/A   Host model
status         String   N/A   Host status
hname          String   N/A   Host name"""


def lsid(call: Call, state: State) -> int:
    if state["dialect"] == LSF:
        call.say("IBM Spectrum LSF Standard 10.1.0.0, Jul 08 2016", "Copyright International Business Machines Corp.")
    else:
        call.say("OpenLava 4.0dev4, Nov 20 2026")
    call.say("", f"My cluster name is {state['cluster']}", f"My master name is {state['master']}")
    return 0


def _in_order(state: State) -> list[str]:
    """Hosts that were added at run time stand first, the newest before all."""
    added = [name for name, host in state["hosts"].items() if not host["static"]]
    return [*reversed(added), *(name for name, host in state["hosts"].items() if host["static"])]


def lshosts(call: Call, state: State) -> int:
    words = [word for word in call.arguments if not word.startswith("-")]
    if "-o" in call.arguments or "-json" in call.arguments:
        return _lshosts_json(call, state)
    for word in words:
        if word not in state["hosts"]:
            call.complain(f"lshosts: {word}: bad host name")
            return 255
    names = words or _in_order(state)
    if "-l" in call.arguments:
        for name in names:
            _lshosts_long(call, state, name)
        return 0
    wide = "-w" in call.arguments
    call.say(
        "HOST_NAME                       type       model  cpuf ncpus maxmem maxswp server RESOURCES"
        if wide
        else "HOST_NAME      type    model  cpuf ncpus maxmem maxswp server RESOURCES"
    )
    for name in names:
        host = state["hosts"][name]
        memory = f"{host['maxmem']}M" if host["maxmem"] else "-"
        start = (
            f"{name:<25} {host['type']:>10} {host['model']:>11}"
            if wide
            else f"{name[:11]:<11} {host['type']:>7} {host['model']:>8}"
        )
        call.say(
            f"{start} {host['cpuf']:>5.1f} {host['ncpus'] or '-':>5} {memory:>6} {'-':>6} {'Yes':>6} "
            f"{_resources(state, name)}"
        )
    return 0


def _resources(state: State, name: str) -> str:
    """In the order of ``lsf.shared``."""
    host = state["hosts"][name]
    return f"({' '.join(word for word in state['shared'] if word in host['resources'])})"


def _lshosts_long(call: Call, state: State, name: str) -> None:
    host = state["hosts"][name]
    memory = f"{host['maxmem']}M" if host["maxmem"] else "-"
    call.say("", f"HOST_NAME:  {name}")
    call.say("type             model  cpuf ncpus ndisks maxmem maxswp maxtmp rexpri server")
    call.say(
        f"{host['type']:<11} {host['model']:>10} {host['cpuf']:>5.1f} {host['ncpus'] or '-':>5} {0:>6} {memory:>6} "
        f"{'0M':>6} {'258019M':>6} {0:>6} {'Yes':>6}"
    )
    call.say("", f"RESOURCES: {_resources(state, name)}", "RUN_WINDOWS:  (always open)", "", "LOAD_THRESHOLDS:")
    call.say("  r15s   r1m  r15m   ut    pg    io   ls   it   tmp   swp   mem")
    call.say("     -     -     -    -     -     -    -    -     -     -     -")


def _lshosts_json(call: Call, state: State) -> int:
    if state["dialect"] != LSF:
        call.complain("lshosts: invalid option -- 'o'")
        return 255
    rows = []
    for name in _in_order(state):
        host = state["hosts"][name]
        rows.append(
            {
                "HOST_NAME": name,
                "TYPE": host["type"],
                "MODEL": host["model"],
                "CPUF": f"{host['cpuf']:.1f}",
                "NCPUS": str(host["ncpus"] or "-"),
                "MAXMEM": f"{host['maxmem']}M" if host["maxmem"] else "-",
                "MAXSWP": "-",
                "SERVER": "Yes",
                "RESOURCES": _resources(state, name).strip("()"),
            }
        )
    say(call, "lshosts", "HOSTS", rows)
    return 0


def lsload(call: Call, state: State) -> int:
    """Hosts with the least load first; what LIM has not heard of stands last."""
    long = "-l" in call.arguments
    call.say(
        "HOST_NAME               status  r15s   r1m  r15m   ut    pg    io  ls    it   tmp   swp   mem"
        if long
        else "HOST_NAME       status  r15s   r1m  r15m   ut    pg  ls    it   tmp   swp   mem"
    )
    known = [name for name in _in_order(state) if state["hosts"][name]["lim"] == "ok" and state["hosts"][name]["load"]]
    known.sort(key=lambda name: (state["hosts"][name]["rank"], state["hosts"][name]["load"]["r15s"], name))
    width = 23 if long else 15
    for name in known:
        load = state["hosts"][name]["load"]
        io = f" {load['io']:>5}" if long else ""
        call.say(
            f"{name[:width]:<{width}} {'ok':>6} {load['r15s']:>5.1f} {load['r1m']:>5.1f} {load['r15m']:>5.1f} "
            f"{load['ut']:>3}% {load['pg']:>5.1f}{io} {load['ls']:>3} {load['it']:>5} {load['tmp']:>5} "
            f"{load['swp']:>5} {load['mem']:>5}"
        )
    for name in _in_order(state):
        if name not in known:
            call.say(f"{name[:width]:<{width}} {'unavail':>6}")
    return 0


def lsinfo(call: Call, state: State) -> int:
    call.say("RESOURCE_NAME   TYPE   ORDER  DESCRIPTION", *_NUMERIC.splitlines())
    call.say(*(f"{name:<13} Boolean   N/A   {text}" for name, text in state["shared"].items()))
    call.say(*_STRINGS.splitlines())
    return 0


def lsaddhost(call: Call, state: State) -> int:
    """OpenLava's own. Anybody may (recorded)."""
    options: dict[str, str] = {}
    words: list[str] = []
    arguments = list(call.arguments)
    while arguments:
        word = arguments.pop(0)
        if word in ("-m", "-t", "-f", "-D", "-R", "-w", "-M"):
            options[word] = arguments.pop(0) if arguments else ""
        else:
            words.append(word)
    name = words[0] if words else ""
    if not name or not call.place.resolves(name):
        call.complain(f"main: invalid hostname {name}")
        return 255
    if name in state["hosts"]:
        call.complain("ls_addhost: Migrant host already known to master LIM")
        return 255
    slots = int(options.get("-M") or state["default_max"])
    host = new_host(max_slots=slots, resources=options.get("-R", "").split())
    host.update(model=options.get("-m", "IntelI5"), type=options.get("-t", "linux"))
    host.update(cpuf=float(options.get("-f", 1)), shown_at=state["now"] + state["refresh_s"], sbd_heard=state["now"])
    state["hosts"][name] = host
    call.say(f"Host {name} added.")
    return 0


def lsrmhost(call: Call, state: State) -> int:
    """Allowed with running jobs, which are lost (recorded)."""
    name = call.arguments[0] if call.arguments else ""
    host = state["hosts"].get(name)
    if host is None:
        call.complain(f"main: invalid hostname {name}")
        return 255
    if host["static"]:
        call.complain("ls_rmhost: Bad arguments")
        return 255
    remove(state, name)
    call.say(f"Host {name} removed.")
    return 0


def remove(state: State, name: str) -> None:
    for key in [key for key in state["running"] if name in state["jobs"][key]["exec"]]:
        lose(state, state["jobs"][key], state["now"])
    del state["hosts"][name]


def lsadmin(call: Call, state: State) -> int:
    """``expire HOST`` of LSF 10.1 (documented): a dynamic host that is unavailable is forgotten."""
    if state["dialect"] != LSF or call.arguments[:1] != ["expire"]:
        call.complain(f"lsadmin: {' '.join(call.arguments[:1])}: command not supported by this double")
        return 255
    for name in call.arguments[1:]:
        host = state["hosts"].get(name)
        if host is None or host["static"]:
            call.complain(f"{name}: Bad host name")
            return 255
        remove(state, name)
        state["expired"] = {**state.get("expired", {}), name: state["now"]}
        call.say(f"Host <{name}> is expired")
    return 0
