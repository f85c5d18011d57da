"""Real Prometheus and real Carbon watch a real service on the embedded cluster."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from service_process import ROOT, Service, configuration, free_port

sys.path.insert(0, str(ROOT / "scripts" / "testbeds"))
import packages  # type: ignore[import-not-found]  # a script's neighbour, not a package

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

RULES = ROOT / "config" / "prometheus" / "dynamic-cluster.rules.yaml"
BOARD = ROOT / "config" / "grafana" / "dynamic-cluster.json"
PREFIX = "lab.dynamiccluster"

CARBON = """\
[cache]
STORAGE_DIR = {here}
LOCAL_DATA_DIR = {here}/whisper
CONF_DIR = {here}
LOG_DIR = {here}
PID_DIR = {here}
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {port}
PICKLE_RECEIVER_PORT = 0
CACHE_QUERY_PORT = 0
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
"""


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    if os.environ.get("DYNAMICCLUSTER_TESTBEDS") != "1":
        pytest.skip("real systems are tested with scripts/test --testbeds")
    if os.geteuid() != 0:
        pytest.skip("only root can install Prometheus and Carbon")
    with packages.alone():
        missing = [name for name in ("prometheus", "graphite-carbon") if not packages.installed(name)]
        assert not missing or packages.install(missing), f"{missing} could not be installed"


@pytest.fixture
def service(tmp_path: pathlib.Path) -> Iterator[Service]:
    """Busy: jobs come and go, and nodes with them."""
    config = configuration(tmp_path, jobs_per_day=40000)
    config["cluster"]["config"]["workload"]["run_s"] = [20, 60]
    config["dynamic-cluster"]["limits"] = {"budget_per_hour": 9}
    config["cloud"]["fast"]["price_per_hour"] = 0.5
    with Service(tmp_path, config) as made:
        yield made


@contextlib.contextmanager
def daemon(*words: str, said: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    with said.open("ab") as output:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def until(holds: Callable[[], object], what: str, within_s: float = 60.0) -> Any:
    """What it is in the end, once it is true."""
    last = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < last, f"not within {within_s:g} s: {what}"
        time.sleep(0.2)
    return found


# -- Prometheus --------------------------------------------------------------------------------------------


def test_promtool_finds_nothing_wrong(service: Service) -> None:
    service.until(lambda: service.nodes())
    status, text = service.get("/metrics")
    assert status == 200
    checked = subprocess.run(
        ["/usr/bin/promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    rules = subprocess.run(
        ["/usr/bin/promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False
    )
    assert rules.returncode == 0, rules.stdout + rules.stderr


class Prometheus:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api/v1"

    def get(self, path: str, **parameters: str) -> Any:
        with contextlib.suppress(OSError):
            query = urllib.parse.urlencode(parameters)
            with urllib.request.urlopen(f"{self.url}/{path}?{query}", timeout=20) as response:  # noqa: S310 - its own
                return json.load(response)["data"]
        return None

    def value(self, expression: str) -> list[Any]:
        found = self.get("query", query=expression)
        return found["result"] if found else []


@pytest.fixture
def prometheus(service: Service, tmp_path: pathlib.Path) -> Iterator[Prometheus]:
    port, config = free_port(), tmp_path / "prometheus.yaml"
    watched = service.config["dynamic-cluster"]["admin-server"]["port"]
    scrape = {"job_name": "dynamiccluster", "static_configs": [{"targets": [f"127.0.0.1:{watched}"]}]}
    document = {"global": {"scrape_interval": "1s"}, "rule_files": [str(RULES)], "scrape_configs": [scrape]}
    config.write_text(yaml.safe_dump(document))
    storage = f"--storage.tsdb.path={tmp_path / 'tsdb'}"
    words = ("prometheus", f"--config.file={config}", storage, f"--web.listen-address=127.0.0.1:{port}")
    with daemon(*words, said=tmp_path / "prometheus.out"):
        yield Prometheus(port)


def expressions() -> list[tuple[str, str]]:
    """Title of the panel, and what it asks with Grafana's variables filled in."""
    board = json.loads(BOARD.read_text())
    found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", ())]
    return [(title, text.replace("$job", ".*").replace("$instance", ".*")) for title, text in found]


def test_prometheus_scrapes_it_and_each_panel_of_the_board_shows_something(
    service: Service, prometheus: Prometheus
) -> None:
    until(lambda: prometheus.value('up{job="dynamiccluster"} == 1'), "a good scrape")
    until(lambda: prometheus.value("dynamiccluster_join_seconds_count > 1"), "nodes have joined")
    until(lambda: prometheus.value("dynamiccluster_queue_wait_seconds_count > 1"), "jobs have begun")
    quiet = {"Calls that failed", "Machines nobody accounts for", "Breakers and pauses"}
    asked = expressions()
    assert len(asked) > 20
    for title, text in asked:
        if title not in quiet:
            until(lambda text=text: prometheus.value(text), f"panel {title} shows something")  # type: ignore[misc]  # bound at once
    groups = prometheus.get("rules")["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
    nodes = prometheus.value("sum(dynamiccluster_nodes)")[0]["value"][1]
    assert int(nodes) <= service.config["cloud"]["fast"]["quantity"]["max"]


# -- Graphite ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def carbon(here: pathlib.Path, port: int) -> Iterator[None]:
    here.mkdir(exist_ok=True)
    (here / "carbon.conf").write_text(CARBON.format(here=here, port=port))
    (here / "storage-schemas.conf").write_text("[all]\npattern = .*\nretentions = 1s:1h\n")
    (here / "carbon-cache-a.pid").unlink(missing_ok=True)
    words = ("carbon-cache", f"--config={here / 'carbon.conf'}", "--nodaemon", "start")
    with daemon(*words, said=here / "carbon.out"):
        yield


def kept(here: pathlib.Path, name: str) -> list[tuple[int, float]]:
    """Instants and values that Carbon has written of a figure."""
    path = here / "whisper" / f"{PREFIX}.{name}".replace(".", "/")
    told = subprocess.run(
        ["/usr/bin/whisper-fetch", "--json", f"--from={int(time.time()) - 600}", f"{path}.wsp"],
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        return []
    series = json.loads(told.stdout)
    instants = range(series["start"], series["end"], series["step"])
    return [(at, value) for at, value in zip(instants, series["values"], strict=False) if value is not None]


def test_carbon_gets_the_figures_and_may_come_and_go(tmp_path: pathlib.Path) -> None:
    port, here = free_port(), tmp_path / "carbon"
    config = configuration(tmp_path, jobs_per_day=40000)
    config["plugins"] = {
        "graphite": {
            "class_name": "dynamiccluster.graphite.GraphiteReporter",  # as the guide writes it
            "arguments": {"hostname": "127.0.0.1", "port": port, "prefix": PREFIX, "interval": 1},
        }
    }
    with Service(tmp_path, config, speed=1.0) as service:
        service.until(lambda: "plug-in graphite failed" in service.log())  # nobody listens yet
        tick = service.get("/api/v1/status")[1]["tick"]
        service.until(lambda: service.get("/api/v1/status")[1]["tick"] > tick)
        with carbon(here, port):
            first = until(lambda: kept(here, "nodes.total"), "Carbon has written a figure")
            for name in ("nodes.busy", "cores.total", "resource.fast.nodes", "resource.fast.cores", "jobs.queued"):
                until(lambda name=name: kept(here, name), name)  # type: ignore[misc]  # bound at once
        gone_at = time.time()
        service.until(lambda: service.get("/api/v1/status")[1]["tick"] > tick + 3)  # it goes on without Carbon
        with carbon(here, port):
            until(lambda: [at for at, _ in kept(here, "nodes.total") if at > gone_at + 1], "figures after its return")
        assert all(0 <= value <= 4 for _, value in first)
