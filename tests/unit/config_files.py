"""Configuration texts that several tests share; the values are invented."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamiccluster.config.load import Loaded, load
from dynamiccluster.config.problems import ConfigProblems, Problem

TORQUE = """
dynamic-cluster:
  max_idle_time: 700
  max_down_time: 500
  max_launch_time: 1300
  cluster_poller_interval: 11
  cloud_poller_interval: 21
  auto_provision_interval: 61
  worker_number: 3
  auto_mode: False
  admin-server:
    port: 8002
  config-checker:
    port:
      number: 15002
  post_vm_provision_command: /opt/site/up.sh {0} {1} {2}
  post_vm_destroy_command: /opt/site/gone.sh {0} {1} {2}

cluster:
  type: torque
  config:
    queue_to_monitor:
      - short
      - long
    queued_job_number_to_display: 40
    qstat_command: /opt/torque/bin/qstat -x -t
    pbsnodes_command: /opt/torque/bin/pbsnodes {0} {1}
    add_node_command: /opt/torque/bin/qmgr -c "create node {0}"
    check_node_command: /opt/maui/bin/checknode {0}
    remove_node_command: /opt/torque/bin/qmgr -c "delete node {0}"
    set_node_command: /opt/torque/bin/qmgr -c "set node {0} {1} {2} {3}"
    diagnose_p_command: /opt/maui/bin/diagnose -p
    showres_command: /opt/maui/bin/showres -n | grep {0}
    setres_command: /opt/maui/bin/setres {0} {1} {2}
    releaseres_command: /opt/maui/bin/releaseres `/opt/maui/bin/showres -n | grep {0} | grep {1} | awk '{{print $3}}' `
    delete_job_command: /opt/torque/bin/qdel -p {0}
    signal_job_command: /opt/torque/bin/qsig -s {0} {1}
    post_add_node_command: /opt/site/added.sh {0} {1}
    post_remove_node_command: /opt/site/removed.sh {0} {1}

cloud:
  os-res:
    type: openstack
    reservation:
      queue: short
      account:
      property:
    quantity:
      min: 1
      max: 5
    priority: 1
    config:
      username: hpc
      password: 0123456
      project: burst
      image_uuid: 11111111-2222-3333-4444-555555555555
      flavor: m1.small
      auth_url: https://keystone.example.org:5000/v2.0/
      key_name: admin
      security_groups:
        - workers
      availability_zone: zone-a
      instance_name_prefix: oswn
      userdata_file: /etc/site/userdata.sh
  aws-res:
    type: aws
    reservation:
      queue:
      account: physics
      property: bigmem
    quantity:
      min: 0
      max: 20
    priority: 2
    config:
      access_key_id: AKIAEXAMPLE
      secret_access_key: not-a-real-key
      image_id: ami-00000000
      instance_type: m5.xlarge
      region_name: ap-southeast-2
      key_name: admin
      security_groups: [sg-00000000]
      availability_zone: ap-southeast-2a
      subnet_id: subnet-00000000
      use_public_ip_address: True
      instance_name_prefix: awswn
      userdata_file:
      validate_certs: False
      spot_bid: 0.11
      spot_timeout: 400
      proxy: proxy.example.org
      proxy_port: 3128
      disk_map:
        scratch:
          device: /dev/sdb
          size: 50
          delete_on_termination: True

plugins:
  graphite:
    class_name: dynamiccluster.graphite.GraphiteReporter
    arguments:
      hostname: localhost
      port: 2003
      interval: 60
      prefix: headnode.dynamiccluster

logging:
    log_level: 3
    log_location: /tmp/dynamiccluster.log
    log_format: "%(asctime)s - %(levelname)s - %(message)s"
    log_max_size: 1048576
"""
"""Every key of the original for Torque, OpenStack and AWS."""

SGE = """
dynamic-cluster:
  worker_thread_number: 4
  config-checker:
    plugin:
      name: dynamiccluster.salt.SaltChecker
cluster:
  type: sge
  config:
    queue_to_monitor: [all.q]
    queued_job_number_to_display: 30
    qstat_command: /opt/ge/bin/qstat -xml -r
    qhost_command: /opt/ge/bin/qhost -q -j -xml {0} {1}
    hostgroup_command: /opt/ge/bin/qconf {0} hostgroup hostlist {1} {2}
    qmod_command: /opt/ge/bin/qmod {0} *@{1}
    remove_node_command: /opt/ge/bin/qconf -de {0}
    set_slots_command: /opt/ge/bin/qconf -rattr queue slots {0} {1}@{2}
    unset_slots_command: /opt/ge/bin/qconf -purge queue slots {0}@{1}
    qconf_spl_command: /opt/ge/bin/qconf -spl
    qconf_sp_command: /opt/ge/bin/qconf -sp {0} | grep allocation_rule | awk '{{print $2}}'
    qdel_command: /opt/ge/bin/qdel -f {0}
cloud:
  sa:
    type: OpenStack
    reservation: {queue: all.q, account: "@burst"}
    quantity: {min: 0, max: 4}
    priority: 1
    config:
      username: hpc
      password: secret
      project: burst
      image_uuid: 11111111-2222-3333-4444-555555555555
      flavor: 3
      auth_url: http://keystone.example.org:5000/v2.0/
      instance_name_prefix: wn
"""
"""Every key of the original for SGE."""

SMALL = """
dynamic-cluster:
  cluster_id: test
cluster:
  type: simulated
cloud:
  small:
    type: simulated
    quantity: {max: 2}
    capacity: {cores: 4}
"""
"""The least that is free of problems and notices."""


def loaded(directory: Path, text: str | bytes, env: dict[str, str] | None = None) -> Loaded:
    """The configuration in ``text``, which is put into a file that only its owner can read."""
    file = directory / "dc.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    file.chmod(0o600)
    return load(file, env=env or {})


def problems(directory: Path, text: str | bytes, env: dict[str, str] | None = None) -> tuple[Problem, ...]:
    """What is wrong with ``text``; fails if nothing is."""
    with pytest.raises(ConfigProblems) as caught:
        loaded(directory, text, env)
    assert caught.value.problems
    return caught.value.problems


def small(resource: str = "", general: str = "", cluster: str = "", rest: str = "") -> str:
    """``SMALL`` with more lines in the resource, in ``dynamic-cluster``, in the cluster's config, and at the end."""

    def indented(text: str, depth: int) -> str:
        return "".join(" " * depth + line + "\n" for line in text.splitlines())

    config = "  config:\n" + indented(cluster, 4) if cluster else ""
    return (
        "dynamic-cluster:\n  cluster_id: test\n"
        + indented(general, 2)
        + "cluster:\n  type: simulated\n"
        + config
        + "cloud:\n  small:\n    type: simulated\n    quantity: {max: 2}\n    capacity: {cores: 4}\n"
        + indented(resource, 4)
        + rest
    )
