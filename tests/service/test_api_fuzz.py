"""The OpenAPI document is true: requests made up from it, right and wrong ones, against the running service."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_process import Service, configuration

from dynamiccluster.api.tokens import ROLES, make_token

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)
"""All but those that want every well-formed request accepted: a node that is busy is not removed, however well one
asks."""

LEFT_OUT = {
    "/api/v1/live": "does not end",
    "/api/v1/power": "its longest field nearly fills a body; what is larger is cut off without a document",
}

MOST_S = 35
"""Time for making up requests as an administrator, after those that cover each part of the document."""

COUNTS = re.compile(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("fuzz")
    config = configuration(folder, jobs_per_day=50_000)
    tokens = folder / "tokens"
    tokens.write_text("".join(f"{kept.line()}\n" for _, kept in TOKENS.values()))
    tokens.chmod(0o600)
    config["dynamic-cluster"]["admin-server"]["tokens_file"] = str(tokens)
    with Service(folder, config) as running:
        running.until(running.nodes)
        yield running


TOKENS = {role: make_token(role, ROLES[role]) for role in ROLES}


@pytest.mark.parametrize("role", ["nobody", "agent", "viewer", "admin"])
def test_nothing_fails_and_every_answer_is_as_declared(service: Service, role: str) -> None:
    port = service.config["dynamic-cluster"]["admin-server"]["port"]
    document = service.folder / "openapi.json"
    document.write_text(json.dumps(service.get("/api/v1/openapi.json")[1]))
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", str(document)]
    command += ["--url", f"http://127.0.0.1:{port}"]
    if role != "nobody":
        command += ["-H", f"Authorization: Bearer {TOKENS[role][0]}"]
    command += ["--checks", ",".join(CHECKS), "--continue-on-failure", "--seed", "1", "--no-color", "--no-shrink"]
    command += [word for path in LEFT_OUT for word in ("--exclude-path", path)]
    # One worker: in several threads ast.parse of CPython 3.11 fails now and then (gh-106905).
    command += ["--generation-database", "none", "--request-timeout", "20", "--warnings", "off"]
    if role == "admin":
        command += ["--phases", "coverage,fuzzing", "--max-examples", "6", "--max-time", str(MOST_S)]
    else:
        command += ["--phases", "coverage"]
    run = subprocess.run(
        command, cwd=service.folder, env=os.environ | {"NO_PROXY": "*"}, capture_output=True, text=True, check=False
    )
    assert service.get("/healthz")[0] == 200
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    log = service.log()
    assert "Traceback" not in log
    assert not [name for name, (secret, _) in TOKENS.items() if secret in log]
    counts = COUNTS.search(run.stdout)
    assert counts is not None, run.stdout
    selected, declared, tested = map(int, counts.groups())
    assert tested == selected == declared - len(LEFT_OUT), run.stdout


def test_the_document_is_valid_and_names_every_path(service: Service) -> None:
    status, document = service.get("/api/v1/openapi.json", tcp=True)
    assert (status, document["openapi"]) == (200, "3.1.0")
    from openapi_spec_validator import validate  # it comes with moto; a second to import

    validate(document)
    operations = [entry[verb] for entry in document["paths"].values() for verb in entry if verb != "parameters"]
    assert len({one["operationId"] for one in operations}) == len(operations) > 50
    assert "***" not in json.dumps(document)
