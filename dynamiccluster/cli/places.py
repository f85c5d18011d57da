"""Where things are unless somebody says otherwise: the original's places."""

from __future__ import annotations

DEFAULT_CONFIG = "/etc/dynamiccluster/dynamiccluster.yaml"
DEFAULT_PIDFILE = "/var/run/dynamiccluster/dynamiccluster.pid"
