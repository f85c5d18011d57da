"""From a configuration to the objects that it asks for. With ``app`` the only place that knows concrete classes."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dynamiccluster.api.server import ApiSettings
from dynamiccluster.checkers.base import Checker
from dynamiccluster.checkers.registry import plugin_checker, port_checker
from dynamiccluster.clouds.base import Cloud
from dynamiccluster.clouds.registry import build_cloud
from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.config.load import Loaded
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.schema_cloud_simulated import SimulatedResource
from dynamiccluster.config.schema_cluster_simulated import SimulatedCluster
from dynamiccluster.config.to_policy import hook_commands
from dynamiccluster.embedded.demo import demo_site
from dynamiccluster.embedded.machines import Kind, Mishap, TenancyLimits, Window
from dynamiccluster.embedded.site import Site
from dynamiccluster.embedded.workload import Habits
from dynamiccluster.errors import BadConfigError, StoreError
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.kit.lockfile import LockFile
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.model.policy import Policy
from dynamiccluster.names.base import Names
from dynamiccluster.names.registry import build_names
from dynamiccluster.plugins.base import Plugin
from dynamiccluster.plugins.loader import load_plugin
from dynamiccluster.plugins.reasons import reasons_in_queue
from dynamiccluster.plugins.scripts import Hooks
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.schedulers.registry import build_scheduler
from dynamiccluster.schedulers.simulated import SimulatedScheduler
from dynamiccluster.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class Adapters:
    """Everything foreign that one configuration asks for."""

    scheduler: Scheduler
    clouds: Mapping[str, Cloud]
    checker: Checker | None
    names: Names | None
    hooks: Hooks


class Builder:
    """Builds for one run of the service. ``clock`` is set once it is known, before anything is built."""

    def __init__(self) -> None:
        self.runner = SubprocessRunner()
        self.clock: Clock = SystemClock()
        self._site: Site | None = None

    def adapters(self, loaded: Loaded) -> Adapters:
        settings = loaded.settings
        general = settings.general
        names = general.names
        known = build_names(
            names.method,
            cluster_id=general.cluster_id,
            runner=self.runner,
            hosts_file=names.hosts_file,
            add_command=names.add_command or "",
            remove_command=names.remove_command or "",
            timeout_s=names.timeout_s,
        )
        return Adapters(
            scheduler=self._scheduler(settings, loaded.policy, known),
            clouds=self._clouds(settings, loaded.policy),
            checker=_checker(settings),
            names=known,
            hooks=Hooks(self.runner, hook_commands(settings), general.hook_timeout_s),
        )

    def _scheduler(self, settings: Settings, policy: Policy, names: Names) -> Scheduler:
        cluster, cluster_id = settings.cluster, settings.general.cluster_id
        if isinstance(cluster, SimulatedCluster):
            return SimulatedScheduler(self._embedded_site(settings, policy), self.clock, cluster_id)
        return build_scheduler(
            cluster.type,
            _plain(cluster.config),
            cluster_id=cluster_id,
            runner=self.runner,
            clock=self.clock,
            resolve=names.add,
        )

    def _clouds(self, settings: Settings, policy: Policy) -> dict[str, Cloud]:
        by_tenancy: dict[str, list[str]] = {}
        for name, resource in policy.resources.items():
            by_tenancy.setdefault(resource.tenancy, []).append(name)
        return {tenancy: self._cloud(settings, policy, tenancy, names) for tenancy, names in by_tenancy.items()}

    def _cloud(self, settings: Settings, policy: Policy, tenancy: str, names: list[str]) -> Cloud:
        kind, cluster_id = settings.cloud[names[0]].type, settings.general.cluster_id
        if kind == "simulated":
            return SimulatedCloud(self._embedded_site(settings, policy), tenancy, self.clock, cluster_id)
        configs = {name: _plain(settings.cloud[name].config) for name in names}
        return build_cloud(kind, tenancy, configs, cluster_id=cluster_id, runner=self.runner, clock=self.clock)

    def _embedded_site(self, settings: Settings, policy: Policy) -> Site:
        """One site for the whole life of the service: a reload does not move its jobs and machines."""
        if self._site is None:
            self._site = _new_site(settings, policy, self.clock)
        with self._site.at(self.clock):
            for name, item in settings.cloud.items():
                if isinstance(item, SimulatedResource):
                    wanted = policy.resources[name].tenancy
                    tenancy = self._site.tenancies.get(wanted) or self._site.add_tenancy(wanted)
                    tenancy.kinds[name] = Kind(**_only(Kind, item.config))
                    tenancy.limits = TenancyLimits(**_only(TenancyLimits, item.config))
        return self._site


def _new_site(settings: Settings, policy: Policy, clock: Clock) -> Site:
    cluster = settings.cluster
    if not isinstance(cluster, SimulatedCluster):
        raise BadConfigError("simulated clouds go with a simulated cluster only: their machines join no other")
    simulated = {name: item for name, item in settings.cloud.items() if isinstance(item, SimulatedResource)}
    known = [policy.resources[name] for name in simulated]
    return demo_site(
        settings.general.cluster_id,
        known,
        clock.now(),
        clock.monotonic(),
        cluster.config.seed,
        kinds={name: Kind(**_only(Kind, item.config)) for name, item in simulated.items()},
        limits={
            policy.resources[name].tenancy: TenancyLimits(**_only(TenancyLimits, item.config))
            for name, item in simulated.items()
        },
        windows=[
            Window(Mishap(mishap.mishap), name, mishap.from_s, mishap.until_s)
            for name, item in simulated.items()
            for mishap in item.config.mishaps
        ],
        habits=Habits(**_only(Habits, cluster.config.workload)),
    )


def _only(kind: type, section: Any) -> dict[str, Any]:
    """The keys of a configuration section that are fields of ``kind``."""
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in dict(section).items() if key in names}


def _plain(section: Any) -> dict[str, Any]:
    return dict(section)


def _checker(settings: Settings) -> Checker | None:
    wanted = settings.general.config_checker
    if wanted is None:
        return None
    if wanted.port is not None:
        return port_checker(wanted.port.number, wanted.port.timeout_s)
    if wanted.plugin is None:
        return None
    return plugin_checker(wanted.plugin.name, wanted.plugin.plain_arguments())


def build_plugins(settings: Settings, scheduler: Scheduler) -> dict[str, Plugin]:
    """The site's, and what is built in."""
    general = settings.general
    wanted = bool(getattr(settings.cluster.config, "reason_in_admin_comment", False))
    built_in = reasons_in_queue(scheduler, wanted, general.cluster_id, general.cluster_poller_interval)
    items = settings.plugins.items()
    return built_in | {name: load_plugin(name, item.class_name, item.plain_arguments()) for name, item in items}


def api_settings(settings: Settings) -> ApiSettings:
    server = settings.general.admin_server
    proxy, pam = server.proxy, server.pam
    return ApiSettings(
        address=server.bind_address,
        port=server.port,
        socket_path=server.socket,
        socket_mode=server.socket_mode,
        socket_group=server.socket_group,
        tokens_file=server.tokens_file,
        tls_certificate=server.tls_certificate,
        tls_key=server.tls_key,
        allowed_hosts=tuple(server.allowed_hosts),
        max_connections=server.max_connections,
        command_timeout_s=server.command_timeout_s,
        slow_client_s=server.slow_client_s,
        series_file=f"{settings.general.store.path}.series",
        graphite_url=server.graphite_url,
        proxies=tuple(proxy.addresses) if proxy else (),
        proxy_secret=proxy.secret.get_secret_value() if proxy else "",
        proxy_user_header=proxy.user_header if proxy else "",
        proxy_roles=proxy.roles if proxy else {},
        pam_service=pam.service if pam else "",
        pam_roles=pam.roles if pam else {},
    )


def opened_store(path: str, ends: contextlib.AsyncExitStack) -> SqlStore:
    """The store, which from now on nobody else on this machine can open; ``ends`` closes it."""
    try:
        pathlib.Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfigError(f"store: the directory of {path} cannot be made: {error.strerror}") from error
    ends.callback(LockFile(f"{path}.lock", f"the store {path}").release)
    try:
        store = SqlStore(path)
    except StoreError as error:
        raise BadConfigError(str(error)) from error
    ends.callback(store.close)
    return store
