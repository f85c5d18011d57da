#!/bin/sh
# User data for workers of HTCondor, a Jinja template (docs/clouds/user-data.md): puts the join script on the machine, its
# settings beside it, and runs it. Adjust what is marked.
set -eu
umask 022
place=/usr/local/lib/dynamiccluster/join
mkdir -p "$place" /etc/dynamiccluster
{% for name in ["machine", "htcondor"] %}
cat >"$place/{{ name }}" <<'END OF THE SCRIPT'
{{ join_script(name) }}
END OF THE SCRIPT
{% endfor %}
{# A secret by reference is a command that asks the site's vault as the machine that runs it (userdata_values:
   NAME_command). The other way, base64 in NAME, puts it into the user data, where all see it who may read that. #}
{% if "token" in values %}
(umask 077 && base64 -d >/etc/dynamiccluster/token) <<'END'
{{ values.token }}
END
{% endif %}
{% if "hold_key" in values %}
(umask 077 && base64 -d >/etc/dynamiccluster/hold_key) <<'END'
{{ values.hold_key }}
END
{% endif %}
cat >/etc/dynamiccluster/join.conf <<'END OF THE SETTINGS'
{# On EC2 the next line may go: a machine finds its name in its tags, and all nodes of a launch are one request. #}
host_name={{ host_name }}
# adjust: the very text of CONDOR_HOST
head={{ values.head }}
{% if "token" in values %}
token_file=/etc/dynamiccluster/token
{% elif "token_command" in values %}
token_command={{ values.token_command }}
{% endif %}
{% if "hold_key" in values %}
hold_key_file=/etc/dynamiccluster/hold_key
{% elif "hold_key_command" in values %}
hold_key_command={{ values.hold_key_command }}
{% endif %}
features={{ resource.features | join(",") }}
cores={{ resource.cores }}
memory_mib={{ resource.memory_mib }}
END OF THE SETTINGS
exec sh "$place/htcondor"
