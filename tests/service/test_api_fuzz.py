"""The OpenAPI document is true: requests made up from it, right and wrong ones, against the running service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from service_process import Service, configuration

from dynamiccluster.api.tokens import Role, make_token

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
    "/api/v1/session": "wrong tokens would shut our own address out",
    "/api/v1/power": "its longest field nearly fills a body; what is larger is cut off without a document",
}

MOST_S = 40
"""Time for making up requests."""


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER], ids=["admin", "viewer"])
def test_nothing_fails_and_every_answer_is_as_declared(tmp_path: Path, role: Role) -> None:
    config = configuration(tmp_path, jobs_per_day=50_000)
    secret, kept = make_token("fuzz", role)
    tokens = tmp_path / "tokens"
    tokens.write_text(kept.line() + "\n")
    tokens.chmod(0o600)
    config["dynamic-cluster"]["admin-server"]["tokens_file"] = str(tokens)
    with Service(tmp_path, config) as service:
        service.until(lambda: service.nodes())
        port = config["dynamic-cluster"]["admin-server"]["port"]
        command = [str(Path(sys.executable).parent / "schemathesis"), "run"]
        command += [f"http://127.0.0.1:{port}/api/v1/openapi.json", "-H", f"Authorization: Bearer {secret}"]
        command += ["--checks", ",".join(CHECKS), "--continue-on-failure", "--seed", "1", "--no-color", "--no-shrink"]
        command += ["--max-examples", "6", "--max-time", str(MOST_S if role is Role.ADMIN else MOST_S // 4)]
        command += [word for path in LEFT_OUT for word in ("--exclude-path", path)]
        command += ["--generation-database", "none"]
        command += ["--phases", "coverage,fuzzing", "--request-timeout", "20", "--warnings", "off", "-w", "2"]
        run = subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"NO_PROXY": "*"}, capture_output=True, text=True, check=False
        )
        assert service.get("/healthz")[0] == 200
        log = service.log()
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert "Traceback" not in log
    assert secret not in log
    assert "Test cases" in run.stdout


def test_the_document_is_valid_and_names_every_path(tmp_path: Path) -> None:
    with Service(tmp_path, configuration(tmp_path)) as service:
        status, document = service.get("/api/v1/openapi.json", tcp=True)
    assert (status, document["openapi"]) == (200, "3.1.0")
    from openapi_spec_validator import validate  # it comes with moto; a second to import

    validate(document)
    operations = [entry[verb] for entry in document["paths"].values() for verb in entry if verb != "parameters"]
    assert len({one["operationId"] for one in operations}) == len(operations) > 50
    assert "***" not in json.dumps(document)
