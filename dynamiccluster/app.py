"""The only file that knows every concrete class: builds the service from a configuration, runs it, stops it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from dynamiccluster.api.server import ApiServer
from dynamiccluster.building import Builder, api_settings, build_plugins, opened_store
from dynamiccluster.config.adapters import CLOUDS, SCHEDULERS
from dynamiccluster.config.check import require_adapters
from dynamiccluster.config.load import Loaded, load
from dynamiccluster.config.problems import ConfigProblems
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.schema_cloud_simulated import SimulatedResource
from dynamiccluster.config.schema_cluster_simulated import SimulatedCluster
from dynamiccluster.config.tenancies import lost
from dynamiccluster.engine.doorbell import Doorbell
from dynamiccluster.engine.loop import Engine
from dynamiccluster.errors import BadConfigError, DynamicClusterError, ErrorClass, StoreError, VersionConflictError
from dynamiccluster.kit.blocking import ThreadBridge
from dynamiccluster.kit.clock import Clock, SystemClock, processor_s
from dynamiccluster.kit.interpreter import keep_collections_short, share_time_finely
from dynamiccluster.kit.logs import configure_logging
from dynamiccluster.kit.pace import PacedClock, PacedLoop
from dynamiccluster.kit.secrets import Redactor
from dynamiccluster.kit.systemd import Systemd
from dynamiccluster.model.view import SourceStatus
from dynamiccluster.plugins.base import Plugin
from dynamiccluster.plugins.host import PluginHost
from dynamiccluster.plugins.prometheus import CONTENT_TYPE, MeteredBridge, PrometheusExporter

log = logging.getLogger(__name__)

SCHEDULER_WORKERS = 2
"""A poll and one change at a time: a batch system's daemon serves everybody else, too."""

ONE_WORKER = ("store", "decide", "dry-run", "plugin", "doorbell", "metrics")
"""Groups of the bridge in which one call waits for the other. For the store the engine relies on it."""

MOST_WAITING = {"dry-run": 8, "history": 64, "metrics": 8}
"""Calls that may wait in groups that all may call who may look: one dry run of 100,000 jobs takes half a second."""

METRICS_LIMIT_S = 10.0
"""How long a scrape may take: as long as Prometheus waits for one unless told otherwise (``scrape_timeout``)."""

WORD_ALPHABET = "abcdefghjkmnpqrstvwxyz"


def serve(
    config_path: str, *, speed: float = 1.0, verbosity: int = 0, started: Callable[[], None] = lambda: None
) -> int:
    """Run the service until SIGTERM or SIGINT; the exit code. ``started`` is called once it listens.

    ``speed`` makes an embedded cluster's time run faster; beside a real scheduler it must be 1.

    :raises BadConfigError: the configuration, a socket, the store or a class of the site is not usable; nothing was
        started.
    :raises VersionConflictError: another controller writes the store.
    """
    loaded = load(config_path)
    require_adapters(loaded, SCHEDULERS, CLOUDS)
    if speed != 1.0 and not _embedded(loaded.settings):
        raise BadConfigError("--speed is for embedded clusters only; beside a real scheduler time runs as it does")
    redactor = Redactor()
    _log_to(loaded, verbosity, redactor)
    for notice in loaded.notices:
        log.warning("%s", notice)
    app = _App(config_path, loaded, speed, verbosity, redactor)
    share_time_finely()
    try:
        with asyncio.Runner(loop_factory=lambda: PacedLoop(speed)) as runner:
            return runner.run(app.run(started))
    except DynamicClusterError as error:
        error.args = (redactor.redact(str(error)),)  # classes of the site may say what they were given
        if loaded.settings.logging.log_location:  # who reads standard error is told by the command line
            log.critical("the service ends: %s", error)
        raise


def _log_to(loaded: Loaded, verbosity: int, redactor: Redactor) -> None:
    redactor.add(*loaded.secrets())
    wanted = loaded.settings.logging
    level = min(max(wanted.log_level + verbosity, 0), 3)
    configure_logging(level, wanted.log_location, wanted.log_format, wanted.log_max_size, redactor)


def _embedded(settings: Settings) -> bool:
    clouds = all(isinstance(item, SimulatedResource) for item in settings.cloud.values())
    return isinstance(settings.cluster, SimulatedCluster) and clouds


class _App:
    """One run of the service."""

    def __init__(self, config_path: str, loaded: Loaded, speed: float, verbosity: int, redactor: Redactor) -> None:
        self._path = config_path
        self._loaded = loaded
        self._speed = speed
        self._verbosity = verbosity
        self._redactor = redactor
        self._builder = Builder()
        self._background: set[asyncio.Task[Any]] = set()
        self._reloading = asyncio.Lock()

    async def run(self, started: Callable[[], None]) -> int:
        loaded, general = self._loaded, self._loaded.settings.general
        loop = asyncio.get_running_loop()
        clock: Clock = SystemClock()
        if self._speed != 1.0 and isinstance(loop, PacedLoop):
            clock = PacedClock(loop, clock.now())
        self._clock = self._builder.clock = clock
        self._exporter = PrometheusExporter(clock)
        adapters = self._builder.adapters(loaded)
        plugins = build_plugins(loaded.settings, adapters.scheduler)
        systemd = Systemd()
        async with contextlib.AsyncExitStack() as ends:
            store = opened_store(general.store.path, ends)
            workers = {"scheduler": SCHEDULER_WORKERS, "cloud": general.worker_number}
            threads = ThreadBridge(workers | dict.fromkeys(ONE_WORKER, 1), most_waiting=MOST_WAITING)
            ends.callback(threads.close)
            bridge = self._bridge = MeteredBridge(threads, self._exporter.meters, clock)
            engine = self._engine = Engine(
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
                redact=self._redactor.redact,
                decided=self._exporter.decided,
                computed=processor_s if self._speed == 1.0 else None,
            )
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, engine.stop)
            loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
            self._watch(plugins)
            ends.push_async_callback(self._unwatch)
            api = ApiServer(engine, api_settings(loaded.settings), clock, bridge, self._metrics, self._plugins)
            await api.start()
            ends.push_async_callback(api.stop)
            if general.doorbell:
                self._in_background(Doorbell(general.doorbell, bridge, engine.nudge).run())
            ends.push_async_callback(self._end_reloads)
            log.info("started: cluster %s, %d resource(s)", general.cluster_id, len(loaded.policy.resources))
            started()
            systemd.tell("READY=1", f"STATUS=cluster {general.cluster_id}")
            ends.push_async_callback(_end, loop.create_task(_signs_of_life(systemd)))
            ends.push_async_callback(_end, loop.create_task(keep_collections_short()))
            ends.callback(systemd.tell, "STOPPING=1")
            try:
                await engine.run()
            except VersionConflictError:
                raise
            except StoreError as error:  # it could not even be read
                raise BadConfigError(str(error)) from error
        log.info("stopped; worker nodes stay as they are")
        return 0

    def _watch(self, plugins: Mapping[str, Plugin]) -> None:
        """Let these plug-ins look at the engine's state."""
        built_in = {"prometheus": self._exporter}
        self._host = PluginHost({**built_in, **plugins}, self._bridge, self._clock, redact=self._redactor.redact)
        self._watching = asyncio.get_running_loop().create_task(self._host.run(lambda: self._engine.readmodel))

    async def _metrics(self) -> tuple[str, bytes]:
        """One scrape, in a thread: with 100,000 jobs it takes a while."""
        readmodel, plugins = self._engine.readmodel, self._host.status
        text = await self._bridge.call(
            "metrics", "write the figures", METRICS_LIMIT_S, lambda: self._exporter.text(readmodel, plugins)
        )
        return CONTENT_TYPE, text

    def _plugins(self) -> list[SourceStatus]:
        """For the API, which does not know plug-ins."""
        return [
            SourceStatus(
                each.name,
                each.last_good_at,
                each.last_try_at,
                each.failures,
                each.error,
                ErrorClass.UNKNOWN_OUTCOME.value if each.cut_off else "",
            )
            for each in self._host.status
        ]

    async def _unwatch(self) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._host.close()

    # -- reload --------------------------------------------------------------------------------------------

    async def _end_reloads(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def _on_hangup(self) -> None:
        self._in_background(self._reload("SIGHUP"))

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Until it is done or the service stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _reload(self, actor: str) -> list[str]:
        """Read the file again; with any problem the old configuration stays in force."""
        async with self._reloading:
            try:
                return await self._reloaded(actor)
            except ConfigProblems as problems:
                return self._kept([str(problem) for problem in problems.problems])
            except DynamicClusterError as error:
                return self._kept([str(error)])
            except Exception as error:
                log.exception("reload: unexpected")
                return self._kept([f"{type(error).__name__}: {error}"])

    async def _reloaded(self, actor: str) -> list[str]:
        loaded = await self._bridge.call("config", f"read {self._path}", 30.0, lambda: load(self._path))
        self._redactor.add(*loaded.secrets())
        require_adapters(loaded, SCHEDULERS, CLOUDS)
        fixed = self._unchangeable(loaded)
        if fixed:
            return self._kept(fixed)
        adapters = self._builder.adapters(loaded)
        old, new, new_plugins = self._loaded.settings, loaded.settings, None
        if (new.plugins, new.cluster) != (old.plugins, old.cluster):
            new_plugins = build_plugins(new, adapters.scheduler)
        _log_to(loaded, self._verbosity, self._redactor)
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
        log.info("configuration reloaded by %s: %d resource(s)", actor, len(loaded.policy.resources))
        if new_plugins is not None:
            await self._unwatch()
            self._watch(new_plugins)
        return []

    def _kept(self, problems: list[str]) -> list[str]:
        told = [self._redactor.redact(problem) for problem in problems]
        for problem in told:
            log.error("reload refused, the old configuration stays in force: %s", problem)
        return told

    def _unchangeable(self, loaded: Loaded) -> list[str]:
        """What a running service cannot change under its own feet."""
        old, new = self._loaded.settings, loaded.settings
        kept = {
            "dynamic-cluster.cluster_id": (old.general.cluster_id, new.general.cluster_id),
            "dynamic-cluster.store.path": (old.general.store.path, new.general.store.path),
            "dynamic-cluster.admin-server": (old.general.admin_server, new.general.admin_server),
            "dynamic-cluster.doorbell": (old.general.doorbell, new.general.doorbell),
            "dynamic-cluster.worker_number": (old.general.worker_number, new.general.worker_number),
            "cluster.type": (old.cluster.type, new.cluster.type),
        }
        fixed = [f"{key} changes only with a restart" for key, (was, now) in kept.items() if was != now]
        in_use = self._engine.readmodel.nodes_by_tenancy
        return fixed + [
            f"cloud: tenancy {tenancy} {wrong}, but {in_use[tenancy]} node(s) are there, which could neither be seen "
            "nor ended: drain its resources and wait until they have left"
            for tenancy, wrong in lost(old, new, in_use).items()
        ]


async def _signs_of_life(systemd: Systemd) -> None:
    """Tell the watchdog that the loop turns; a loop that hangs is silent, and systemd starts the service anew."""
    while systemd.watchdog_s > 0:
        systemd.tell("WATCHDOG=1")
        await asyncio.sleep(systemd.watchdog_s / 3)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def new_word() -> str:
    """The random word of a fresh store: part of all its node ids, and so of host names."""
    return "".join(secrets.choice(WORD_ALPHABET) for _ in range(4))
