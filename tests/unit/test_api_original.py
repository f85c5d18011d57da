"""Every path, verb and status code of the original, and its field names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from live_api import NOW, Live, live

from dynamiccluster.errors import StoreError


@pytest.fixture
def api(tmp_path: Path):
    with live(tmp_path) as running:
        yield running


GETS = [
    ("/dashboard", 200),
    ("/workernode", 200),
    ("/workernode?state=2", 200),
    ("/workernode?state=", 200),
    ("/workernode?state=9", 400),
    ("/workernode?state=x", 400),
    ("/workernode?state=%C2%B2", 400),
    ("/workernode/dc-fast-00000001", 200),
    ("/workernode/n1", 200),
    ("/workernode/nothere", 404),
    ("/job", 200),
    ("/job/101", 200),
    ("/job/102_%5B1-9%5D", 200),
    ("/job/100", 404),
    ("/job/999", 404),
    ("/server/config", 200),
    ("/server/status", 200),
    ("/server/queues", 200),
    ("/resource", 200),
    ("/resource/fast", 200),
    ("/resource/nothere", 404),
    ("/nothere", 404),
]


def test_every_get_of_the_original_answers(api: Live) -> None:
    assert [(path, api.ask("GET", path).status) for path, _ in GETS] == GETS


CHANGES = [
    ("PUT", "/workernode/dc-fast-00000001/hold", 200, "holding"),
    ("PUT", "/workernode/n1/unhold", 200, "idle"),
    ("PUT", "/workernode/n2/vacate", 200, "holding"),
    ("PUT", "/workernode/n4/hold", 400, "starting"),
    ("PUT", "/workernode/n1/unhold", 400, "idle"),
    ("PUT", "/workernode/n1/dance", 404, "idle"),
    ("DELETE", "/workernode/n1", 400, "idle"),
    ("DELETE", "/workernode/n3", 200, "removing"),
    ("DELETE", "/workernode/n4", 200, "removing"),
    ("DELETE", "/workernode/n5", 200, "removing"),
]


def test_every_change_of_a_node_answers_and_takes_effect(api: Live) -> None:
    for method, path, status, state in CHANGES:
        answer = api.change(method, path)
        node = api.service.readmodel.node(path.split("/")[2])
        assert (path, answer.status, node and node.state.value) == (path, status, state)
        if status == 200:
            assert answer.json == {"success": True}
        else:
            assert answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "/workernode/nothere/hold", 404),
        ("DELETE", "/workernode/nothere", 404),
        ("PUT", "/workernode/n1", 405),
        ("POST", "/workernode", 405),
        ("PUT", "/server/auto", 200),
        ("DELETE", "/server/auto", 200),
        ("GET", "/server/auto", 405),
        ("PUT", "/resource/fast", 200),
        ("PUT", "/resource/fast?num=2", 200),
        ("PUT", "/resource/fast?num=3", 400),
        ("PUT", "/resource/fast?num=0", 400),
        ("PUT", "/resource/fast?num=-1", 400),
        ("PUT", "/resource/fast?num=many", 400),
        ("PUT", "/resource/fast?num=" + "9" * 200, 400),
        ("PUT", "/resource/nothere", 404),
        ("PUT", "/resource/fast/freeze", 200),
        ("PUT", "/resource/fast/restore", 200),
        ("PUT", "/resource/fast/drain", 200),
        ("PUT", "/resource/fast/dance", 404),
        ("PUT", "/resource/nothere/freeze", 404),
    ],
)
def test_every_change_of_the_original_answers(api: Live, method: str, path: str, status: int) -> None:
    assert api.change(method, path).status == status


@pytest.mark.parametrize(
    ("method", "path", "kind", "count"),
    [
        ("PUT", "/resource/fast", "launch", 1),
        ("PUT", "/resource/fast?num=2", "launch", 2),
        ("PUT", "/resource/fast/freeze", "freeze", 1),
        ("PUT", "/resource/fast/restore", "restore", 1),
        ("PUT", "/resource/fast/drain", "drain", 1),
        ("PUT", "/server/auto", "auto-on", 1),
        ("DELETE", "/server/auto", "auto-off", 1),
    ],
)
def test_changes_of_the_original_do_what_they_say(api: Live, method: str, path: str, kind: str, count: int) -> None:
    answer = api.change(method, path)
    assert (answer.status, answer.json) == (200, {"success": True})
    (command,) = api.service.commands
    assert (command.kind.value, command.count) == (kind, count)
    assert command.target == ("" if path.startswith("/server") else "fast")


def test_delete_says_what_to_do_first(api: Live) -> None:
    assert "put it on hold first" in api.change("DELETE", "/workernode/n2").json["error"]["message"]


def test_hold_that_cannot_be_stored_is_an_error_and_changes_nothing(api: Live) -> None:
    api.service.failure = StoreError("disk full")
    answer = api.change("PUT", "/workernode/n1/hold")
    assert (answer.status, answer.json["error"]["code"]) == (503, "store")
    assert api.service.readmodel.snapshot.nodes["n1"].state == "idle"


def test_surprise_in_the_engine_is_a_500_without_details(api: Live, caplog: pytest.LogCaptureFixture) -> None:
    api.service.failure = RuntimeError("password=hunter2")
    answer = api.change("PUT", "/workernode/n1/hold")
    assert (answer.status, answer.json["error"]["code"]) == (500, "bug")
    assert b"hunter2" not in answer.raw
    assert "RuntimeError" in caplog.text


def test_worker_node_has_the_fields_of_the_original(api: Live) -> None:
    node = api.ask("GET", "/workernode/n2").json
    assert set(node) == {
        "hostname",
        "type",
        "jobs",
        "state",
        "state_start_time",
        "num_proc",
        "extra_attributes",
        "time_in_current_state",
        "instance",
    }
    assert set(node["instance"]) == {
        "uuid",
        "instance_name",
        "state",
        "ip",
        "dns_name",
        "vcpu_number",
        "flavor",
        "key_name",
        "security_groups",
        "availability_zone",
        "image_uuid",
        "subnet_id",
        "creation_time",
        "cloud_resource",
        "last_update_time",
        "tasked",
        "last_task_result",
        "spot_id",
        "spot_state",
        "spot_price",
    }
    assert (node["hostname"], node["state"], node["jobs"], node["num_proc"]) == ("dc-fast-00000002", 3, ["100"], 4)
    assert (node["state_start_time"], node["time_in_current_state"]) == (NOW - 120, 120)
    assert (node["instance"]["state"], node["instance"]["ip"]) == (3, "10.0.0.2")


def test_states_are_the_numbers_of_the_original(api: Live) -> None:
    numbers = {node["extra_attributes"]["node_id"]: node["state"] for node in api.ask("GET", "/workernode").json}
    assert numbers == {"n1": 2, "n2": 3, "n3": 7, "n4": 1, "n5": 4, "n6": 5, "n7": 6}
    held = api.ask("GET", "/workernode?state=7").json
    assert [node["hostname"] for node in held] == ["dc-fast-00000003"]


def test_job_has_the_fields_of_the_original(api: Live) -> None:
    jobs = api.ask("GET", "/job").json
    assert [job["jobid"] for job in jobs] == ["101", "102_[1-9]", "103"]
    assert set(jobs[0]) == {
        "jobid",
        "priority",
        "name",
        "owner",
        "state",
        "queue",
        "property",
        "account",
        "requested_cores",
        "cores_per_node",
        "requested_mem",
        "requested_walltime",
        "creation_time",
        "extra_attributes",
    }
    assert (jobs[0]["owner"], jobs[0]["queue"], jobs[0]["account"], jobs[0]["state"]) == ("bob", "batch", "physics", 0)
    assert (jobs[0]["requested_cores"], jobs[0]["requested_walltime"]) == (4, "01:00:00")


def test_resource_has_the_fields_of_the_original(api: Live) -> None:
    api.change("PUT", "/resource/fast/freeze")
    fast, _slow = api.ask("GET", "/resource").json
    assert set(fast) == {
        "name",
        "priority",
        "type",
        "min_num",
        "max_num",
        "current_num",
        "cores_per_node",
        "flag",
        "reservation_queue",
        "reservation_account",
        "reservation_property",
        "config",
        "worker_nodes",
    }
    assert (fast["min_num"], fast["max_num"], fast["current_num"], fast["flag"]) == (7, 7, 7, 1)
    assert (fast["reservation_account"], fast["reservation_queue"]) == ("physics", None)
    assert len(fast["worker_nodes"]) == 7
    api.change("PUT", "/resource/fast/drain")
    drained = api.ask("GET", "/resource/fast").json
    assert (drained["min_num"], drained["max_num"], drained["flag"]) == (0, 0, 2)
    api.change("PUT", "/resource/slow/drain")
    assert api.ask("GET", "/resource/slow").json["flag"] == 3
    api.change("PUT", "/resource/fast/restore")
    restored = api.ask("GET", "/resource/fast").json
    assert (restored["min_num"], restored["max_num"], restored["flag"]) == (1, 9, 0)


def test_server_paths_have_the_fields_of_the_original(api: Live) -> None:
    assert api.ask("GET", "/server/queues").json == {"tasks": 1, "results": 0}
    assert api.ask("GET", "/server/status").json == {"auto_mode": True, "cluster": {"torque": True, "maui": True}}
    api.change("DELETE", "/server/auto")
    assert api.ask("GET", "/server/status").json["auto_mode"] is False


@pytest.mark.parametrize("path", ["/server/config", "/resource", "/resource/slow", "/api/v1/config", "/dashboard"])
def test_no_answer_holds_a_secret(api: Live, path: str) -> None:
    answer = api.ask("GET", path)
    assert b"hunter2" not in answer.raw
    if path == "/resource":
        assert answer.json[0]["config"] == {"key_name": "ops", "password": "***"}


def test_hostile_names_reach_json_whole_and_html_escaped(api: Live) -> None:
    name = api.ask("GET", "/job/101").json["name"]
    assert name.startswith("[red]evil[/red]\x1b[2J<script>")
    assert "\udc80" not in name
    page = api.ask("GET", "/dashboard")
    assert b"<script" not in page.raw
    assert b"&lt;script&gt;" in page.raw
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_long_list_comes_whole(api: Live) -> None:
    view = api.service.readmodel.snapshot.scheduler
    assert view is not None
    job = view.jobs[3]
    many = tuple(type(job)(str(number), job.state, job.shape) for number in range(2500))
    snapshot = type(api.service.readmodel.snapshot)(0, api.service.memory, scheduler=type(view)(0, 0, many))
    api.service.readmodel = type(api.service.readmodel)(0, snapshot, api.service.readmodel.policy)
    assert [job["jobid"] for job in json.loads(api.ask("GET", "/job").raw)] == [str(number) for number in range(2500)]
    assert api.ask("GET", "/workernode").json == []
