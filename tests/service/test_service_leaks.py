"""A running service with secrets in every key that takes one, with clouds, notifications and plug-ins that fail:
then texts quote what they were given. Everything that comes out is searched: every answer to every role, what verbs
print, the log at its most talkative, the store, and what people are told (promise 8).
"""

from __future__ import annotations

import copy
import http.server
import json
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel, SecretStr
from service_process import Service, configuration
from test_api_secrets import SECRETS

from dynamiccluster.api.tokens import ROLES, make_token
from dynamiccluster.cli.main import main
from dynamiccluster.config.load import load

SITE = '''
class Plugin:
    """Its secrets are in everything that it says."""
    interval_s = 1.0

    def __init__(self, **arguments):
        self.said = str(arguments)

    def observe(self, model):
        raise RuntimeError(f"login failed: {self.said}")

    def close(self):
        raise RuntimeError(f"logout failed: {self.said}")


class Unmakeable(Plugin):
    def __init__(self, **arguments):
        raise ValueError(f"no login: {arguments}")
'''

SCRIPT = """#!/bin/sh
given=$(cat)
case "$given" in *'"verb": "list"'*) echo '{"instances": []}'; exit 0;; esac
echo "it failed with $given" >&2
exit 1
"""

MARK = "Zq9x"
"""In every planted secret, and nowhere else. Each begins with its own number: what begins alike is hidden alike."""


class Planter:
    """Makes secrets, and finds them again."""

    def __init__(self) -> None:
        self.number = 10

    def __call__(self) -> str:
        self.number += 1
        return f"{self.number}{MARK}-k3y-{self.number}"

    @staticmethod
    def found(text: str) -> list[str]:
        return sorted(set(re.findall(rf"\d\d{MARK}[\w-]*", text)))


def everywhere(folder: Path, secret: Planter, receiver: int) -> dict[str, Any]:
    """A configuration with secrets in all places. Ports that nobody listens on make clouds fail at once."""
    (folder / "leaky.py").write_text(SITE)
    script = folder / "script"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    (folder / "userdata").write_text("join with {{ values.key }}\n")
    (folder / "file.secret").write_text(secret() + "\n")
    config = configuration(folder, jobs_per_day=200_000)
    config["logging"] |= {"log_level": 3, "log_format": "json"}
    config["dynamic-cluster"]["admin-server"]["proxy"] = {"secret": f"{secret()}-{secret()}", "roles": {"*": "viewer"}}

    def cloud(kind: str, capacity: bool = True, **keys: Any) -> dict[str, Any]:
        drawn = {"userdata_file": str(folder / "userdata"), "userdata_values": {"key": secret()}}
        size = {"capacity": {"cores": 1, "memory_mib": 1000}} if capacity else {}
        return {"type": kind, "quantity": {"max": 2}, "config": drawn | keys} | size

    def ec2(**keys: Any) -> dict[str, Any]:
        url = f"http://u:{secret()}@127.0.0.1:9/"
        both = {"access_key_id": secret(), "secret_access_key": secret(), "region_name": "nowhere-1"}
        return both | {"image_id": "ami-1", "endpoint_url": url} | keys

    here = f"http://u:{secret()}@127.0.0.1:9/v3"
    nova = {"auth_url": here, "image_uuid": "i", "flavor": "f"}
    config["cloud"] |= {
        "ec2": cloud("aws", **ec2(instance_type="m5.large", proxy=f"http://u:{secret()}@127.0.0.1", proxy_port=9)),
        "os": cloud("openstack", **nova, username="u", password=secret(), project="p"),
        "app": cloud(
            "openstack", **nova, application_credential_id="a", application_credential_secret={"from_env": "ZQ9"}
        ),
        "script": cloud("command", **{f"{verb}_command": str(script) for verb in ("list", "launch", "terminate")}),
    }
    config["cloud"]["script"]["config"]["parameters"] = {"ipmi_password": secret()}
    config["cloud"]["menu"] = cloud("xspot", False, **ec2(on_demand_types=["m5.large"]))
    for name, item in config["cloud"].items():
        item["tenancy"] = f"of-{name}"
    config["plugins"] = {
        "site": {
            "class_name": "leaky.Plugin",
            "arguments": {
                "password": secret(),
                "file": {"from_file": str(folder / "file.secret")},
                "deep": {"credentials": {"pw": secret()}, "tokens": [secret()]},
                "dsn": f"postgres://u:{secret()}@h/x",
                "url": f"https://h.example.org/x?token={secret()}",
                "headers": {"Authorization": f"Bearer {secret()}"},
            },
        },
        "people": {
            "class_name": "notify",
            "arguments": {
                "webhook": {"url": f"http://127.0.0.1:{receiver}/hooks/{secret()}", "token": secret()},
                "mail": {"to": ["ops@example.org"], "sender": "dc@example.org", "host": "127.0.0.1", "port": 9}
                | {"username": "u", "password": secret()},
                "script": [str(script)],
                "least": "info",
                "settle_s": 0,
                "interval": 1,
            },
        },
    }
    return config


def held(value: Any) -> Iterator[tuple[str, str]]:
    """Section and key of every secret that settings hold."""
    for kind, items in ((BaseModel, lambda: type(value).model_fields), (dict, lambda: value)):
        if isinstance(value, kind):
            for name in items():
                item = value[name] if isinstance(value, dict) else getattr(value, name)
                inner = list(item.values()) if isinstance(item, dict) else [item]
                if any(isinstance(one, SecretStr) for one in inner):
                    yield type(value).__name__, name
                yield from held(item)


@contextmanager
def receiver() -> Iterator[tuple[int, list[str]]]:
    """To which port notifications are sent, and what they say."""
    got: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_error(200)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], got
        server.shutdown()
        thread.join()


def tokens_for(folder: Path, config: dict[str, Any]) -> dict[str, str]:
    made = {role: make_token(role, ROLES[role]) for role in ROLES}
    path = folder / "tokens"
    path.write_text("".join(f"{kept.line()}\n" for _, kept in made.values()))
    path.chmod(0o600)
    config["dynamic-cluster"]["admin-server"]["tokens_file"] = str(path)
    return {role: secret for role, (secret, _) in made.items()}


def failing(service: Service) -> list[str]:
    sources = service.get("/api/v1/sources")[1]["sources"]
    return [one["source"].removeprefix("cloud:of-") for one in sources if one["error"]]


def cli(*words: str) -> str:
    result = CliRunner().invoke(main, words)
    return f"{result.output} {result.exception!r}"


def asked(service: Service, tokens: dict[str, str]) -> dict[str, str]:
    """Every path that can be read, by everybody."""
    document = service.get("/api/v1/openapi.json")[1]
    node, job = service.nodes()[0]["node_id"], service.get("/api/v1/jobs")[1]["jobs"][0]["job_id"]
    places = {"{node}": node, "{host}": node, "{id}": job}
    found = {}
    for path, verbs in document["paths"].items():
        if "get" not in verbs or path.endswith("/live"):
            continue
        for resource in ("fast", "os", "script") if "{name}" in path else ("",):
            where = path.replace("{name}", resource)
            for mark, value in places.items():
                where = where.replace(mark, value)
            for who, token in {"nobody": "", **tokens}.items():
                headers = {"Authorization": f"Bearer {token}"} if token else {}
                found[f"{where} for {who}"] = str(service.ask("GET", where, tcp=True, headers=headers))
            found[f"{where} at the socket"] = str(service.get(where))
    return found


@pytest.mark.timeout(120)
def test_nothing_that_comes_out_tells_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Planter()
    with receiver() as (port, told):
        config = everywhere(tmp_path, secret, port)
        tokens = tokens_for(tmp_path, config)
        monkeypatch.setenv("ZQ9", secret())
        service = Service(tmp_path, config, "-v", speed=1.0)
        service.path.chmod(0o600)
        planted = set(held(load(service.path).settings))
        assert {(kind, name) for kind, name in SECRETS if kind not in ("ScriptedCloud", "Ec2Config")} <= planted
        monkeypatch.setenv("DYNAMICCLUSTER_CONNECT", config["dynamic-cluster"]["admin-server"]["socket"])
        with service:
            for name in config["cloud"]:
                service.ask("POST", f"/api/v1/resources/{name}/launch", {"count": 1})
            service.until(lambda: told and "it failed with" in service.log(), 30)
            service.until(lambda: service.get("/api/v1/jobs")[1]["jobs"] and service.nodes(), 30)
            sources = ("ec2", "os", "app", "menu")
            service.until(lambda: set(sources) <= set(failing(service)), 30)
            said = asked(service, tokens)
            for role, token in tokens.items():
                said[f"log-in of {role}"] = str(service.ask("POST", "/api/v1/session", {"token": token}, tcp=True))
                said[f"bad log-in of {role}"] = str(service.ask("POST", "/api/v1/session", {"token": token + "x"}))
            node = service.nodes()[0]["node_id"]
            said["console"] = str(service.ask("POST", f"/api/v1/nodes/{node}/console"))
            for words in ("status", "nodes", f"node {node}", "jobs", "resources", "events", "plan", "cloud-status"):
                said[f"verb {words}"] = cli(*words.split())
            file, tokens_file = str(service.path), str(tmp_path / "tokens")
            said["check-config"] = cli("check-config", file)
            said["check-cluster"] = cli("check-cluster", file, "-o", "json")
            said["check-cloud"] = cli("check-cloud", "-c", file, "-o", "json", "os", "menu")
            said["token list"] = cli("token", "list", "--file", tokens_file)
            said |= refused(service, config, secret)
            service.signal(signal.SIGTERM)
            said["printed"] = service.ends()[1]
    said["log"] = service.log()
    said |= {path.name: path.read_bytes().decode("utf-8", "replace") for path in (tmp_path / "state").iterdir()}
    said |= {f"notification {number}": text for number, text in enumerate(told)}
    leaks = {name: found for name, text in said.items() if (found := Planter.found(text))}
    assert leaks == {}
    assert [name for name, text in said.items() if any(token in text for token in tokens.values())] == []
    assert len(said) > 250
    assert all(
        word in said["log"] for word in ("login failed", "logout failed", "it failed with", "token admin has logg")
    )
    for shown in ("/api/v1/config at the socket", "/server/config for nobody", "/api/v1/plugins for viewer", "log"):
        assert "**********" in said[shown], shown
    assert "403" in said["/api/v1/config for agent"]


def refused(service: Service, config: dict[str, Any], secret: Planter) -> dict[str, str]:
    """What is said of configurations that are no good, at a reload, before a start, and at one."""
    broken, found = copy.deepcopy(config), {}
    broken["plugins"]["other"] = {"class_name": "leaky.Unmakeable", "arguments": {"password": secret()}}
    service.write(broken)
    found["reload"] = str(service.ask("POST", "/api/v1/reload"))
    assert "no login" in found["reload"]
    trial = Service(service.folder, broken, speed=1.0)
    trial.said = service.folder / "trial.out"
    trial.start(ready=False)
    found["start"] = trial.ends()[1]
    assert "no login" in found["start"]
    text = yaml.safe_dump(config)
    typing_errors = (
        ("secret: ", "secrte: "),
        ("port: 9", "port: nine"),
        ("secret_access_key:", "access_key_id:"),
        ("username: u", f"username: {{{secret()}: {secret()}}}"),
    )
    wrong = text
    for right, mistaken in typing_errors:
        assert right in text
        wrong = wrong.replace(right, mistaken)
    for number, bad in enumerate((wrong, text.replace("password: ", "password: ["))):
        service.path.write_text(bad)
        found[f"bad file {number}"] = cli("check-config", str(service.path), "-o", "json")
        found[f"bad file {number} at the start"] = cli("serve", "-f", "-c", str(service.path))
        found[f"reload of bad file {number}"] = str(service.ask("POST", "/api/v1/reload"))
        assert "400" in found[f"reload of bad file {number}"]
    service.write(config)
    return found


def test_a_leak_would_be_found() -> None:
    secret = Planter()
    one, other = secret(), secret()
    assert Planter.found(f"x {one} y {json.dumps({'x': other})}") == [one, other]
