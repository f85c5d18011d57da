"""Machines of any kind, by four scripts of the site: list, launch, terminate, offers (and console).

A script gets one JSON object on standard input and prints one on standard output: ``docs/clouds/command.md``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dynamiccluster.clouds.command.answer_parse import (
    Document,
    parse_document,
    parse_error,
    parse_instance,
    parse_launched,
    parse_notice,
    parse_number,
    parse_offer,
    parse_quota,
)
from dynamiccluster.clouds.userdata import UserData
from dynamiccluster.errors import DynamicClusterError, TransientError, UnknownOutcomeError
from dynamiccluster.kit.clock import Clock
from dynamiccluster.kit.hostname import require_host_name
from dynamiccluster.kit.runner import Completed, Runner
from dynamiccluster.model.action import LaunchedInstance, NodeSpec
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.offer import Offer
from dynamiccluster.model.resource import Resource
from dynamiccluster.model.view import CloudView

log = logging.getLogger(__name__)
Part = TypeVar("Part")

PROTOCOL = 1
_CONSOLE_CHARACTERS = 65536
_OFFERS_EVERY_S = 3600.0


@dataclass(frozen=True)
class Scripts:
    """Commands as argv. ``offers`` and ``console`` may be empty: then sizes come from the configuration alone."""

    list: Sequence[str]
    launch: Sequence[str]
    terminate: Sequence[str]
    offers: Sequence[str] = ()
    console: Sequence[str] = ()


@dataclass(frozen=True)
class Parameters:
    """What one resource tells the scripts beside its size. ``values`` may hold secrets: they go to launch alone."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    user_data: UserData | None = None


class CommandCloud:
    """Implements ``clouds/base``.

    ``idempotent``: the site's word that ``launch`` with the same ``launch_id`` gives the machines of the first call.
    ``timeout_s``: of one script; ``launch`` may take ``launch_timeout_s``, less than the engine's 180 s. Two scripts
    for one ``launch_id`` never run at once: the second would ask too early whether the machines are there.
    """

    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        cluster_id: str,
        tenancy: str,
        scripts: Scripts,
        resources: Mapping[str, Parameters],
        *,
        idempotent: bool = False,
        timeout_s: float = 60.0,
        launch_timeout_s: float = 150.0,
    ) -> None:
        self.tenancy = tenancy
        self.idempotent = idempotent
        self._runner = runner
        self._clock = clock
        self._cluster_id = cluster_id
        self._scripts = scripts
        self._resources = dict(resources)
        self._timeout_s = timeout_s
        self._launch_timeout_s = launch_timeout_s
        self._running: dict[str, object] = {}  # launch ids; one call each, whichever thread comes first
        self._offers: tuple[Offer, ...] = ()
        self._offers_until = 0.0

    def list_instances(self) -> CloudView:
        started_at = self._clock.now()
        document = self._ask("list", self._scripts.list, {})
        records = document.get("instances")
        if not isinstance(records, list):
            raise TransientError("list: the answer has no `instances`; an empty cloud is an empty list")
        try:
            instances = [(record.get("cluster_id"), parse_instance(record)) for record in records]
            ours = tuple(instance for owner, instance in instances if owner == self._cluster_id)
            living = sum(instance.state is not InstanceState.GONE for _, instance in instances)
            uncounted = int(parse_number(document, "strangers"))
            quota = parse_quota(document.get("quota"), living + uncounted)
        except (ValueError, AttributeError) as error:  # which machine is missing cannot be known
            raise TransientError(f"list: a record of the answer {error}") from error
        return CloudView(
            self.tenancy,
            started_at,
            self._clock.now(),
            ours,
            living + uncounted - sum(instance.state is not InstanceState.GONE for instance in ours),
            quota,
            self._known_offers(),
            tuple(self._each("list", document, "notices", parse_notice)),
        )

    def launch(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> tuple[LaunchedInstance, ...]:
        for spec in specs:
            require_host_name(spec.host_name)
        wish = self._wish(launch_id, resource, specs)
        call = object()
        if self._running.setdefault(launch_id, call) is not call:
            raise UnknownOutcomeError("launch: the script of an earlier call for the same machines still runs")
        try:
            document = self._ask("launch", self._scripts.launch, wish, self._launch_timeout_s)
            records = document.get("instances")
            if not isinstance(records, list):
                raise UnknownOutcomeError("launch: the answer has no `instances`")
            return tuple(parse_launched(record) for record in records)
        except ValueError as error:
            raise UnknownOutcomeError(f"launch: one of the `instances` {error}") from error
        finally:
            del self._running[launch_id]

    def terminate(self, instance_ids: Sequence[str]) -> None:
        if instance_ids:
            self._ask("terminate", self._scripts.terminate, {"instance_ids": list(instance_ids)})

    def console_tail(self, instance_id: str) -> str:
        if not self._scripts.console:
            return ""
        document = self._ask("console", self._scripts.console, {"instance_id": instance_id})
        return str(document.get("console") or "")[-_CONSOLE_CHARACTERS:]

    def _wish(self, launch_id: str, resource: Resource, specs: Sequence[NodeSpec]) -> dict[str, Any]:
        own = self._resources.get(resource.name, Parameters())
        script = own.user_data.prepare() if own.user_data else None
        nodes = [
            {"node_id": spec.node_id, "host_name": spec.host_name}
            | ({"user_data": script.render(launch_id, resource, spec)} if script else {})
            for spec in specs
        ]
        return {
            "launch_id": launch_id,
            "resource": {
                "name": resource.name,
                "offering": resource.offering,
                "cores": resource.capacity.cores,
                "memory_mib": resource.capacity.memory_mib,
                "gpus": resource.capacity.gpus,
                "gpu_type": resource.gpu_type,
                "features": sorted(resource.features),
                "parameters": dict(own.parameters),
            },
            "nodes": nodes,
        }

    def _known_offers(self) -> tuple[Offer, ...]:
        """Asked for once an hour; a failure is no news about machines, and is tried again with the next list."""
        now = self._clock.monotonic()
        if self._scripts.offers and now >= self._offers_until:
            try:
                document = self._ask("offers", self._scripts.offers, {"resources": sorted(self._resources)})
            except DynamicClusterError as error:
                log.warning("%s: offers: %s", self.tenancy, error)
            else:
                self._offers = tuple(self._each("offers", document, "offers", parse_offer))
                self._offers_until = now + _OFFERS_EVERY_S
        return self._offers

    def _ask(self, verb: str, command: Sequence[str], wish: Mapping[str, Any], timeout_s: float = 0.0) -> Document:
        """One script's answer.

        A launch whose script ran and did not say what became of it has an unknown outcome; everything else may be
        repeated, so that its failures are transient.
        """
        given = {"protocol": PROTOCOL, "verb": verb, "cluster_id": self._cluster_id, "tenancy": self.tenancy, **wish}
        done = self._runner.run(command, timeout_s=timeout_s or self._timeout_s, stdin=json.dumps(given) + "\n")
        lost = UnknownOutcomeError if verb == "launch" else TransientError
        try:
            document = parse_document(done.stdout)
        except ValueError as error:
            raise lost(f"{verb}: {_what_it_said(done)}") from error
        if failure := parse_error(document, lost):
            raise failure
        if done.returncode != 0:
            raise lost(f"{verb}: {_what_it_said(done)}")
        return document

    def _each(self, verb: str, document: Document, key: str, parse: Callable[[object], Part]) -> list[Part]:
        """The elements of an optional list; one that is odd drops only itself."""
        found = []
        records = document.get(key, [])
        for number, record in enumerate(records if isinstance(records, list) else []):
            try:
                found.append(parse(record))
            except ValueError as error:
                log.warning("%s: %s: %s[%d] %s", self.tenancy, verb, key, number, error)
        return found


def _what_it_said(done: Completed) -> str:
    return f"the script ended with {done.returncode} and without an answer: {done.complaint}"
