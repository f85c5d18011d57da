"""Where the REST API listens, and whom it believes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Built by ``config/load`` from ``admin-server``."""

    address: str = "127.0.0.1"  # "" = no TCP at all; beyond loopback only with ``tokens_file``
    port: int = 8001  # 0 = any free one
    socket_path: str = ""  # "" = no Unix socket
    socket_mode: int = 0o660  # who may connect may change things
    socket_group: str = ""  # group name; "" = the group that the service runs as
    tokens_file: str = ""
    tls_certificate: str = ""  # PEM files for TCP; "" = plain HTTP
    tls_key: str = ""
    allowed_hosts: tuple[str, ...] = ()  # names besides localhost under which browsers may ask without a token
    max_connections: int = 256  # per listener: strangers on TCP must not lock the operator's socket out
    command_timeout_s: float = 60.0  # how long a change may wait for its commit
    slow_client_s: float = 20.0  # how long a client may take to send its request, or to take an answer
    static_folder: str = ""  # the built dashboard's files; "" = those that are shipped
    series_file: str = ""  # where the past of the charts is kept; "" = only in memory
    graphite_url: str = ""  # Graphite's web address, for graphs in the dashboard; "" = none
    proxies: tuple[str, ...] = ()  # addresses or networks of proxies whose word on who asks is believed
    proxy_secret: str = ""  # what they prove themselves with
    proxy_user_header: str = ""  # the header in which they name the user; "" = none is believed
    proxy_roles: Mapping[str, str] = field(default_factory=dict)  # user -> role; "*" = everybody else
    pam_service: str = ""  # PAM service for log-in with a password; "" = none
    pam_roles: Mapping[str, str] = field(default_factory=dict)  # account or @group -> role
