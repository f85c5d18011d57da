#!/bin/sh
# User data for workers of Torque, a Jinja template (docs/clouds/user-data.md): puts the join script on the machine, its
# settings beside it, and runs it. Adjust what is marked.
set -eu
umask 022
place=/usr/local/lib/dynamiccluster/join
mkdir -p "$place" /etc/dynamiccluster
{% for name in ["machine", "torque"] %}
cat >"$place/{{ name }}" <<'END OF THE SCRIPT'
{{ join_script(name) }}
END OF THE SCRIPT
{% endfor %}
cat >/etc/dynamiccluster/join.conf <<'END OF THE SETTINGS'
{# On EC2 the next line may go: a machine finds its name in its tags, and all nodes of a launch are one request. #}
host_name={{ host_name }}
# adjust
head={{ values.head }}
torque_home=/var/spool/torque
service=pbs_mom
END OF THE SETTINGS
exec sh "$place/torque"
