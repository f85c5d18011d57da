"""Verbs that only look."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from dynamiccluster.cli.common import add, emit, say, screen, table, talks
from dynamiccluster.cli.text import clean, clean_lines, clock, duration, joined, money
from dynamiccluster.client.rest import Client, Document
from dynamiccluster.kit.clock import pause

if TYPE_CHECKING:
    from rich.table import Table

NO_LIMIT = 0
STATE_STYLE = {
    "idle": "green",
    "busy": "bold green",
    "down": "red",
    "failed": "red",
    "quarantined": "bold red",
    "evacuating": "red",
    "unsettled": "yellow",
}


LIMIT = click.option(
    "-n",
    "--limit",
    metavar="ROWS",
    type=click.IntRange(min=0),
    default=NO_LIMIT,
    help="At most so many. [default: all]",
)


@click.command()
@click.option(
    "-s",
    "--state",
    metavar="STATES",
    default="",
    help="Only these, with commas between: starting, idle, busy, held, down ... A wrong word is answered with all.",
)
@click.option("-r", "--resource", metavar="RESOURCE", default="", help="Only nodes of this resource.")
@LIMIT
@talks
def nodes(state: str, resource: str, limit: int, client: Client, as_json: bool) -> None:
    """Worker nodes: state, for how long, resource, cores in use, jobs, and why they are as they are."""
    found = list(client.pages("nodes", limit, state=state, resource=resource))
    if as_json:
        emit({"nodes": found})
        return
    rows = table("HOST", "STATE", "FOR", "RESOURCE", "CORES", "JOBS", "REASON", right=("FOR", "CORES"))
    for node in found:
        cores = f"{node['used_cores']}/{node['capacity']['cores']}"
        add(
            rows,
            node["host_name"] or node["node_id"],
            node["state"],
            duration(node["in_state_s"]),
            node["resource"],
            cores,
            joined(node["jobs"], 24),
            node["reason"],
            style=STATE_STYLE.get(node["state"], ""),
        )
    _listed(rows, "node")


@click.command()
@click.argument("name", metavar="NODE")
@talks
def node(name: str, client: Client, as_json: bool) -> None:
    """One worker node, by host name or node id: what is intended, what scheduler and cloud say, its history."""
    found = client.get("api", "v1", "nodes", name)
    if as_json:
        emit(found)
        return
    host, machine, action = found["host"], found["instance"], found["action"]
    facts = {
        "node id": found["node_id"],
        "host": found["host_name"],
        "state": f"{found['state']} for {duration(found['in_state_s'])}",
        "reason": found["reason"],
        "hold": found["hold_why"],
        "resource": found["resource"],
        "jobs": joined(found["jobs"]),
        "cores": f"{found['used_cores']} of {found['capacity']['cores']} in use",
        "memory": f"{found['capacity']['memory_mib']} MiB",
        "address": found["address"],
        "scheduler": f"{host['state']} {host['detail']} {host['hold_mark']}".strip() if host else "does not list it",
        "cloud": f"{machine['instance_id']} {machine['state']} {machine['fault']}".strip()
        if machine
        else "does not list it",
        "steps left": joined(found["steps_to_do"]),
        "under way": f"{action['kind']}: {action['reason']}" if action else "",
        "kept for job": found["nominated_for"],
        "created": clock(found["created_at"]),
        "joined": clock(found["joined_at"]),
        "first job": clock(found["first_job_at"]),
        "price per hour": money(found["price_per_hour"]),
    }
    rows = table("", "")
    rows.show_header = False
    for word, value in facts.items():
        if value:
            add(rows, word, value)
    out = screen()
    out.print(rows)
    out.print()
    out.print(events_table(found["history"]))


@click.command()
@click.option(
    "-s",
    "--state",
    metavar="STATES",
    default="",
    help="Only these, with commas between: pending, running ... A wrong word is answered with all.",
)
@click.option("-u", "--user", metavar="USER", default="", help="Only this user's.")
@click.option("-q", "--queue", metavar="QUEUE", default="", help="Only jobs of this queue.")
@LIMIT
@talks
def jobs(state: str, user: str, queue: str, limit: int, client: Client, as_json: bool) -> None:
    """Jobs as the scheduler lists them."""
    found = list(client.pages("jobs", limit, state=state, user=user, queue=queue))
    if as_json:
        emit({"jobs": found})
        return
    rows = table(
        "JOB", "NAME", "USER", "STATE", "QUEUE", "TASKS", "CORES", "WAITS", "REASON", right=("TASKS", "CORES", "WAITS")
    )
    for job in found:
        add(
            rows,
            clean(job["job_id"], 24),
            clean(job["name"], 20),
            clean(job["user"], 16),
            job["state"],
            joined(job["queues"], 16),
            job["tasks"],
            job["cores"],
            duration(job["waited_s"]) if job["state"] == "pending" else "",
            joined(job["hosts"]) if job["hosts"] else job["reason"],
        )
    _listed(rows, "job")


def _listed(rows: Table, noun: str) -> None:
    """A table; that it is empty is said to people, where no script reads it."""
    screen().print(rows)
    if not rows.row_count:
        click.echo(f"there is no such {noun}", err=True)


@click.command()
@talks
def resources(client: Client, as_json: bool) -> None:
    """Resources, their limits, and what keeps them from growing."""
    found = client.get("api", "v1", "resources")
    if as_json:
        emit(found)
        return
    screen().print(resources_table(found["resources"]))


def resources_table(found: list[Document], longest: int = 0) -> object:
    rows = table(
        "RESOURCE", "CLOUD", "MIN", "NOW", "MAX", "FLAG", "STATE", "PRICE/H", "REMARKS",
        right=("MIN", "NOW", "MAX", "PRICE/H"),
    )  # fmt: skip
    for one in found:
        add(
            rows,
            clean(one["name"], 20),
            one["cloud"],
            one["min_nodes"],
            one["current_nodes"],
            one["max_nodes"],
            one["flag"],
            condition(one),
            money(one["price_per_hour"]),
            clean(remarks(one), longest),
            style="red" if one["breaker"]["state"] == "open" else "yellow" if one["backoffs"] else "",
        )
    return rows


def condition(resource: Document) -> str:
    """Whether launches are tried, for people, to whom a breaker that is *closed* would say the contrary."""
    state: str = resource["breaker"]["state"]
    if state == "closed":
        return "paused" if resource["backoffs"] else "ok"
    return {"open": "closed", "half-open": "on trial"}.get(state, state)


def remarks(resource: Document, *, short: bool = False) -> str:
    """What keeps a resource from growing, in words. ``short``: times without their date."""
    start = 11 if short else 0
    told = []
    breaker = resource["breaker"]
    if breaker["state"] == "open":
        told.append(f"failed, tried again at {clock(breaker['retry_at'])[start:]}: {breaker['error']}")
    told.extend(
        f"{pause_['word']}, asked again at {clock(pause_['until_at'])[start:]} ({pause_['scope']}): {pause_['error']}"
        for pause_ in resource["backoffs"]
    )
    return "; ".join(told)


@click.command()
@click.option(
    "-n",
    "--limit",
    metavar="ROWS",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="The newest so many, at most 1000.",
)
@click.option("--node", "about_node", metavar="NODE", default="", help="Only about this host name or node id.")
@click.option("--resource", metavar="RESOURCE", default="", help="Only about this resource.")
@click.option("--job", metavar="JOB", default="", help="Only about this job.")
@click.option("--kind", metavar="KIND", default="", help="Only of this kind: node, action, resource, job, command, ...")
@click.option("--follow", is_flag=True, help="Go on printing what happens, until Ctrl-C. With JSON: one per line.")
@talks
def events(
    limit: int,
    about_node: str,
    resource: str,
    job: str,
    kind: str,
    follow: bool,
    client: Client,
    as_json: bool,
) -> None:
    """What happened, oldest first, and who asked for it."""
    query: dict[str, object] = {"node": about_node, "resource": resource, "job": job, "kind": kind}
    if follow:
        follow_events(client, query, limit, as_json, pause)
        return
    found = client.get("api", "v1", "events", limit=limit, **query)["events"][::-1]
    if as_json:
        emit({"events": found})
    else:
        _listed(events_table(found), "event")


def follow_events(
    client: Client, query: dict[str, object], first: int, as_json: bool, wait: Callable[[float], None]
) -> None:
    """Print events as they come, each once, until ``wait`` raises ``KeyboardInterrupt``."""
    last, limit = 0, first
    while True:
        fresh: list[Document] = []
        before = 0
        while True:
            page = client.get("api", "v1", "events", limit=limit, before=before, **query)
            fresh += [event for event in page["events"] if event["seq"] > last]
            before = page["next_before"]
            if not last or not before or before <= last + 1:
                break
        for event in fresh[::-1]:
            if as_json:
                emit(event, lines=True)
            else:
                say(f"{clock(event['at'])}  {event['actor']}  {about(event)}  {event['text']}")
        last = max((event["seq"] for event in fresh), default=last)
        limit = 1000
        try:
            wait(2.0)
        except KeyboardInterrupt:
            return


def about(event: Document) -> str:
    """The thing that an event is about, as people call it."""
    words = (event["host_name"], event["node_id"], event["job_id"], event["resource"])
    return next((str(word) for word in words if word), "")


def events_table(found: list[Document]) -> Table:
    rows = table("WHEN", "WHO", "ABOUT", "WHAT")
    for event in found:
        add(
            rows,
            clock(event["at"]),
            clean(event["actor"], 24),
            clean(about(event), 26),
            event["text"],
            style="yellow" if event["kind"] == "warning" else "",
        )
    return rows


@click.command()
@click.argument("job")
@talks
def explain(job: str, client: Client, as_json: bool) -> None:
    """Why a JOB waits: the scheduler's reason, each resource refused, the limit that binds, the next try."""
    found = client.get("api", "v1", "jobs", job)
    if as_json:
        emit(found)
        return
    answer = found["answer"]
    say(
        f"job {found['job_id']} of {found['user']}: {found['state']}"
        + (f" ({found['reason']})" if found["reason"] else "")
    )
    if answer is None:
        return
    say(answer["summary"])
    if answer["wait"]:
        say(f"scheduler: {answer['wait']}")
    if answer["limit"]:
        say(f"limit that binds: {answer['limit']}")
    if answer["earliest_retry_at"]:
        say(f"next try: {clock(answer['earliest_retry_at'])}")
    if answer["nodes"]:
        say(f"nodes: {' '.join(answer['nodes'])}")
    if answer["refusals"]:
        rows = table("RESOURCE", "WHY NOT")
        for name, why in sorted(answer["refusals"].items()):
            add(rows, name, why)
        screen().print(rows)


@click.command()
@talks
def plan(client: Client, as_json: bool) -> None:
    """What a decision would do now. Nothing is stored or done."""
    found = client.get("api", "v1", "plan")
    if as_json:
        emit(found)
        return
    say(found["sentence"] or "nothing to do")
    out = screen()
    if found["proposals"]:
        rows = table("WOULD BE DONE (observe-only)")
        for text in found["proposals"]:
            add(rows, text)
        out.print(rows)
    if found["actions"]:
        rows = table("ACTION", "RESOURCE", "NODE", "COUNT", "REASON", right=("COUNT",))
        for action in found["actions"]:
            who = action["host_name"] or action["node_id"]
            add(rows, action["kind"], action["resource"], who, action["count"], action["reason"])
        out.print(rows)
    if found["transitions"]:
        rows = table("NODE", "FROM", "TO", "REASON")
        for step in found["transitions"]:
            add(rows, step["host_name"] or step["node_id"], step["from_state"], step["to_state"], step["reason"])
        out.print(rows)
    if found["shapes"]:
        numbers = ("CORES", "WAITING", "FREE", "COMING", "NEW", "LEFT")
        rows = table("QUEUE", "ACCOUNT", *numbers, "REFUSED BY", right=numbers)
        for shape in found["shapes"]:
            refused = "fits nowhere" if shape["never"] else ""
            refused = refused or ", ".join(f"{name}: {why}" for name, why in sorted(shape["refusals"].items()))
            counts = (shape["waiting"], shape["on_free"], shape["on_coming"], shape["on_new"], shape["unplaced"])
            add(rows, joined(shape["queues"], 20), clean(shape["account"], 20), shape["cores"], *counts, refused)
        out.print(rows)


@click.command()
@click.argument("name", metavar="NODE")
@talks
def console(name: str, client: Client, as_json: bool) -> None:
    """The last lines of a NODE's console, asked of its cloud now. Needs the right to change things."""
    found = client.post("api", "v1", "nodes", name, "console")
    if as_json:
        emit(found)
    else:
        click.echo(clean_lines(found["text"]))
