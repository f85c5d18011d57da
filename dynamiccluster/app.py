"""The only file that knows every concrete class: builds the service from a configuration, runs it, stops it."""

from __future__ import annotations

import asyncio
import logging
import pathlib
import secrets
import signal
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dynamiccluster.api.server import ApiServer, ApiSettings
from dynamiccluster.checkers.base import Checker
from dynamiccluster.checkers.registry import plugin_checker, port_checker
from dynamiccluster.clouds.base import Cloud
from dynamiccluster.clouds.registry import build_cloud
from dynamiccluster.clouds.simulated import SimulatedCloud
from dynamiccluster.config.check import require_adapters
from dynamiccluster.config.load import Loaded, load
from dynamiccluster.config.problems import ConfigProblems
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.schema_cloud import SimulatedResource
from dynamiccluster.config.schema_cluster import SimulatedCluster
from dynamiccluster.config.to_policy import hook_commands
from dynamiccluster.embedded.demo import demo_site
from dynamiccluster.embedded.machines import Kind, Mishap, TenancyLimits, Window
from dynamiccluster.embedded.site import Site
from dynamiccluster.embedded.workload import Habits
from dynamiccluster.engine.loop import Engine
from dynamiccluster.errors import BadConfigError, DynamicClusterError
from dynamiccluster.kit.blocking import ThreadBridge
from dynamiccluster.kit.clock import Clock, SystemClock
from dynamiccluster.kit.logs import configure_logging
from dynamiccluster.kit.pace import PacedClock, PacedLoop
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.kit.secrets import Redactor
from dynamiccluster.model.policy import Policy
from dynamiccluster.names.base import Names
from dynamiccluster.names.registry import build_names
from dynamiccluster.plugins.base import Plugin
from dynamiccluster.plugins.host import PluginHost
from dynamiccluster.plugins.loader import load_plugin
from dynamiccluster.plugins.scripts import Hooks
from dynamiccluster.schedulers.base import Scheduler
from dynamiccluster.schedulers.registry import build_scheduler
from dynamiccluster.schedulers.simulated import SimulatedScheduler
from dynamiccluster.store.sql import SqlStore

log = logging.getLogger(__name__)

SCHEDULERS = ("slurm", "simulated")
CLOUDS = ("local", "simulated")
"""Types that this release has adapters for."""

SCHEDULER_WORKERS = 2
"""A poll and one change at a time: a batch system's daemon serves everybody else, too."""

WORD_ALPHABET = "abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True)
class Adapters:
    """Everything foreign that one configuration asks for."""

    scheduler: Scheduler
    clouds: Mapping[str, Cloud]
    checker: Checker | None
    names: Names | None
    hooks: Hooks


def serve(config_path: str, *, speed: float = 1.0, foreground: bool = True, verbosity: int = 0) -> int:
    """Run the service until SIGTERM or SIGINT; the exit code. ``foreground`` also logs to standard error.

    ``speed`` makes an embedded cluster's time run faster; beside a real scheduler it must be 1.

    :raises BadConfigError: the configuration, a socket or a class of the site is not usable; nothing was started.
    """
    loaded = load(config_path)
    require_adapters(loaded, SCHEDULERS, CLOUDS)
    if speed != 1.0 and not _embedded(loaded.settings):
        raise BadConfigError("--speed is for embedded clusters only; beside a real scheduler time runs as it does")
    _log_to(loaded, verbosity, foreground)
    for notice in loaded.notices:
        log.warning("%s", notice)
    with asyncio.Runner(loop_factory=lambda: PacedLoop(speed)) as runner:
        return runner.run(_App(config_path, loaded, speed).run())


def _log_to(loaded: Loaded, verbosity: int, foreground: bool) -> None:
    redactor = Redactor()
    redactor.add(*loaded.secrets())
    wanted = loaded.settings.logging
    level = min(max(wanted.log_level + verbosity, 0), 3)
    if not foreground and not wanted.log_location:
        raise BadConfigError("logging: in the background a log_location is needed")
    configure_logging(level, wanted.log_location, wanted.log_format, wanted.log_max_size, redactor)


def _embedded(settings: Settings) -> bool:
    clouds = all(isinstance(item, SimulatedResource) for item in settings.cloud.values())
    return isinstance(settings.cluster, SimulatedCluster) and clouds


class _App:
    """One run of the service."""

    def __init__(self, config_path: str, loaded: Loaded, speed: float) -> None:
        self._path = config_path
        self._loaded = loaded
        self._speed = speed
        self._runner = SubprocessRunner()
        self._site: Site | None = None
        self._background: set[asyncio.Task[Any]] = set()

    async def run(self) -> int:
        loaded, general = self._loaded, self._loaded.settings.general
        loop = asyncio.get_running_loop()
        clock: Clock = SystemClock()
        if self._speed != 1.0 and isinstance(loop, PacedLoop):
            clock = PacedClock(loop, clock.now())
        self._clock = clock
        adapters = self._adapters(loaded)
        plugins = _plugins(loaded.settings)
        store = SqlStore(_made_directory_of(general.store.path))
        workers = {"scheduler": SCHEDULER_WORKERS, "cloud": general.worker_number, "plugin": 1}
        bridge = self._bridge = ThreadBridge(workers)
        engine = Engine(
            loaded.policy,
            adapters.scheduler,
            adapters.clouds,
            store,
            clock,
            bridge,
            checker=adapters.checker,
            names=adapters.names,
            hooks=adapters.hooks,
            hook_timeout_s=general.hook_timeout_s,
            word=new_word,
            reloader=self._reload,
            document=loaded.redacted(),
        )
        self._engine = engine
        api = ApiServer(engine, _api_settings(loaded.settings), clock)
        host = PluginHost(plugins, bridge, clock)
        await api.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, engine.stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        watching = loop.create_task(host.run(lambda: engine.readmodel))
        log.info("started: cluster %s, %d resource(s)", general.cluster_id, len(loaded.policy.resources))
        try:
            await engine.run()
        finally:
            watching.cancel()
            await asyncio.gather(watching, *self._background, return_exceptions=True)
            await host.close()
            await api.stop()
            bridge.close()
            store.close()
            log.info("stopped; worker nodes stay as they are")
        return 0

    # -- reload --------------------------------------------------------------------------------------------

    def _on_hangup(self) -> None:
        task = asyncio.get_running_loop().create_task(self._reload("SIGHUP"))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _reload(self, actor: str) -> list[str]:
        """Read the file again; with any problem the old configuration stays in force."""
        try:
            loaded = await self._bridge.call("config", f"read {self._path}", 30.0, lambda: load(self._path))
            require_adapters(loaded, SCHEDULERS, CLOUDS)
            fixed = self._unchangeable(loaded)
            if fixed:
                return fixed
            adapters = self._adapters(loaded)
        except ConfigProblems as problems:
            return self._kept([str(problem) for problem in problems.problems])
        except DynamicClusterError as error:
            return self._kept([str(error)])
        self._loaded = loaded
        await self._engine.reconfigure(
            loaded.policy,
            adapters.scheduler,
            adapters.clouds,
            checker=adapters.checker,
            names=adapters.names,
            hooks=adapters.hooks,
            hook_timeout_s=loaded.settings.general.hook_timeout_s,
            document=loaded.redacted(),
            actor=actor,
        )
        return []

    def _kept(self, problems: list[str]) -> list[str]:
        for problem in problems:
            log.error("reload refused, the old configuration stays in force: %s", problem)
        return problems

    def _unchangeable(self, loaded: Loaded) -> list[str]:
        """What a running service cannot change under its own feet."""
        old, new = self._loaded.settings, loaded.settings
        kept = {
            "dynamic-cluster.cluster_id": (old.general.cluster_id, new.general.cluster_id),
            "dynamic-cluster.store.path": (old.general.store.path, new.general.store.path),
            "cluster.type": (old.cluster.type, new.cluster.type),
        }
        return self._kept([f"{key} changes only with a restart" for key, (was, now) in kept.items() if was != now])

    # -- building ------------------------------------------------------------------------------------------

    def _adapters(self, loaded: Loaded) -> Adapters:
        settings = loaded.settings
        general = settings.general
        names = general.names
        return Adapters(
            scheduler=self._scheduler(settings, loaded.policy),
            clouds=self._clouds(settings, loaded.policy),
            checker=_checker(settings),
            names=build_names(
                names.method,
                cluster_id=general.cluster_id,
                runner=self._runner,
                hosts_file=names.hosts_file,
                add_command=names.add_command or "",
                remove_command=names.remove_command or "",
                timeout_s=names.timeout_s,
            ),
            hooks=Hooks(self._runner, hook_commands(settings), general.hook_timeout_s),
        )

    def _scheduler(self, settings: Settings, policy: Policy) -> Scheduler:
        cluster, cluster_id = settings.cluster, settings.general.cluster_id
        if isinstance(cluster, SimulatedCluster):
            return SimulatedScheduler(self._embedded_site(settings, policy), self._clock, cluster_id)
        config = _plain(cluster.config)
        return build_scheduler(cluster.type, config, cluster_id=cluster_id, runner=self._runner, clock=self._clock)

    def _clouds(self, settings: Settings, policy: Policy) -> dict[str, Cloud]:
        by_tenancy: dict[str, list[str]] = {}
        for name, resource in policy.resources.items():
            by_tenancy.setdefault(resource.tenancy, []).append(name)
        return {tenancy: self._cloud(settings, policy, tenancy, names) for tenancy, names in by_tenancy.items()}

    def _cloud(self, settings: Settings, policy: Policy, tenancy: str, names: list[str]) -> Cloud:
        kind, cluster_id = settings.cloud[names[0]].type, settings.general.cluster_id
        if kind == "simulated":
            return SimulatedCloud(self._embedded_site(settings, policy), tenancy, self._clock, cluster_id)
        configs = {name: _plain(settings.cloud[name].config) for name in names}
        return build_cloud(kind, tenancy, configs, cluster_id=cluster_id, runner=self._runner, clock=self._clock)

    def _embedded_site(self, settings: Settings, policy: Policy) -> Site:
        """One site for the whole life of the service: a reload does not move its jobs and machines."""
        if self._site is None:
            self._site = _new_site(settings, policy, self._clock)
        missing = {resource.tenancy for resource in policy.resources.values()} - set(self._site.tenancies)
        for tenancy in missing:
            self._site.add_tenancy(tenancy)
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


def _plugins(settings: Settings) -> dict[str, Plugin]:
    return {name: load_plugin(name, item.class_name, item.plain_arguments()) for name, item in settings.plugins.items()}


def _api_settings(settings: Settings) -> ApiSettings:
    server = settings.general.admin_server
    return ApiSettings(
        address=server.bind_address,
        port=server.port,
        socket_path=server.socket,
        socket_mode=server.socket_mode,
        socket_group=server.socket_group,
        tokens_file=server.tokens_file,
        allowed_hosts=tuple(server.allowed_hosts),
        max_connections=server.max_connections,
        command_timeout_s=server.command_timeout_s,
        slow_client_s=server.slow_client_s,
    )


def _made_directory_of(path: str) -> str:
    try:
        pathlib.Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadConfigError(f"store: the directory of {path} cannot be made: {error.strerror}") from error
    return path


def new_word() -> str:
    """The random word of a fresh store: part of all its node ids, and so of host names."""
    return "".join(secrets.choice(WORD_ALPHABET) for _ in range(4))
