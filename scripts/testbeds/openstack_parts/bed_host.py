"""Hypervisors of the test bed: Nova's own fake one, with sizes, delays and failures that tests choose.

Files in the directory ``BED_KNOBS`` are read at each call, so that they can be changed while Nova runs:
``spawn_delay`` and ``destroy_delay`` in seconds, ``spawn_abort`` and ``spawn_fail`` as 1 for "every build fails".
"""

import os
import pathlib
import time

from nova import exception
from nova.scheduler.client import report
from nova.virt import fake, node

# For a "reshape", which a fake host never does, nova-compute asks Placement for the allocations of every server of the
# host whenever one comes or goes: with hundreds of servers that is nearly all of the work.
report.SchedulerReportClient.get_allocations_for_provider_tree = lambda self, context, nodename: {}


def knob(name):
    try:
        return float(pathlib.Path(os.environ["BED_KNOBS"], name).read_text())
    except (OSError, ValueError):
        return 0.0


class BedHost(fake.FakeDriver):
    vcpus = int(os.environ.get("BED_VCPUS", "1000"))
    memory_mb = int(os.environ.get("BED_MEMORY_MB", "800000"))
    local_gb = int(os.environ.get("BED_DISK_GB", "600000"))

    def get_available_resource(self, nodename):
        """With its identity, as libvirt gives it: without, nova-compute refuses to be started a second time."""
        return {**super().get_available_resource(nodename), "uuid": node.get_local_node_uuid()}

    def spawn(self, context, instance, *args, **kwargs):
        time.sleep(knob("spawn_delay"))
        if knob("spawn_fail"):
            raise exception.ComputeResourcesUnavailable(reason="spawn_fail of the test bed")
        if knob("spawn_abort"):
            raise exception.BuildAbortException(instance_uuid=instance.uuid, reason="spawn_abort of the test bed")
        return super().spawn(context, instance, *args, **kwargs)

    def destroy(self, context, instance, *args, **kwargs):
        time.sleep(knob("destroy_delay"))
        return super().destroy(context, instance, *args, **kwargs)

    def get_console_output(self, context, instance):
        return f"fake host: {instance.display_name} boots\nlogin: "


class BrokenHost(BedHost):
    """Every build on it is aborted: the server ends in ERROR."""

    def spawn(self, context, instance, *args, **kwargs):
        raise exception.BuildAbortException(instance_uuid=instance.uuid, reason="a broken host of the test bed")
