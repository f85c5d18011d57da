"""``cloud_status`` and ``cloud_admin``: the commands of Cloud Scheduler for people who know them, over our own service.

A *cloud* of theirs is a tenancy of ours, or a single resource. Columns are those of Cloud Scheduler 1
(``cloud_status``, from its public documentation); what a letter of theirs cannot mean here is refused with the verb
that does it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from dynamiccluster.cli import exits
from dynamiccluster.cli.change import do_each
from dynamiccluster.cli.common import emit, talks, talks_without_o
from dynamiccluster.cli.text import clean
from dynamiccluster.client.rest import Client, Document

_STANDING_DOWN = {"draining", "drained"}
_STATUS = {"starting": "Starting", "idle": "Running", "busy": "Running", "error": "Error"}
_JOBS = {"all": "", "new": "pending", "sched": "starting", "running": "running", "idle": "pending", "held": "pending"}


def clouds(resources: Iterable[Document]) -> dict[str, list[Document]]:
    """Resources by the name of their cloud: the tenancy."""
    found: dict[str, list[Document]] = {}
    for resource in resources:
        found.setdefault(resource["tenancy"], []).append(resource)
    return found


def of_cloud(client: Client, name: str) -> list[Document]:
    """The resources of a cloud; ``Failure`` (exit code 4) if there is none of this name."""
    resources = client.get("api", "v1", "resources")["resources"]
    found = clouds(resources).get(name) or [one for one in resources if one["name"] == name]
    if not found:
        known = ", ".join(sorted(clouds(resources))) or "none"
        raise exits.Failure(f"there is no cloud {clean(name)}; there are: {clean(known)}", exits.NOT_FOUND)
    return found


def _is_enabled(resources: Sequence[Document]) -> bool:
    return any(one["flag"] not in _STANDING_DOWN for one in resources)


def _addresses(client: Client) -> dict[str, str]:
    """Where each resource's cloud is, as far as its configuration says."""
    entries = client.get("api", "v1", "config").get("cloud", {})
    found = {}
    for name, entry in entries.items():
        config = entry.get("config", {})
        found[name] = str(config.get("auth_url") or config.get("region_name") or config.get("network") or "-")
    return found


def _columns(rows: Sequence[Sequence[object]], *widths: int) -> None:
    """Fixed columns, one blank at least between them."""
    for row in rows:
        cells = [clean(cell) for cell in row]
        click.echo(" ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


@click.command("cloud-status")
@click.option("-a", "all_clouds", is_flag=True, help="Every cloud in detail.")
@click.option("-c", "cloud", metavar="CLOUD", help="One cloud in detail.")
@click.option("-m", "machines", is_flag=True, help="The virtual machines.")
@click.option("-n", "machine", metavar="VM", help="One virtual machine, by node id or host name.")
@click.option("-q", "queue", type=click.Choice(sorted(_JOBS)), help="Jobs.")
@click.option("-j", "json_wanted", is_flag=True, help="JSON.")
@talks
def cloud_status(
    all_clouds: bool,
    cloud: str | None,
    machines: bool,
    machine: str | None,
    queue: str | None,
    json_wanted: bool,
    client: Client,
    as_json: bool,
) -> None:
    """Show clouds and virtual machines as Cloud Scheduler's command of this name does.

    A cloud is a tenancy or a resource. `dynamiccluster status`, `nodes`, `jobs` and `resources` show more.
    """
    as_json = as_json or json_wanted
    if queue is not None:
        _jobs(client, queue, as_json)
    elif machines or machine is not None:
        _machines(client, machine, as_json)
    elif all_clouds or cloud is not None:
        resources = client.get("api", "v1", "resources")["resources"] if cloud is None else of_cloud(client, cloud)
        _details(client, resources, cloud, as_json)
    else:
        _pool(client, as_json)


def _pool(client: Client, as_json: bool) -> None:
    addresses = _addresses(client)
    rows = [
        {
            "name": name,
            "cloud_type": members[0]["cloud"],
            "network_address": addresses.get(members[0]["name"], "-"),
            "enabled": _is_enabled(members),
        }
        for name, members in clouds(client.get("api", "v1", "resources")["resources"]).items()
    ]
    if as_json:
        emit({"clouds": rows})
        return
    click.echo("Resource pool Default:")
    _columns([("NAME", "CLOUD TYPE", "NETWORK ADDRESS", "ENABLED"), *(tuple(r.values()) for r in rows)], 16, 15, 30, 8)


def _details(client: Client, resources: Sequence[Document], name: str | None, as_json: bool) -> None:
    addresses = _addresses(client)
    rows = [
        {
            "cloud": name or one["tenancy"],
            "resource": one["name"],
            "address": addresses.get(one["name"], "-"),
            "cloud_type": one["cloud"],
            "vms": one["current_nodes"],
            "max_vms": one["configured_max_nodes"],
            "memory_mib": one["capacity"]["memory_mib"],
            "priority": one["priority"],
            "enabled": _is_enabled([one]),
        }
        for one in resources
    ]
    if as_json:
        emit({"clouds": rows})
        return
    for cloud in dict.fromkeys(row["cloud"] for row in rows):
        click.echo(f"Cluster: {clean(cloud)}")
        header = ("ADDRESS", "RESOURCE", "CLOUD TYPE", "VMS/MAX", "MEMORY", "PRIORITY", "ENABLED")
        lines = [
            (
                row["address"],
                row["resource"],
                row["cloud_type"],
                f"{row['vms']} / {row['max_vms']}",
                row["memory_mib"],
                row["priority"],
                row["enabled"],
            )
            for row in rows
            if row["cloud"] == cloud
        ]
        _columns([header, *lines], 28, 18, 15, 10, 10, 9, 8)


def _machines(client: Client, name: str | None, as_json: bool) -> None:
    nodes = [client.get("api", "v1", "nodes", name)] if name is not None else list(client.pages("nodes"))
    users = {job["job_id"]: job["user"] for job in client.pages("jobs", state="running")}
    rows = []
    for node in nodes:
        owners = sorted({users[job] for job in node["jobs"] if job in users})
        status = _STATUS.get(node["original_state"].lower(), "Retiring")
        rows.append(
            {
                "id": node["node_id"],
                "hostname": node["host_name"],
                "vmtype": node["resource"],
                "user": ",".join(owners) or "-",
                "status": status,
                "cluster": node["tenancy"],
            }
        )
    if as_json:
        emit({"vms": rows})
        return
    header = ("ID", "HOSTNAME", "VMTYPE", "USER", "STATUS", "CLUSTER")
    _columns([header, *(tuple(row.values()) for row in rows)], 14, 26, 20, 10, 12, 20)


def _jobs(client: Client, queue: str, as_json: bool) -> None:
    jobs: list[Document] = list(client.pages("jobs", state=_JOBS[queue]))
    if queue == "held":
        jobs = [job for job in jobs if job["wait"] == "more nodes would not help"]
    if as_json:
        emit({"jobs": jobs})
        return
    header = ("ID", "USER", "STATE", "CORES", "MEMORY", "REASON")
    rows = [(j["job_id"], j["user"], j["state"], j["cores"], j["chunk"]["memory_mib"], j["reason"]) for j in jobs]
    _columns([header, *rows], 14, 12, 12, 6, 9, 30)


_ELSEWHERE = {
    "-v": "the number of machines of a cloud is `quantity: max:` of its resources; change it and reload",
    "-m": "a machine cannot be let go of and left running: hold its node, or drop its resource from the file",
    "-x": "`dynamiccluster reset RESOURCE` forgets the failures of a resource",
    "-q": "the service leaves all machines running whenever it stops: stop it with the init script or systemctl",
}


@click.command("cloud-admin")
@click.option("-e", "enable", metavar="CLOUD", multiple=True, help="Enable a cloud.")
@click.option("-d", "disable", metavar="CLOUD", multiple=True, help="Disable a cloud: its machines leave when empty.")
@click.option("-c", "cloud", metavar="CLOUD", help="The cloud that -k and -o are about.")
@click.option("-n", "machine", metavar="VM", help="... one machine of it, by node id or host name.")
@click.option("-b", "count", metavar="NUM", type=click.IntRange(min=1), help="... so many machines of it.")
@click.option("-a", "every", is_flag=True, help="... all machines of it.")
@click.option("-k", "kill", is_flag=True, help="Send their jobs back to the queue and delete them.")
@click.option("-o", "retire", is_flag=True, help="Delete them when their jobs have ended.")
@click.option("-r", "again", is_flag=True, help="Read the configuration again.")
@click.option("-v", "slots", metavar="NUM", hidden=True)
@click.option("-m", "unmanage", is_flag=True, hidden=True)
@click.option("-x", "reset_state", is_flag=True, hidden=True)
@click.option("-q", "quick_exit", is_flag=True, hidden=True)
@talks_without_o
def cloud_admin(
    enable: tuple[str, ...],
    disable: tuple[str, ...],
    cloud: str | None,
    machine: str | None,
    count: int | None,
    every: bool,
    kill: bool,
    retire: bool,
    again: bool,
    slots: str | None,
    unmanage: bool,
    reset_state: bool,
    quick_exit: bool,
    client: Client,
    as_json: bool,
) -> None:
    """Change clouds and virtual machines as Cloud Scheduler's command of this name does.

    What is enabled and disabled is remembered, also over restarts. A disabled cloud launches nothing; its machines
    leave as they empty. Running jobs are never lost: -k has the scheduler requeue them first.
    """
    for letter, asked in (("-v", slots), ("-m", unmanage), ("-x", reset_state), ("-q", quick_exit)):
        if asked:
            raise click.UsageError(f"{letter}: {_ELSEWHERE[letter]}")
    if kill and retire:
        raise click.UsageError("-k and -o exclude each other")
    if kill or retire:
        if enable or disable or again:
            raise click.UsageError("-k and -o stand alone, with -c and one of -n, -b and -a")
        _end(client, cloud, machine, count, every, kill, as_json)
        return
    if cloud or machine or count or every:
        raise click.UsageError("-c, -n, -b and -a say what -k or -o is about; give one of these")
    if not (enable or disable or again):
        raise click.UsageError("nothing to do: see --help")
    if again:
        client.post("api", "v1", "reload")
    wishes = {
        one["name"]: action
        for names, action in ((disable, "drain"), (enable, "restore"))
        for name in names
        for one in of_cloud(client, name)
    }
    do_each(tuple(wishes), lambda name: client.post("api", "v1", "resources", name, wishes[name]), as_json)


def _end(
    client: Client, cloud: str | None, machine: str | None, count: int | None, every: bool, kill: bool, as_json: bool
) -> None:
    if cloud is None or sum((machine is not None, count is not None, every)) != 1:
        raise click.UsageError("-k and -o need -c CLOUD and one of -n VM, -b NUM and -a")
    members = {one["name"] for one in of_cloud(client, cloud)}
    nodes = [node for node in client.pages("nodes") if node["resource"] in members]
    if machine is not None:
        nodes = [node for node in nodes if machine in (node["node_id"], node["host_name"])]
        if not nodes:
            raise exits.Failure(f"{clean(cloud)} has no machine {clean(machine)}", exits.NOT_FOUND)
    nodes = nodes[:count]

    def end(node_id: str) -> Document:
        if kill and busy[node_id]:
            client.post("api", "v1", "nodes", node_id, "vacate")
        return client.delete("api", "v1", "nodes", node_id, force="true")

    busy = {node["node_id"]: bool(node["jobs"]) for node in nodes}
    do_each(tuple(busy), end, as_json)
