"""From the words of ``cloud:`` to adapters, one per tenancy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dynamiccluster.clouds.agreement import agreed
from dynamiccluster.clouds.aws import build as aws
from dynamiccluster.clouds.aws.check import check as check_aws
from dynamiccluster.clouds.aws.menu_check import check_menu
from dynamiccluster.clouds.base import Cloud
from dynamiccluster.clouds.command import build as command
from dynamiccluster.clouds.command.check import check as check_command
from dynamiccluster.clouds.command.check import program
from dynamiccluster.clouds.local import LocalCloud
from dynamiccluster.clouds.netns import BridgeNetwork
from dynamiccluster.clouds.openstack import build as openstack
from dynamiccluster.clouds.openstack.check import check as check_openstack
from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.runner import Runner
from dynamiccluster.model.check import Finding, FindingState
from dynamiccluster.model.resource import Resource

_SHARED_BY_LOCAL = ("state_dir", "network", "network_namespace", "bridge", "max_instances")


def build_cloud(
    kind: str,
    tenancy: str,
    configs: Mapping[str, Mapping[str, Any]],
    *,
    cluster_id: str,
    runner: Runner,
    clock: Clock,
) -> Cloud:
    """The adapter for one tenancy of ``type: kind``. ``configs``: the ``config:`` of each of its resources, by name.

    The embedded cloud is not among them: it needs the embedded site, which whoever starts it has in hand.

    :raises BadConfigError: there is no such adapter, or resources of one tenancy disagree.
    """
    match kind:
        case "aws" | "xspot":
            return aws.build(tenancy, configs, cluster_id, clock)
        case "command":
            return command.build(tenancy, configs, cluster_id, runner, clock)
        case "local":
            return _local(tenancy, configs, cluster_id, runner, clock)
        case "openstack":
            return openstack.build(tenancy, configs, cluster_id, clock)
        case _:
            raise BadConfigError(f"cloud: there is no adapter for {kind!r} in this version")


def check_resource(
    kind: str, resource: Resource, config: Mapping[str, Any], *, cluster_id: str, runner: Runner
) -> Iterable[Finding]:
    """Whether machines of a resource could be launched, as far as its cloud shows without launching any.

    Nothing is changed and nothing raised: what goes wrong is a finding. An adapter's part is ``clouds/NAME/check.py``.
    """
    match kind:
        case "aws":
            return check_aws(resource, config, cluster_id)
        case "xspot":
            return check_menu(resource, config, cluster_id)
        case "openstack":
            return check_openstack(resource, config, cluster_id)
        case "command":
            return check_command(resource, config, cluster_id, runner)
        case "local":
            return (program("worker_command", config["worker_command"]),)
        case _:
            return (Finding(f"type {kind}", FindingState.OK, "needs nothing that could be missing"),)


def _local(
    tenancy: str, configs: Mapping[str, Mapping[str, Any]], cluster_id: str, runner: Runner, clock: Clock
) -> Cloud:
    shared = agreed(tenancy, _SHARED_BY_LOCAL, configs)
    network = BridgeNetwork(runner, shared["network"], bridge=shared["bridge"], namespace=shared["network_namespace"])
    return LocalCloud(
        runner,
        clock,
        cluster_id,
        tenancy,
        state_dir=shared["state_dir"],
        worker_commands={name: config["worker_command"] for name, config in configs.items()},
        network=network,
        max_instances=shared["max_instances"],
    )
