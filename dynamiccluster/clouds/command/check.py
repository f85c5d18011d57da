"""What launches by the site's scripts need, looked at without launching: for ``check-cloud``.

The programs are looked for, and ``list`` is asked, and with it ``offers``, which change nothing; what starts and ends
machines is not run.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.command.build import build
from dynamiccluster.clouds.userdata import user_data
from dynamiccluster.errors import AuthError, DynamicClusterError
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.kit.runner import Runner
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.check import Finding, FindingState
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView
from dynamiccluster.model.wording import amount

COMMANDS = ("list_command", "launch_command", "terminate_command", "offers_command", "console_command")


def check(
    resource: Resource, config: Mapping[str, Any], cluster_id: str, runner: Runner, clock: Clock | None = None
) -> Iterator[Finding]:
    """Findings on one resource: its programs first; without that of ``list`` nothing is asked."""
    programs = {key: program(key, config[key]) for key in COMMANDS if config[key]}
    yield from programs.values()
    if programs["list_command"].state is FindingState.OK:
        yield from _asked(resource, config, cluster_id, runner, clock or SystemClock())
    yield from _script(resource, config, cluster_id)


def program(key: str, command: Sequence[str]) -> Finding:
    """Whether the program of a command is there, and may be run by whoever asks."""
    name = command[0]
    if shutil.which(name):
        return Finding(key, FindingState.OK, f"{name} is there")
    if os.path.isfile(name):
        fix = f"chmod +x {shlex.quote(name)}, or see who may enter its directories"
        return Finding(key, FindingState.DENIED, f"{name} may not be run by this user", fix)
    return Finding(key, FindingState.WRONG, f"there is no program {name}", f"Install it, or mend {key}")


def _asked(
    resource: Resource, config: Mapping[str, Any], cluster_id: str, runner: Runner, clock: Clock
) -> Iterator[Finding]:
    cloud = build(resource.tenancy, {resource.name: config}, cluster_id, runner, clock)
    try:
        view = cloud.list_instances()
    except DynamicClusterError as error:
        state = FindingState.DENIED if isinstance(error, AuthError) else FindingState.WRONG
        yield Finding("list", state, str(error), "Run it by hand as docs/clouds/command.md says")
        return
    yield Finding("list", FindingState.OK, _told(view))
    if config["offers_command"]:
        yield _offered(resource, view)


def _told(view: CloudView) -> str:
    text = f"{amount(len(view.instances), 'machine')} of this cluster, {amount(view.strangers, 'other')}"
    most = view.quota.max_instances
    return text if most is None else f"{text}; at most {most}"


def _offered(resource: Resource, view: CloudView) -> Finding:
    for offer in view.offers:
        if offer.resource == resource.name:
            size = f"{amount(offer.capacity.cores, 'core')}, {offer.capacity.memory_mib} MiB"
            return Finding("offers", FindingState.OK, f"{size}, {amount(offer.capacity.gpus, 'GPU')}")
    fix = "Run it by hand as docs/clouds/command.md says, or give capacity in the configuration"
    state = FindingState.UNKNOWN if resource.capacity.cores else FindingState.WRONG
    return Finding("offers", state, "nothing usable is said of this resource", fix)


def _script(resource: Resource, config: Mapping[str, Any], cluster_id: str) -> Iterator[Finding]:
    try:
        template = user_data(config, cluster_id)
        if template is not None:
            text = template.prepare().render("check", resource, NodeSpec("check", "check-cloud"))
            yield Finding("user data", FindingState.OK, amount(len(text), "character"))
    except DynamicClusterError as error:
        yield Finding("user data", FindingState.WRONG, str(error), "See docs/clouds/user-data.md")
