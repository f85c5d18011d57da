"""One frame of ``status``: made to be readable in 80 columns and 24 lines. Pure: documents in, text out."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dynamiccluster.cli.common import add, table
from dynamiccluster.cli.show import STATE_STYLE, about, condition, remarks
from dynamiccluster.cli.text import clean, clock, duration, joined, money
from dynamiccluster.client.rest import Document

STATE_ORDER = (
    "quarantined", "failed", "down", "evacuating", "unsettled", "requested", "starting", "configuring", "joining",
    "idle", "busy", "holding", "held", "removing", "terminating", "forgetting", "gone",
)  # fmt: skip
"""Trouble first, then along a node's life."""

_BARS = {"queued": "▓", "busy": "█", "idle": "░", "booting": "▒", "other": "·"}
_ASCII_BARS = {"queued": "?", "busy": "#", "idle": "-", "booting": "+", "other": "."}
_STYLES = {"queued": "magenta", "busy": "green", "idle": "cyan", "booting": "yellow", "other": "red"}
_PLUGIN_WORDS = {"fails": "fails", "cut-off": "is cut off"}
_LEAST_NODE_LINES = 4
_MOST_RESOURCE_LINES = 6
_FIRST_COLUMN = 9


def frame(picture: Document, width: int, height: int, encoding: str = "utf-8", trouble: str = "") -> RenderableType:
    """The whole screen, at most ``height`` lines of ``width`` columns. ``trouble``: why it is not up to date."""
    status = picture["status"]
    bars = _BARS if encoding.lower().startswith("utf") else _ASCII_BARS
    head = [*_header(status, width, trouble), *_bars(status, width, bars)]
    resources = picture["resources"]
    shown = resources[:_MOST_RESOURCE_LINES] if height <= 40 else resources
    left = height - len(head) - len(shown) - 5  # a blank and a title line each for resources, nodes and events
    event_lines = min(len(picture["events"]), max(2, left // 3))
    node_lines = max(_LEAST_NODE_LINES, left - event_lines)
    parts: list[RenderableType] = [
        *head,
        Text(),
        _resources(shown, width),
        Text(),
        _nodes(picture["nodes"], status, node_lines, width),
        Text(),
        *_events(picture["events"][:event_lines], width),
    ]
    return Group(*parts)


def _line(text: str, width: int, style: str = "") -> Text:
    return Text(clean(text, width), style=style, no_wrap=True, overflow="ellipsis")


def _header(status: Document, width: int, trouble: str) -> list[Text]:
    mode = "OBSERVE-ONLY" if status["mode"]["observe_only"] else "auto" if status["mode"]["auto"] else "auto OFF"
    cost = f"  {money(status['cost_per_hour'])}/h" if status["cost_per_hour"] else ""
    top = f"Dynamic Cluster {status['cluster_id']}  [{mode}]  {clock(status['now'])}  decision {status['tick']}{cost}"
    lines = [_line(top, width, "bold yellow" if status["mode"]["observe_only"] else "bold")]
    if trouble:
        lines.append(_line(f"NOT UP TO DATE: {trouble}", width, "bold red"))
    if status["not_ready"]:  # an empty picture must not read as an empty queue
        lines.extend(_line(f"NOT READY: {reason}", width, "bold red") for reason in status["not_ready"])
    else:
        lines.append(_line(status["sentence"] or "no decision yet", width))
    ages = [
        f"{source['source']} {duration(source['age_s'])}" + ("" if source["ok"] else f" ({source['error']})")
        for source in status["sources"]
    ]
    fine = all(source["ok"] for source in status["sources"])
    lines.append(_line("seen: " + ("  ".join(ages) or "nothing yet"), width, "" if fine else "red"))
    broken = [
        f"{one['name']} {_PLUGIN_WORDS[one['state']]} ({one['error']})" for one in status["plugins"] if one["error"]
    ]
    if broken:
        lines.append(_line("plug-ins: " + "  ".join(broken), width, "yellow"))
    return lines


def _bars(status: Document, width: int, bars: dict[str, str]) -> list[Text]:
    demand, supply = status["demand"], status["supply"]
    wanted = demand["waiting_cores"]
    had = {name: supply[f"{name}_cores"] for name in ("busy", "idle", "booting", "other")}
    scale = max(wanted, sum(had.values()), 1)
    words = {name: f"{count} {name}" for name, count in had.items()}
    words["other"] = f"{had['other']} held, down or leaving"
    told = f"{wanted} cores in {demand['waiting_tasks']} tasks"
    if demand["unplaced_tasks"]:
        told += f", {demand['unplaced_tasks']} without a place"
    room = max(10, width - _FIRST_COLUMN - 1)
    first = Text("demand".ljust(_FIRST_COLUMN)).append(
        bars["queued"] * _cells(wanted, scale, room), style=_STYLES["queued"]
    )
    second = Text("supply".ljust(_FIRST_COLUMN))
    legend = Text(" " * _FIRST_COLUMN, no_wrap=True, overflow="ellipsis")
    legend.append(f"{bars['queued']} {told}", style=_STYLES["queued"])
    below = Text(" " * _FIRST_COLUMN, no_wrap=True, overflow="ellipsis")
    for name, count in had.items():
        second.append(bars[name] * _cells(count, scale, room), style=_STYLES[name])
        below.append(f"{bars[name]} {words[name]}  ", style=_STYLES[name])
    return [first, legend, second, below]


def _cells(amount: int, scale: int, room: int) -> int:
    """Length of a bar; whatever is there at all shows, as far as rounding leaves room."""
    return max(1, amount * room // scale) if amount else 0


def _resources(resources: Sequence[Document], width: int) -> Table:
    numbers = ("MIN", "NOW", "MAX", "PRICE/H")
    rows = table("RESOURCE", "MIN", "NOW", "MAX", "FLAG", "STATE", "PRICE/H", "REMARKS", right=numbers)
    for one in resources:
        add(
            rows,
            clean(one["name"], 16),
            one["min_nodes"],
            one["current_nodes"],
            one["max_nodes"],
            one["flag"],
            condition(one),
            money(one["price_per_hour"]),
            clean(remarks(one, short=True), max(8, width - 62)),
            style="red" if one["breaker"]["state"] == "open" else "yellow" if one["backoffs"] else "",
        )
    return rows


def _by_state(nodes: Sequence[Document]) -> dict[str, list[Document]]:
    found: dict[str, list[Document]] = {state: [] for state in STATE_ORDER}
    for node in nodes:
        found.setdefault(node["state"], []).append(node)
    return {state: group for state, group in found.items() if group}


def _nodes(nodes: Sequence[Document], status: Document, lines: int, width: int) -> Table:
    """A line for each node if there is room for all, else a line for each state."""
    groups = _by_state(nodes)
    if len(nodes) <= lines:
        rows = table("STATE", "FOR", "NODE", "RESOURCE", "CORES", "JOBS", right=("FOR", "CORES"))
        for state, group in groups.items():
            for node in group:
                add(
                    rows,
                    state,
                    duration(node["in_state_s"]),
                    clean(node["host_name"] or node["node_id"], 26),
                    clean(node["resource"], 16),
                    f"{node['used_cores']}/{node['capacity']['cores']}",
                    joined(node["jobs"], max(8, width - 72)),
                    style=STATE_STYLE.get(state, ""),
                )
        return rows
    rows = table("STATE", "NODES", "WHICH", right=("NODES",))
    for state, group in groups.items():
        names = joined((node["host_name"] or node["node_id"] for node in group[:20]), max(20, width - 22))
        add(rows, state, status["nodes_by_state"].get(state, len(group)), names, style=STATE_STYLE.get(state, ""))
    return rows


def _events(events: Sequence[Document], width: int) -> list[Text]:
    """The newest last, as in a log."""
    return [
        _line(
            f"{clock(event['at'])[11:]}  {about(event)}  {event['text']}",
            width,
            "yellow" if event["kind"] == "warning" else "dim",
        )
        for event in reversed(events)
    ]
