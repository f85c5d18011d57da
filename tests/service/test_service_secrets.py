"""No secret leaves (promise 8): planted in every place that takes one, looked for in everything that comes out."""

from __future__ import annotations

import copy
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from service_process import Service, configuration

SITE = '''
from dynamiccluster.errors import TransientError

class Plugin:
    """Its secrets are in everything that it says."""
    interval_s = 1.0

    def __init__(self, **arguments):
        self.said = repr(arguments)

    def observe(self, model):
        raise RuntimeError(f"login failed: {self.said}")

    def close(self):
        raise RuntimeError(f"logout failed: {self.said}")


class Checker:
    def __init__(self, **arguments):
        self.said = repr(arguments)
        self.calls = 0

    def check(self, *_):
        self.calls += 1
        if self.calls % 2:
            raise TransientError(f"not yet: {self.said}")
        raise ValueError(f"odd: {self.said}")
'''

PLANTED = {
    "plain": "Zq7-plain-secret",
    "env": "Zq7-env-secret",
    "file": "Zq7-file-secret",
    "nested": 'Zq7 nested "secret"',
    "listed": "Zq7/listed+secret",
    "url": "Zq7-url-secret",
    "checker": "Zq7-checker-secret",
    "reloaded": "Zq7-reloaded-secret",
    "token": "Zq7-token-secret-of-some-length",
}

GET = (
    "/healthz",
    "/readyz",
    "/",
    "/dashboard",
    "/workernode",
    "/job",
    "/resource",
    "/server/config",
    "/server/status",
    "/server/queues",
    "/api/v1/status",
    "/api/v1/nodes",
    "/api/v1/jobs",
    "/api/v1/resources",
    "/api/v1/events?limit=1000",
    "/api/v1/plan",
    "/api/v1/costs",
    "/api/v1/sources",
    "/api/v1/plugins",
    "/api/v1/config",
    "/api/v1/nonsense",
)


def with_secrets(folder: Path) -> dict[str, Any]:
    (folder / "password.txt").write_text(PLANTED["file"] + "\n")
    (folder / "password.txt").chmod(0o600)
    config = configuration(folder, jobs_per_day=20_000)
    config["logging"]["log_level"] = 3
    config["plugins"] = {
        "site": {
            "class_name": "leaky.Plugin",
            "arguments": {
                "password": PLANTED["plain"],
                "other": {"from_env": "ZQ7"},
                "third": {"from_file": "password.txt"},
                "deep": {"api_key": PLANTED["nested"]},
                "list": [{"secret": PLANTED["listed"]}],
                "url": f"https://ada:{PLANTED['url']}@graphite.example.org/x",
            },
        }
    }
    config["dynamic-cluster"]["config-checker"] = {
        "plugin": {"name": "leaky.Checker", "arguments": {"password": PLANTED["checker"]}}
    }
    return config


def leaks(text: str) -> list[str]:
    """Which planted secrets stand in a text, as they are or as JSON writes them."""
    return [name for name, secret in PLANTED.items() if secret in text or json.dumps(secret)[1:-1] in text]


@pytest.mark.usefixtures("environment")
def test_no_secret_leaves_the_service(tmp_path: Path) -> None:
    (tmp_path / "leaky.py").write_text(SITE)
    with Service(tmp_path, with_secrets(tmp_path)) as service:
        service.until(lambda: "check" in json.dumps(service.get("/api/v1/events?kind=warning")[1]))
        service.until(lambda: "login failed" in service.log())
        changed = copy.deepcopy(service.config)
        changed["plugins"]["site"]["arguments"]["password"] = PLANTED["reloaded"]
        service.write(changed)
        assert service.ask("POST", "/api/v1/reload")[0] == 200
        service.until(lambda: service.log().count("login failed") > 1)

        answers = {path: service.get(path, tcp)[1] for path in GET for tcp in (True, False)}
        node = service.nodes()[0]["node_id"]
        more = (
            f"/api/v1/nodes/{node}",
            f"/api/v1/nodes/{node}/console",
            f"/workernode/{node}",
            "/api/v1/resources/fast",
        )
        answers |= {path: service.get(path)[1] for path in more}
        broken = copy.deepcopy(changed)
        broken["plugins"]["site"]["arguments"]["password"] = {"from_env": PLANTED["token"], "x": PLANTED["plain"]}
        broken["plugins"]["site"]["class_name"] = "leaky.Nobody"
        service.write(broken)
        answers["reload"] = service.ask("POST", "/api/v1/reload")[1]
        service.write(changed)
        service.signal(signal.SIGTERM)
        answers["said"] = service.ends()[1]
    assert leaks(json.dumps(answers["/api/v1/config"])) == []
    assert "leaky.Plugin" in json.dumps(answers["/api/v1/config"])
    plugins = {one["name"]: one for one in answers["/api/v1/plugins"]["plugins"]}
    assert plugins["site"]["error"].startswith("RuntimeError: login failed")
    assert "prometheus" in plugins
    found = {path: leaks(answer if isinstance(answer, str) else json.dumps(answer)) for path, answer in answers.items()}
    assert not {path: names for path, names in found.items() if names}
    assert leaks(service.log()) == []
    assert "**********" in service.log()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    assert leaks(stored.decode("utf-8", "replace")) == []


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "ZQ7", PLANTED["env"])


def test_a_leak_would_be_found() -> None:
    assert leaks(f"x {PLANTED['plain']} y") == ["plain"]
    assert leaks(json.dumps({"x": PLANTED["nested"]})) == ["nested"]
