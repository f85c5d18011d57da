"""What comes of XWO's pools: lines for slurm.conf, objects of its REST API, and our own ``cloud:`` section. Pure."""

from __future__ import annotations

from typing import Any

from dynamiccluster.config.xwo import Grouping, Pool

PREFIX = "xwo"

_HEAD = """\
# Made by `dynamiccluster xwo-config`: the pools of XWO. To be included in slurm.conf, which also needs
# SuspendTime, SuspendProgram and ResumeProgram: those of your XWO installation.
"""


def slurm_conf(made: Grouping) -> str:
    """Nodes and partitions: one partition for each pool, and one over all of them.

    The nodes are Slurm's to start and stop (``State=CLOUD``): slurm.conf must name the programs for it.
    """
    nodes = [
        f"NodeName={_nodes(pool)} CPUs={pool.cpus} RealMemory={pool.max_memory_mb} State=CLOUD "
        f"Feature={PREFIX},{pool.name},{pool.profile} Weight={pool.weight}"
        for pool in made.pools
    ]
    partitions = [
        f"PartitionName={PREFIX}-{pool.name} Nodes={_nodes(pool)} MaxTime=INFINITE State=UP" for pool in made.pools
    ]
    everything = ",".join(_nodes(pool) for pool in made.pools)
    over_all = f"PartitionName={made.xwo.PartitionName} Nodes={everything} MaxTime=INFINITE State=UP"
    return "\n".join([_HEAD, *nodes, "", *partitions, over_all]) + "\n"


def _nodes(pool: Pool) -> str:
    return f"{PREFIX}-{pool.name}-[1-{pool.size}]" if pool.size > 1 else f"{PREFIX}-{pool.name}-1"


def as_json(made: Grouping) -> dict[str, Any]:
    """Profiles, and the environment with its pools, with the names that XWO's REST API has for them."""
    xwo = made.xwo
    workers, controllers = xwo.Workers, xwo.Controllers
    return {
        "Profiles": [
            {
                "ProfileName": name,
                "NodeGroupName": profile.NodeGroupName,
                "MaxControllers": profile.MaxControllers,
                "Controller": _given(
                    ImageId=controllers.ImageId,
                    InstanceType=controllers.InstanceType,
                    SecurityGroupIds=list(controllers.SecurityGroupIds),
                ),
                "Worker": _given(
                    ImageId=workers.ImageId,
                    InstanceTypes=list(profile.InstanceTypes),
                    SpotFleetTypes=list(profile.SpotFleetTypes),
                    SecurityGroupIds=list(workers.SecurityGroupIds),
                ),
                "Xspot": {"EnableHyperthreading": profile.EnableHyperthreading},
            }
            for name, profile in made.profiles.items()
        ],
        "Env": {
            "EnvName": "slurm",
            "Type": "slurm",
            "Pools": [
                {
                    "PoolName": pool.name,
                    "PoolSize": pool.size,
                    "ProfileName": pool.profile,
                    "VM": {
                        "CPUs": pool.cpus,
                        "ImageName": pool.image,
                        "MaxMemory": pool.max_memory_mb,
                        "VolumeSize": pool.volume_gb,
                        "PrefixCount": 0,
                        "UserData": "",
                    },
                }
                for pool in made.pools
            ],
            "Slurm": {"PartitionName": xwo.PartitionName},
        },
    }


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}


def as_cloud(made: Grouping, region: str) -> tuple[dict[str, Any], list[str]]:
    """Our own ``cloud:`` section, a menu for each pool; and what could not be carried over.

    Its nodes are the machines themselves: what jobs get of their memory is EC2's word, not :attr:`Pool.max_memory_mb`.
    """
    xwo = made.xwo
    images = {image.ImageName: image.ImageId for image in xwo.Images}
    notices = [
        f"{key}: not carried over: there is no management server"
        for key in ("ManagementServerStackName", "ManagementServerIp", "VmRootPasswordSecret")
        if getattr(xwo, key)
    ]
    cloud: dict[str, Any] = {}
    for pool in made.pools:
        if not pool.on_demand and not pool.spot:
            notices.append(f"Pools.{pool.name}: not carried over: it names no machine types")
            continue
        config = {
            "instance_name_prefix": f"{PREFIX}-{pool.name}",
            "region_name": region,
            "image_id": images.get(pool.image, pool.image),
            "on_demand_types": _kinds(pool.on_demand),
            "spot_fleet_types": _kinds(pool.spot),
            "hyperthreading": xwo.EnableHyperthreading,
            "availability_zones": [xwo.AvailabilityZone] if xwo.AvailabilityZone else [],
            "security_groups": list(xwo.Workers.SecurityGroupIds),
            "iam_instance_profile": xwo.Workers.IdentityRole,
        }
        cloud[f"{PREFIX}-{pool.name}"] = {
            "type": "xspot",
            "quantity": {"min": 0, "max": pool.size},
            "priority": pool.weight,
            "queues": [f"{PREFIX}-{pool.name}", xwo.PartitionName],
            "features": [PREFIX, pool.name, pool.profile],
            "config": {key: value for key, value in config.items() if value not in (None, [], "")},
        }
    return cloud, notices


def _kinds(types: tuple[tuple[str, int], ...]) -> list[str]:
    return [f"{name}:{priority}" if priority else name for name, priority in types]
