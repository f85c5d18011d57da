"""The ``cluster:`` section: one class per type of scheduler, each in a file of its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Tag

from dynamiccluster.config.schema_cluster_common import type_tag
from dynamiccluster.config.schema_cluster_htcondor import HtcondorCluster
from dynamiccluster.config.schema_cluster_lsf import LsfCluster
from dynamiccluster.config.schema_cluster_sge import SgeCluster
from dynamiccluster.config.schema_cluster_simulated import SimulatedCluster
from dynamiccluster.config.schema_cluster_slurm import SlurmCluster
from dynamiccluster.config.schema_cluster_torque import TorqueCluster

Cluster = Annotated[
    Annotated[SlurmCluster, Tag("type=slurm")]
    | Annotated[TorqueCluster, Tag("type=torque")]
    | Annotated[SgeCluster, Tag("type=sge")]
    | Annotated[LsfCluster, Tag("type=lsf")]
    | Annotated[HtcondorCluster, Tag("type=htcondor")]
    | Annotated[SimulatedCluster, Tag("type=simulated")],
    Discriminator(type_tag),
]
