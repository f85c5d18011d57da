#!/bin/sh
# User data for workers of Slurm, a Jinja template (docs/clouds/user-data.md): puts the join script on the machine, its
# settings beside it, and runs it. Adjust what is marked.
set -eu
umask 022
place=/usr/local/lib/dynamiccluster/join
mkdir -p "$place" /etc/dynamiccluster
{% for name in ["machine", "slurm"] %}
cat >"$place/{{ name }}" <<'END OF THE SCRIPT'
{{ join_script(name) }}
END OF THE SCRIPT
{% endfor %}
{# A secret by reference is a command that asks the site's vault as the machine that runs it (userdata_values:
   NAME_command). The other way, base64 in NAME, puts it into the user data, where all see it who may read that. #}
{% if "munge_key" in values %}
(umask 077 && base64 -d >/etc/dynamiccluster/munge_key) <<'END'
{{ values.munge_key }}
END
{% endif %}
cat >/etc/dynamiccluster/join.conf <<'END OF THE SETTINGS'
{# On EC2 the next line may go: a machine finds its name in its tags, and all nodes of a launch are one request. #}
host_name={{ host_name }}
# adjust: slurmctld with enable_configless, or slurm_conf=FILE of the image
head={{ values.head }}
{% if "munge_key" in values %}
munge_key_file=/etc/dynamiccluster/munge_key
{% elif "munge_key_command" in values %}
munge_key_command={{ values.munge_key_command }}
{% endif %}
{% if resource.gpus %}
gres=gpu:{{ resource.gpus }}
{% endif %}
END OF THE SETTINGS
exec sh "$place/slurm"
