"""``check-cloud`` and ``check-cluster`` on clouds of the site's own scripts: programs that are not there are seen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dynamiccluster.cli import exits
from dynamiccluster.cli.main import main

CLUSTER = "dynamic-cluster: {cluster_id: lab}\ncluster: {type: simulated}\n"
EMPTY = 'printf \'{"instances": [], "quota": {"max_instances": 4}}\''


def script(folder: Path, name: str, text: str = "exit 1", mode: int = 0o755) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(mode)
    return str(path)


def configured(folder: Path, listing: str, launch: str, **more: Any) -> Path:
    config = {"list_command": listing, "launch_command": launch, "terminate_command": "true", **more}
    cloud = {"type": "command", "quantity": {"min": 0, "max": 2}, "capacity": {"cores": 1}, "config": config}
    file = folder / "dc.yaml"
    file.write_text(CLUSTER + f"cloud: {json.dumps({'rack': cloud})}\n", encoding="utf-8")
    return file


def look(verb: str, file: Path) -> Result:
    return CliRunner().invoke(main, [verb, "-c", str(file), "-o", "json"], catch_exceptions=False)


def seen(result: Result) -> dict[str, tuple[str, str]]:
    (resource,) = json.loads(result.stdout)["resources"]
    return {one["subject"]: (one["state"], one["message"]) for one in resource["findings"]}


def test_all_is_well(tmp_path: Path) -> None:
    result = look("check-cloud", configured(tmp_path, script(tmp_path, "list", EMPTY), script(tmp_path, "launch")))
    assert result.exit_code == exits.OK
    assert seen(result)["list"] == ("ok", "0 machines of this cluster, 0 others; at most 4")
    assert set(seen(result)) == {"list_command", "launch_command", "terminate_command", "list"}


def test_programs_that_are_missing_or_may_not_be_run(tmp_path: Path) -> None:
    launch = script(tmp_path, "launch", mode=0o644)
    file = configured(tmp_path, script(tmp_path, "list", EMPTY), launch, console_command="/nonexistent/console")
    result = look("check-cloud", file)
    assert result.exit_code == exits.BAD_CONFIG
    found = seen(result)
    assert found["launch_command"] == ("not permitted", f"{launch} may not be run by this user")
    assert found["console_command"] == ("wrong", "there is no program /nonexistent/console")
    cluster = look("check-cluster", file)
    states = {one["key"]: one["state"] for one in json.loads(cluster.stdout)["checks"]}
    assert states["cloud.rack.config.launch_command"] == "not permitted"
    assert states["cloud.rack.config.console_command"] == "missing"
    assert cluster.exit_code == exits.BAD_CONFIG


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("echo kaput >&2; exit 3", "ended with 3 and without an answer: kaput"),
        ('printf \'{"error": {"class": "bad-config", "message": "no ipmitool"}}\'; exit 1', "no ipmitool"),
    ],
)
def test_a_list_that_fails(tmp_path: Path, answer: str, said: str) -> None:
    result = look("check-cloud", configured(tmp_path, script(tmp_path, "list", answer), script(tmp_path, "launch")))
    assert result.exit_code == exits.BAD_CONFIG
    state, message = seen(result)["list"]
    assert (state, said in message) == ("wrong", True)


def test_nothing_that_changes_anything_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    launch = script(tmp_path, "launch", f"touch {mark}")
    file = configured(tmp_path, script(tmp_path, "list", EMPTY), launch, terminate_command=launch)
    look("check-cloud", file)
    look("check-cluster", file)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (
            'printf \'{"offers": [{"resource": "rack", "cores": 8, "memory_mib": 16000}]}\'',
            "ok",
            "8 cores, 16000 MiB, 0 GPUs",
        ),
        ("exit 1", "not known", "nothing usable"),
    ],
)
def test_offers(tmp_path: Path, answer: str, state: str, said: str) -> None:
    offers = script(tmp_path, "offers", answer)
    file = configured(tmp_path, script(tmp_path, "list", EMPTY), script(tmp_path, "launch"), offers_command=offers)
    found = seen(look("check-cloud", file))["offers"]
    assert (found[0], said in found[1]) == (state, True)


def test_user_data_that_cannot_be_made(tmp_path: Path) -> None:
    file = configured(
        tmp_path, script(tmp_path, "list", EMPTY), script(tmp_path, "launch"), userdata_file="/nonexistent/userdata"
    )
    assert seen(look("check-cloud", file))["user data"][0] == "wrong"
