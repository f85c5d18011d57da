"""What the private OpenStack holds: users, catalogue, image, flavors, networks. Run by its own Python.

openstack_site.py identity URLS-AS-JSON | resources CLOUDS-FILE
"""

import base64
import json
import pathlib
import sys
import time

import openstack
from openstack import exceptions

FLAVORS = {
    "t.nano": (64, 1, 1),
    "t.small": (2048, 2, 10),
    "t.large": (8192, 4, 40),
    "t.impossible": (64, 100_000, 1),  # no host has so many cores
}
"""Memory in MiB, cores, disk in GiB."""

TYPES = {"image": "glance", "placement": "placement", "network": "neutron", "compute": "nova"}
LIMIT_S = 120.0
SECRET = "of-the-bed"  # noqa: S105 - of a cloud on loopback that is thrown away


def identity(urls):
    """Users of the services and the scaler's, and the catalogue."""
    api = openstack.connect(cloud="admin").identity
    roles = {
        name: api.find_role(name) or api.create_role(name=name) for name in ("admin", "member", "reader", "service")
    }
    service = api.create_project(name="service", domain_id="default")
    for user in ("nova", "glance", "placement", "neutron"):
        made = create_user(api, user, service)
        for role in ("admin", "service"):
            api.assign_project_role_to_user(service, made, roles[role])
    ours = api.create_project(name="autoscale", domain_id="default")
    scaler = create_user(api, "scaler", ours)
    api.assign_project_role_to_user(ours, scaler, roles["member"])
    api.assign_project_role_to_user(ours, api.find_user("admin", domain_id="default"), roles["admin"])
    for kind, name in TYPES.items():
        made = api.create_service(type=kind, name=name)
        api.create_endpoint(service_id=made.id, interface="public", url=urls[name], region_id="RegionOne")


def create_user(api, name, project):
    """A user whose password is the name: everything is on loopback, and thrown away."""
    return api.create_user(name=name, password=name, domain_id="default", default_project_id=project.id)


def resources(clouds_file, zones):
    """Everything else, as soon as all hosts have been found; an application credential joins the clouds file."""
    admin, ours = openstack.connect(cloud="admin"), openstack.connect(cloud="scaler")
    compute, network = admin.compute, admin.network
    hosts_up(compute, {f"host-{zone}" for zone in zones})
    for zone in zones:
        compute.add_host_to_aggregate(compute.create_aggregate(name=zone, availability_zone=zone), f"host-{zone}")
    for name, (memory, cores, disk) in FLAVORS.items():
        compute.create_flavor(name=name, ram=memory, vcpus=cores, disk=disk)
    admin.image.create_image(
        "tiny", data=b"\0" * 1024, disk_format="raw", container_format="bare", visibility="public", wait=True,
        validate_checksum=False,
    )  # fmt: skip
    private = network.create_network(name="private", is_shared=True)
    inside = network.create_subnet(
        name="private", network_id=private.id, ip_version=4, cidr="10.20.0.0/16", is_dhcp_enabled=False
    )
    public = network.create_network(
        name="public", is_router_external=True, provider_network_type="flat", provider_physical_network="public"
    )
    network.create_subnet(name="public", network_id=public.id, ip_version=4, cidr="10.21.0.0/24", is_dhcp_enabled=False)
    router = network.create_router(name="router", external_gateway_info={"network_id": public.id})
    network.add_interface_to_router(router, subnet_id=inside.id)  # floating IPs need a way from one to the other
    group = ours.network.create_security_group(name="nodes")
    ours.network.create_security_group_rule(
        security_group_id=group.id, direction="ingress", protocol="tcp", port_range_min=22, port_range_max=22
    )
    key = base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + bytes(range(32))).decode()  # nobody has the other half
    ours.compute.create_keypair(name="scaler", public_key=f"ssh-ed25519 {key} scaler")
    made = ours.identity.create_application_credential(ours.current_user_id, "scaler", secret=SECRET)
    with pathlib.Path(clouds_file).open("a") as file:
        file.write(
            "  application:\n    region_name: RegionOne\n    auth_type: v3applicationcredential\n"
            f'    auth: {{auth_url: "{ours.config.config["auth"]["auth_url"]}", '
            f"application_credential_id: {made.id}, application_credential_secret: {SECRET}}}\n"
        )


def hosts_up(compute, wanted):
    """Wait until the API lists all hypervisors: then nova-compute runs, and the scheduler has mapped the host."""
    end = time.monotonic() + LIMIT_S
    found, problem = set(), ""
    while time.monotonic() < end:
        try:
            found = {each.service_details["host"] for each in compute.hypervisors(details=True)}
        except exceptions.SDKException as error:
            problem = str(error)
        if wanted <= found:
            return
        time.sleep(0.5)
    sys.exit(f"hosts did not come up: {sorted(wanted - found)} {problem}")


if __name__ == "__main__":
    if sys.argv[1] == "identity":
        identity(json.loads(sys.argv[2]))
    else:
        resources(sys.argv[2], sys.argv[3:])
