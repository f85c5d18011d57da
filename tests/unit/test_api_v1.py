"""Our own paths under /api/v1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from live_api import NOW, Live, live

from dynamiccluster.api.pictures.resources import cost_doc, month_ends_at
from dynamiccluster.api.redact import redact
from dynamiccluster.errors import NotFoundError, ThrottledError
from dynamiccluster.model.event import Event, EventKind
from dynamiccluster.model.memory import Spend
from dynamiccluster.testing.service_example import example_readmodel


@pytest.fixture
def api(tmp_path: Path):
    with live(tmp_path) as running:
        yield running


def ids(api: Live, query: str) -> list[str]:
    return [node["node_id"] for node in api.ask("GET", f"/api/v1/nodes?{query}").json["nodes"]]


def test_nodes_are_filtered_by_our_states_and_the_original_s(api: Live) -> None:
    assert ids(api, "state=idle,busy") == ["n1", "n2"]
    assert ids(api, "state=4") == ["n5"]
    assert ids(api, "state=Error") == ["n5"]
    assert ids(api, "resource=slow") == []
    assert len(ids(api, "")) == 7


def test_pages_of_nodes_together_are_all_nodes(api: Live) -> None:
    found, after = [], ""
    while True:
        page = api.ask("GET", f"/api/v1/nodes?limit=3&after={after}").json
        assert page["total"] == 7
        found += [node["node_id"] for node in page["nodes"]]
        after = page["next"]
        if not after:
            break
    assert found == [f"n{number}" for number in range(1, 8)]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "limit=" + "9" * 99, "state=" + "x" * 301]
)
def test_bad_query_names_its_field(api: Live, query: str) -> None:
    answer = api.ask("GET", f"/api/v1/nodes?{query}")
    assert (answer.status, answer.json["error"]["field"]) == (400, query.split("=")[0])


def test_node_has_three_voices_and_its_history(api: Live) -> None:
    node = api.ask("GET", "/api/v1/nodes/dc-fast-00000001").json
    assert (node["state"], node["reason"], node["in_state_s"]) == ("idle", "it is idle", 120.0)
    assert (node["host"]["state"], node["instance"]["state"]) == ("up", "active")
    assert [event["text"] for event in node["history"]] == ["idle", "launched"]
    leaving = api.ask("GET", "/api/v1/nodes/n6").json
    assert (leaving["host"], leaving["action"]["kind"]) == (None, "terminate")
    assert api.ask("GET", "/api/v1/nodes/nothere").status == 404


def test_node_commands_answer_and_take_effect(api: Live) -> None:
    answer = api.change("POST", "/api/v1/nodes/n1/hold")
    assert (answer.status, answer.json["node_ids"]) == (200, ["n1"])
    assert api.ask("GET", "/api/v1/nodes/n1").json["state"] == "holding"
    assert api.change("POST", "/api/v1/nodes/n2/unhold").status == 400
    assert api.change("DELETE", "/api/v1/nodes/n3?force=true").status == 200
    assert api.service.commands[-1].force
    assert api.change("DELETE", "/api/v1/nodes/n3?force=perhaps").status == 400
    assert api.change("POST", "/api/v1/nodes/nothere/hold").status == 404


def test_observe_only_refuses_with_409(api: Live) -> None:
    assert api.change("PUT", "/api/v1/observe").status == 200
    assert api.ask("GET", "/api/v1/status").json["mode"]["observe_only"] is True
    assert api.change("POST", "/api/v1/resources/fast/launch").status == 409
    assert api.change("DELETE", "/workernode/n3").status == 409
    assert api.change("DELETE", "/api/v1/observe").status == 200
    assert api.change("POST", "/api/v1/resources/fast/launch").status == 200


def test_console(api: Live) -> None:
    assert api.change("POST", "/api/v1/nodes/n1/console").json["text"].startswith("boot: ready")
    for failure, status in ((NotFoundError("no console"), 404), (ThrottledError("slow down"), 503)):
        api.service.failure = failure
        assert api.change("POST", "/api/v1/nodes/n1/console").status == status


def test_adopt(api: Live) -> None:
    wish = {"host": "oldnode", "resource": "slow", "instance_id": "i-77"}
    node_id = api.change("POST", "/api/v1/adopt", wish).json["node_ids"][0]
    node = api.ask("GET", f"/api/v1/nodes/{node_id}").json
    assert (node["host_name"], node["adopted"], node["instance_id"]) == ("oldnode", True, "i-77")
    assert api.change("POST", "/api/v1/adopt", wish).status == 400
    assert api.change("POST", "/api/v1/adopt", {**wish, "host": "nothere"}).status == 404


def test_jobs_are_filtered_and_paged_in_the_order_of_their_numbers(api: Live) -> None:
    def found(query: str) -> list[str]:
        return [job["job_id"] for job in api.ask("GET", f"/api/v1/jobs?{query}").json["jobs"]]

    assert found("state=pending") == ["101", "102_[1-9]", "103"]
    assert found("user=bob") == ["101"]
    assert found("queue=none") == []
    page = api.ask("GET", "/api/v1/jobs?limit=2").json
    assert (page["total"], page["next"]) == (4, "101")
    assert found("limit=2&after=101") == ["102_[1-9]", "103"]


def test_job_has_its_answer(api: Live) -> None:
    job = api.ask("GET", "/api/v1/jobs/101").json
    assert (job["cores"], job["waited_s"], job["wait"]) == (4, 300.0, "more nodes would help")
    assert set(job["answer"]["refusals"]) == {"fast", "slow"}
    assert job["answer"]["limit"] == "max-nodes"
    assert len(job["history"]) == 1
    assert api.ask("GET", "/api/v1/jobs/100").json["answer"]["nodes"] == ["dc-fast-00000002"]
    assert api.ask("GET", "/api/v1/jobs/999").status == 404


def test_resources_show_what_keeps_them_from_growing(api: Live) -> None:
    fast, slow = api.ask("GET", "/api/v1/resources").json["resources"]
    assert (slow["breaker"]["state"], slow["breaker"]["retry_at"]) == ("open", "2023-11-14T22:33:20.000Z")
    assert [(pause["scope"], pause["error_class"]) for pause in fast["backoffs"]] == [
        ("offering:zone-1/large", "capacity")
    ]
    assert (fast["current_nodes"], fast["cost_per_hour"], fast["strangers"]) == (7, 3.5, 3)
    assert fast["quota"]["max_instances"] == 10
    assert api.change("POST", "/api/v1/resources/slow/reset").status == 200
    assert api.ask("GET", "/api/v1/resources/slow").json["breaker"]["state"] == "closed"
    assert api.change("POST", "/api/v1/resources/slow/dance").status == 404


def test_launch_counts(api: Live) -> None:
    answer = api.change("POST", "/api/v1/resources/fast/launch", {"count": 2})
    assert (answer.status, len(answer.json["node_ids"])) == (200, 2)
    assert api.change("POST", "/api/v1/resources/fast/launch", {"count": 1}).status == 400


def test_events_are_filtered_and_paged(api: Live) -> None:
    page = api.ask("GET", "/api/v1/events?limit=2").json
    assert ([event["seq"] for event in page["events"]], page["next_before"]) == ([3, 2], 2)
    rest = api.ask("GET", f"/api/v1/events?limit=2&before={page['next_before']}").json
    assert ([event["seq"] for event in rest["events"]], rest["next_before"]) == ([1], 0)
    assert [e["seq"] for e in api.ask("GET", "/api/v1/events?kind=job").json["events"]] == [3]
    assert [e["seq"] for e in api.ask("GET", f"/api/v1/events?since={NOW - 100}").json["events"]] == [3]
    assert api.ask("GET", "/api/v1/events?kind=gossip").status == 400
    assert api.ask("GET", "/api/v1/events?since=nan").status == 400


def test_change_is_on_the_audit_log_with_its_actor(api: Live) -> None:
    api.change("POST", "/api/v1/nodes/n1/hold")
    event = api.ask("GET", "/api/v1/events?node=n1&kind=command").json["events"][0]
    assert "uid" in event["actor"]
    assert "hold" in event["text"]


def test_plan_is_a_dry_run(api: Live) -> None:
    plan = api.ask("GET", "/api/v1/plan").json
    assert plan["sentence"] == "a dry run launches nothing"
    assert plan["shapes"][0]["refusals"] == {"slow": "closed"}
    assert not api.service.commands


def test_status_adds_up(api: Live) -> None:
    status = api.ask("GET", "/api/v1/status").json
    assert status["supply"] == {"busy_cores": 4, "idle_cores": 4, "booting_cores": 4, "other_cores": 16}
    assert (status["demand"]["waiting_cores"], status["foreign_hosts"], status["cost_per_hour"]) == (40, 1, 3.5)
    assert [source["source"] for source in status["sources"]] == ["scheduler", "cloud:lab"]
    assert status["sources"][1]["error"] == "time-out after 30 s"


def test_nudge_and_reload(api: Live) -> None:
    assert api.change("POST", "/api/v1/nudge").status == 200
    assert api.change("POST", "/api/v1/nudge", {"source": "cloud:lab"}).status == 200
    assert api.change("POST", "/api/v1/nudge", {"source": "cloud:other"}).status == 404
    assert api.service.nudges == ["scheduler", "cloud:lab"]
    assert api.change("POST", "/api/v1/reload").status == 200
    api.service.reload_problems = ["line 3: cloud: expected a mapping"]
    answer = api.change("POST", "/api/v1/reload")
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad-config")
    assert "line 3" in answer.json["error"]["message"]


def test_health_needs_nothing_but_readiness_needs_both_kinds_of_sources_and_the_store(api: Live) -> None:
    def ready() -> tuple[int, list[str]]:
        answer = api.ask("GET", "/readyz")
        return answer.status, answer.json["reasons"]

    whole = api.service.readmodel
    assert ready() == (200, [])
    api.service.readmodel = replace(whole, snapshot=replace(whole.snapshot, scheduler=None))
    assert ready() == (503, ["the scheduler has not been seen yet"])
    api.service.readmodel = replace(whole, snapshot=replace(whole.snapshot, clouds={}))
    assert ready() == (503, ["the cloud of tenancy lab has not been seen yet: time-out after 30 s"])
    api.service.readmodel = replace(whole, store_error="disk full")
    assert ready() == (503, ["the store does not work: disk full"])
    assert api.ask("GET", "/healthz").json["alive"] is True


# --- figures without a server -----------------------------------------------------------------------------


def test_forecast_is_spent_plus_rate_until_the_month_ends() -> None:
    costs = cost_doc(example_readmodel(NOW), NOW)
    assert month_ends_at(NOW) == 1_701_388_800.0  # 2023-12-01
    assert costs.remaining_hours == round((1_701_388_800.0 - NOW) / 3600, 3)
    assert costs.forecast == pytest.approx(12.5 + 3.5 * costs.remaining_hours, abs=0.01)
    assert (costs.spent, costs.cost_per_hour, costs.beyond_budget) == (12.5, 3.5, ["forecast"])
    assert costs.unpriced == ["slow"]


def test_money_of_last_month_is_not_counted_in_this_one() -> None:
    model = example_readmodel(NOW)
    memory = replace(model.snapshot.memory, spend=Spend("2023-10", 400.0, NOW - 3e6))
    costs = cost_doc(replace(model, snapshot=replace(model.snapshot, memory=memory)), NOW)
    assert (costs.month, costs.spent) == ("2023-11", 0.0)


def test_month_ends_over_the_turn_of_the_year() -> None:
    assert month_ends_at(1_703_980_800.0) == 1_704_067_200.0  # 2023-12-31 -> 2024-01-01


def test_redaction_masks_values_but_not_places() -> None:
    config = {
        "password": "x",
        "os-password": "x",
        "aws_secret_access_key": "x",
        "tokens_file": "/etc/t",
        "password_file": "/etc/p",
        "key_name": "ops",
        "empty": {"password": ""},
        "list": [{"api_key": "x"}],
        "credentials": {"user": "x"},
    }
    assert redact(config) == {
        "password": "***",
        "os-password": "***",
        "aws_secret_access_key": "***",
        "tokens_file": "/etc/t",
        "password_file": "/etc/p",
        "key_name": "ops",
        "empty": {"password": ""},
        "list": [{"api_key": "***"}],
        "credentials": "***",
    }


def test_a_scheduler_never_seen_is_not_an_empty_queue(api: Live) -> None:
    model = api.service.readmodel
    api.service.readmodel = replace(model, snapshot=replace(model.snapshot, scheduler=None), sources={})
    for path in ("/api/v1/jobs/1", "/job/1"):
        answer = api.ask("GET", path)
        assert (answer.status, answer.json["error"]["code"]) == (503, "not-ready")
    assert api.ask("GET", "/api/v1/plan").json["sentence"] == "the scheduler has not been seen yet"
    assert b"NOT READY" in api.ask("GET", "/dashboard").raw


def test_what_is_not_found_is_named(api: Live) -> None:
    def told(path: str) -> str:
        return api.ask("GET", path).json["error"]["message"]

    assert told("/api/v1/jobs/999") == "job 999 not found: the scheduler lists it no more, or never did"
    assert told("/api/v1/resources/nosuch") == "there is no resource 'nosuch'; there are fast, slow"
    assert told("/api/v1/nodes/nosuch") == "worker node nosuch not found: `dynamiccluster nodes` lists them"
    api.service.history.append(Event(NOW, EventKind.NODE, "has left", node_id="n0", host_name="dc-old"))
    assert told("/api/v1/nodes/dc-old") == "worker node dc-old not found: it has left, see `events --node dc-old`"


@pytest.mark.parametrize(
    ("query", "field", "word"),
    [
        ("nodes?state=idle,foo", "state", "quarantined"),
        ("nodes?resource=nosuch", "resource", "fast"),
        ("jobs?state=foo", "state", "pending"),
        ("events?kind=foo", "kind", "warning"),
        ("nodes?sate=idle", "sate", "state"),
        ("status?state=idle", "state", "no parameters"),
    ],
)
def test_typos_are_refused_with_the_valid_words(api: Live, query: str, field: str, word: str) -> None:
    answer = api.ask("GET", f"/api/v1/{query}")
    error = answer.json["error"]
    assert (answer.status, error["code"], error["field"]) == (400, "bad-value", field)
    assert word in error["message"]


def test_the_root_leads_to_the_dashboard(api: Live) -> None:
    answer = api.ask("GET", "/")
    assert (answer.status, answer.headers["location"]) == (302, "/dashboard")
