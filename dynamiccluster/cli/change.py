"""Verbs that change something. A verb that ends with 0 has been committed by the service."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from dynamiccluster.cli import exits
from dynamiccluster.cli.common import emit, exit_code, say, talks
from dynamiccluster.cli.text import clean
from dynamiccluster.client.problems import AnswerError, NoSuchThingError
from dynamiccluster.client.rest import Client, Document
from dynamiccluster.kit.clock import pause

LOOK_AGAIN_S = 2.0


def do_each(names: tuple[str, ...], do: Callable[[str], Document], as_json: bool) -> None:
    """Do it for every name, whatever becomes of the others; the exit code is the first failure's."""
    results: list[Document] = []
    first = exits.OK
    for name in names:
        try:
            answer = do(name)
        except AnswerError as error:
            first = first or exit_code(error)
            results.append({"target": name, "ok": False, "code": error.code, "message": str(error), "node_ids": []})
        else:
            ids = answer["node_ids"]
            results.append({"target": name, "ok": True, "code": "ok", "message": answer["message"], "node_ids": ids})
    if as_json:
        emit({"results": results})
    else:
        for result in results:
            click.echo(_told(result["target"], result["message"]), err=not result["ok"])
    if first:
        click.get_current_context().exit(first)


def _told(target: str, message: str) -> str:
    """The message, after its target's name unless it says that itself."""
    named = target in re.sub(r"[:;,'()]", " ", message).split()
    return clean(message) if named else f"{clean(target)}: {clean(message)}"


def _one(answer: Document, as_json: bool) -> None:
    if as_json:
        emit(answer)
    else:
        say(answer["message"])


@click.command()
@click.argument("nodes", metavar="NODE...", nargs=-1, required=True)
@talks
def hold(nodes: tuple[str, ...], client: Client, as_json: bool) -> None:
    """Keep new jobs away from nodes; what runs there goes on.

    NODE is a host name or a node id, as `nodes` lists them.
    """
    do_each(nodes, lambda name: client.post("api", "v1", "nodes", name, "hold"), as_json)


@click.command()
@click.argument("nodes", metavar="NODE...", nargs=-1, required=True)
@talks
def unhold(nodes: tuple[str, ...], client: Client, as_json: bool) -> None:
    """Let jobs onto held nodes again. NODE is a host name or a node id, as `nodes` lists them."""
    do_each(nodes, lambda name: client.post("api", "v1", "nodes", name, "unhold"), as_json)


@click.command()
@click.argument("nodes", metavar="NODE...", nargs=-1, required=True)
@talks
def vacate(nodes: tuple[str, ...], client: Client, as_json: bool) -> None:
    """Hold nodes and have the scheduler move their jobs elsewhere. NODE is a host name or a node id."""
    do_each(nodes, lambda name: client.post("api", "v1", "nodes", name, "vacate"), as_json)


@click.command()
@click.argument("nodes", metavar="NODE...", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Hold working nodes now, and remove them once they are empty.")
@talks
def delete(nodes: tuple[str, ...], force: bool, client: Client, as_json: bool) -> None:
    """Remove nodes that are held, starting or broken. Nodes at work are refused without --force.

    NODE is a host name or a node id, as `nodes` lists them.
    """
    query: dict[str, object] = {"force": "true"} if force else {}
    do_each(nodes, lambda name: client.delete("api", "v1", "nodes", name, **query), as_json)


@click.command()
@click.argument("resource")
@click.argument("count", metavar="[N]", type=click.IntRange(min=1), default=1)
@click.option(
    "--wait",
    "wait_s",
    metavar="SECONDS",
    type=click.IntRange(min=1),
    help="Wait at most so long until they are usable, and print their host names.",
)
@talks
def launch(resource: str, count: int, wait_s: int | None, client: Client, as_json: bool) -> None:
    """Launch N nodes of a RESOURCE (1 if not given), all of them or, beyond a limit, none. `resources` lists both."""
    answer = client.post("api", "v1", "resources", resource, "launch", body={"count": count})
    if wait_s is None or not as_json:
        _one(answer, as_json)
    if wait_s is None:
        return
    names: list[str] = []
    try:
        names = wait_until_usable(client, answer["node_ids"], wait_s, pause)
    finally:
        if as_json:  # one document, whatever comes of the wait
            emit({**answer, "host_names": names})
    if not as_json:
        say(f"usable: {' '.join(names)}")


def wait_until_usable(client: Client, node_ids: list[str], wait_s: float, wait: Callable[[float], None]) -> list[str]:
    """The nodes' host names, when all are idle or busy.

    ``Failure`` when one fails or the time runs out; they are left alone.
    """
    left = wait_s
    while True:
        missing, names = [], []
        for node_id in node_ids:
            try:
                node = client.get("api", "v1", "nodes", node_id)
            except NoSuchThingError as error:
                raise exits.Failure(f"{node_id} is gone", exits.REFUSED) from error
            if node["original_state"] not in {"Starting", "Idle", "Busy"}:
                text = f"{node['host_name']} is {node['state']}: {node['reason']}"
                raise exits.Failure(clean(text), exits.REFUSED)
            names.append(node["host_name"] or node_id)
            if node["original_state"] == "Starting":
                missing.append(node_id)
        if not missing:
            return names
        if left <= 0:
            raise exits.Failure(f"not usable after {wait_s:g} s, and left alone: {' '.join(missing)}", exits.REFUSED)
        wait(LOOK_AGAIN_S)
        left -= LOOK_AGAIN_S


def _resource_verb(action: str, told: str) -> click.Command:
    @click.command(action, help=told)
    @click.argument("resources", metavar="RESOURCE...", nargs=-1, required=True)
    @talks
    def verb(resources: tuple[str, ...], client: Client, as_json: bool) -> None:
        do_each(resources, lambda name: client.post("api", "v1", "resources", name, action), as_json)

    return verb


freeze = _resource_verb("freeze", "Keep a resource at its present size: minimum and maximum become what there is.")
drain = _resource_verb("drain", "Let a resource's nodes leave as they empty: minimum and maximum become 0.")
restore = _resource_verb("restore", "Undo freeze and drain: the limits of the configuration hold again.")
reset = _resource_verb("reset", "Forget a resource's failures and pauses, so that launches are tried again now.")


def _switch(name: str, told: str) -> click.Command:
    @click.command(name, help=told)
    @click.argument("setting", type=click.Choice(["on", "off"]))
    @talks
    def verb(setting: str, client: Client, as_json: bool) -> None:
        ask = client.put if setting == "on" else client.delete
        _one(ask("api", "v1", name), as_json)

    return verb


auto = _switch(
    "auto", "Automatic mode: off leaves launching and removing to people. `status` shows how it is; a restart keeps it."
)
observe = _switch(
    "observe", "Observe-only: on does nothing, and `plan` shows what would be done. `status` shows how it is."
)


@click.command()
@click.argument("host")
@click.option("-r", "--resource", metavar="RESOURCE", required=True, help="The resource whose node it becomes.")
@click.option("--instance-id", metavar="ID", default="", help="Its machine's id at the cloud. [default: found by name]")
@talks
def adopt(host: str, resource: str, instance_id: str, client: Client, as_json: bool) -> None:
    """Take a HOST that the scheduler knows in as a worker node, to be held and removed like the others."""
    wish = {"host": host, "resource": resource, "instance_id": instance_id}
    _one(client.post("api", "v1", "adopt", body=wish), as_json)


@click.command()
@click.argument("source", default="scheduler")
@talks
def nudge(source: str, client: Client, as_json: bool) -> None:
    """Look at the queue at once instead of at the next poll; SOURCE may be cloud:TENANCY."""
    _one(client.post("api", "v1", "nudge", body={"source": source}), as_json)


@click.command()
@talks
def reload(client: Client, as_json: bool) -> None:
    """Read the configuration again. A bad one is refused (exit code 5), and the old one stays in force."""
    _one(client.post("api", "v1", "reload"), as_json)
