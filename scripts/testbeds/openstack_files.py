"""Configuration files of the private OpenStack of ``scripts/testbeds/openstack``, as texts by their paths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PORTS = ("keystone", "glance", "placement", "neutron", "nova", "mariadb", "rabbitmq", "epmd", "erlang")
"""Services in the order of their ports, from the bed's first port on."""

DATABASES = ("keystone", "glance", "placement", "neutron", "nova_api", "nova_cell0", "nova_cell1")

ZONES = {
    "zone-1": {"driver": "bed_host.BedHost", "vcpus": 1000, "memory_mb": 800_000},
    "zone-2": {"driver": "bed_host.BedHost", "vcpus": 4, "memory_mb": 8_000},
    "zone-broken": {"driver": "bed_host.BrokenHost", "vcpus": 1000, "memory_mb": 800_000},
}
"""One host each: endless, one that is soon full, one where no server ever comes up."""

IDENTITY = """\
auth_type = password
auth_url = {keystone}/v3
username = {user}
password = {user}
project_name = service
user_domain_name = Default
project_domain_name = Default
region_name = RegionOne
"""

TOKENS = """\
[keystone_authtoken]
www_authenticate_uri = {keystone}/v3
token_cache_time = 5
service_token_roles_required = true
"""

POOL = """\
max_pool_size = 5
max_overflow = 30
"""

QUIET = """\
[oslo_messaging_notifications]
driver = noop
"""

KEYSTONE = """\
[DEFAULT]
log_file = {prefix}/log/keystone.log
[database]
connection = {database[keystone]}
{pool}
[token]
provider = fernet
expiration = 3600
[fernet_tokens]
key_repository = {prefix}/keys/fernet
[credential]
key_repository = {prefix}/keys/credential
[fernet_receipts]
key_repository = {prefix}/keys/fernet
{quiet}
"""

GLANCE = """\
[DEFAULT]
log_file = {prefix}/log/glance.log
enabled_backends = file:file
worker_self_reference_url = {glance}
[database]
connection = {database[glance]}
{pool}
[glance_store]
default_backend = file
[file]
filesystem_store_datadir = {prefix}/glance/images
[os_glance_staging_store]
filesystem_store_datadir = {prefix}/glance/staging
[os_glance_tasks_store]
filesystem_store_datadir = {prefix}/glance/tasks
[paste_deploy]
flavor = keystone
config_file = {prefix}/etc/glance/glance-api-paste.ini
{quiet}
{tokens}
{identity}
"""

PLACEMENT = """\
[DEFAULT]
log_file = {prefix}/log/placement.log
[placement_database]
connection = {database[placement]}
{pool}
[api]
auth_strategy = keystone
{tokens}
{identity}
"""

NEUTRON = """\
[DEFAULT]
log_file = {prefix}/log/neutron.log
state_path = {prefix}/neutron
core_plugin = ml2
service_plugins = router
auth_strategy = keystone
api_paste_config = {prefix}/etc/neutron/api-paste.ini
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = true
send_events_interval = 1
dhcp_agent_notification = false
transport_url = {rabbitmq}
rpc_response_timeout = 60
[database]
connection = {database[neutron]}
{pool}
[oslo_concurrency]
lock_path = {prefix}/tmp
[oslo_messaging_rabbit]
heartbeat_in_pthread = false
{quiet}
{tokens}
{identity}
[nova]
{of_nova}
[quotas]
quota_port = -1
quota_security_group_rule = -1
quota_security_group = -1
quota_network = -1
quota_subnet = -1
quota_floatingip = -1
[ml2]
type_drivers = local,flat
tenant_network_types = local
mechanism_drivers = everyport
extension_drivers = port_security
[ml2_type_flat]
flat_networks = *
[securitygroup]
enable_security_group = true
"""

NOVA = """\
[DEFAULT]
state_path = {prefix}/nova
log_dir = {prefix}/log
my_ip = 127.0.0.1
compute_driver = fake.FakeDriver
default_schedule_zone = zone-1
reserved_host_memory_mb = 0
reserved_host_disk_mb = 0
instance_usage_audit = false
service_down_time = 120
transport_url = {rabbitmq}
rpc_response_timeout = 60
[api]
auth_strategy = keystone
[wsgi]
api_paste_config = {prefix}/etc/nova/api-paste.ini
[api_database]
connection = {database[nova_api]}
{pool}
[database]
connection = {database[nova_cell1]}
{pool}
[oslo_concurrency]
lock_path = {prefix}/tmp
[oslo_messaging_rabbit]
heartbeat_in_pthread = false
{quiet}
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 2
[conductor]
workers = 1
[vnc]
enabled = false
[quota]
instances = -1
cores = -1
ram = -1
server_groups = -1
server_group_members = -1
[glance]
region_name = RegionOne
[neutron]
{of_neutron}
[placement]
{of_placement}
[service_user]
send_service_user_token = true
{identity}
{tokens}
{identity}
"""

COMPUTE = """\
[DEFAULT]
host = host-{zone}
state_path = {prefix}/compute/{zone}
compute_driver = {driver}
cpu_allocation_ratio = 1.0
ram_allocation_ratio = 1.0
"""

RABBITMQ = """\
default_user = bed
default_pass = bed
listeners.tcp.1 = 127.0.0.1:{port}
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 50MB
"""

CLOUDS = """\
clouds:
  admin:
    region_name: RegionOne
    auth: {{auth_url: "{keystone}/v3", username: admin, password: admin, project_name: admin,
           user_domain_name: Default, project_domain_name: Default}}
  scaler:
    region_name: RegionOne
    auth: {{auth_url: "{keystone}/v3", username: scaler, password: scaler, project_name: autoscale,
           user_domain_name: Default, project_domain_name: Default}}
"""


@dataclass(frozen=True)
class Site:
    """Where everything listens."""

    prefix: Path
    first_port: int

    def port(self, name: str) -> int:
        return self.first_port + PORTS.index(name)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port(name)}"

    def database(self, name: str) -> str:
        return f"mysql+pymysql://bed:bed@127.0.0.1:{self.port('mariadb')}/{name}?charset=utf8mb4"

    def files(self) -> dict[str, str]:
        """Texts by path under the prefix."""
        rooms = {
            "etc/keystone/keystone.conf": ("keystone", KEYSTONE),
            "etc/glance/glance-api.conf": ("glance", GLANCE),
            "etc/placement/placement.conf": ("placement", PLACEMENT),
            "etc/neutron/neutron.conf": ("neutron", NEUTRON),
            "etc/nova/nova.conf": ("nova", NOVA),
        }
        texts = {path: self._filled(text, user) for path, (user, text) in rooms.items()}
        for zone, host in ZONES.items():
            texts[f"etc/nova/{zone}.conf"] = COMPUTE.format(zone=zone, prefix=self.prefix, driver=host["driver"])
        texts["rabbitmq/rabbitmq.conf"] = RABBITMQ.format(port=self.port("rabbitmq"))
        texts["clouds.yaml"] = CLOUDS.format(keystone=self.url("keystone"))
        return texts

    def _filled(self, text: str, user: str) -> str:
        keystone = self.url("keystone")
        return text.format(
            prefix=self.prefix,
            database={name: self.database(name) for name in DATABASES},
            keystone=keystone,
            glance=self.url("glance"),
            rabbitmq=f"rabbit://bed:bed@127.0.0.1:{self.port('rabbitmq')}/",
            pool=POOL,
            quiet=QUIET,
            tokens=TOKENS.format(keystone=keystone),
            identity=IDENTITY.format(keystone=keystone, user=user),
            of_nova=IDENTITY.format(keystone=keystone, user="nova"),
            of_neutron=IDENTITY.format(keystone=keystone, user="neutron"),
            of_placement=IDENTITY.format(keystone=keystone, user="placement"),
        )
