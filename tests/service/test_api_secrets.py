"""Secrets in every key that the configuration's schema calls secret: none comes out of any endpoint or verb.

The keys are found in the schema: one that is new is tested from its first day, or this fails.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, SecretStr
from service_process import ROOT, Service, configuration

import dynamiccluster.config as config_package
from dynamiccluster.config.fields import Section
from dynamiccluster.config.redact import redacted, secret_values

PLANTED = "Zq9-planted-in-a-secret-key"


def sections() -> Iterator[type[Section]]:
    """Every section of the configuration."""
    for module in pkgutil.iter_modules(config_package.__path__):
        if module.name.startswith("schema"):
            found = import_module(f"dynamiccluster.config.{module.name}")
            for _, one in inspect.getmembers(found, inspect.isclass):
                if issubclass(one, Section) and one.__module__ == found.__name__:
                    yield one


def holds_secret(kind: Any) -> bool:
    return kind is SecretStr or any(holds_secret(part) for part in typing.get_args(kind))


SECRETS = sorted(
    {
        (one.__name__, name)
        for one in sections()
        for name, field in one.model_fields.items()
        if holds_secret(field.annotation)
    }
)
BY_NAME = {one.__name__: one for one in sections()}


def test_the_schema_has_secrets() -> None:
    names = {name for _, name in SECRETS}
    assert {"password", "secret_access_key", "application_credential_secret", "secret"} <= names


@pytest.mark.parametrize(("section", "name"), SECRETS)
def test_each_secret_key_is_hidden_in_documents_messages_and_logs(section: str, name: str) -> None:
    kind = BY_NAME[section]
    within = typing.get_origin(kind.model_fields[name].annotation) is dict
    value: Any = {"inside": SecretStr(PLANTED)} if within else SecretStr(PLANTED)
    needed = {other: None for other, field in kind.model_fields.items() if field.is_required()}
    made = kind.model_construct(**(needed | {name: value}))
    assert PLANTED not in json.dumps(redacted(made), default=str)
    assert PLANTED not in repr(made)
    assert PLANTED in secret_values(made)  # so that the log's filter knows it

    class Whole(BaseModel):
        part: Any

    assert PLANTED not in json.dumps(redacted(Whole(part=made)), default=str)


def planted(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """A configuration with secrets wherever an embedded cluster can have them, and these secrets."""
    config = configuration(folder, jobs_per_day=20_000)
    config["logging"]["log_level"] = 3
    config["dynamic-cluster"]["admin-server"]["proxy"] = {"secret": PLANTED, "roles": {"ada": "viewer"}}
    config["plugins"] = {
        "site": {
            "class_name": "dynamiccluster.graphite.GraphiteReporter",
            "arguments": {"hostname": "127.0.0.1", "port": 9, "prefix": "x", "interval": 1},
        }
    }
    tokens = folder / "tokens"
    tokens.write_text("")
    tokens.chmod(0o600)
    made = cli("token", "add", "ops", "--role", "admin", "--file", str(tokens))
    token = next(word for word in made.stdout.split() if word.startswith("dct_"))
    config["dynamic-cluster"]["admin-server"]["tokens_file"] = str(tokens)
    return config, [PLANTED, token]


def cli(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dynamiccluster.cli.main", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.timeout(120)
def test_no_endpoint_verb_log_or_file_tells_a_secret(tmp_path: Path) -> None:
    config, secrets = planted(tmp_path)
    said: dict[str, str] = {}
    with Service(tmp_path, config) as service:
        service.until(lambda: service.nodes())
        document = service.get("/api/v1/openapi.json")[1]
        node, job = service.nodes()[0]["node_id"], service.get("/api/v1/jobs")[1]["jobs"][0]["job_id"]
        for path, verbs in document["paths"].items():
            if "get" in verbs and not path.endswith("/live"):
                asked = path.replace("{node}", node).replace("{host}", node).replace("{id}", job)
                said[path] = str(service.get(asked.replace("{name}", "fast"))[1])
        told = {"token": secrets[1]}
        said["log-in"] = str(service.ask("POST", "/api/v1/session", told, tcp=True)[1])
        said["bad log-in"] = str(service.ask("POST", "/api/v1/session", {"token": secrets[1] + "x"}, tcp=True)[1])
        said["check-config"] = str(cli("check-config", "-c", str(service.path)))
        broken = tmp_path / "broken.yaml"
        broken.write_text(yaml.safe_dump(config).replace("secret: ", "secrte: ").replace("port: 9", "port: nine"))
        refused = cli("check-config", "-c", str(broken))
        assert refused.returncode != 0
        said["check-config of a bad file"] = refused.stdout + refused.stderr
        said["log"] = service.log()
    for path in (tmp_path / "state").iterdir():
        said[path.name] = path.read_bytes().decode("utf-8", "replace")
    assert len(said) > 30
    assert "proxy" in said["/api/v1/config"]
    assert "token ops has logged in" in said["log"]
    assert [name for name, text in said.items() if any(secret in text for secret in secrets)] == []
