"""A mechanism driver for Neutron's ML2 that binds every port at once, without any agent."""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api
from sqlalchemy import orm


class EveryPort(api.MechanismDriver):
    def initialize(self):
        """Name all of Neutron's tables to each other: without, the first list of ports of a fresh worker is answered
        with 500 (26.0.1, "Port has no attribute port_forwardings"), and so is nova's first list of servers."""
        from neutron.db.models import port_forwarding  # noqa: F401 - too early before the plug-ins are loaded

        orm.configure_mappers()

    def bind_port(self, context):
        segment = context.segments_to_bind[0]
        details = {portbindings.CAP_PORT_FILTER: True}
        context.set_binding(segment[api.ID], portbindings.VIF_TYPE_OVS, details, status=constants.PORT_STATUS_ACTIVE)
