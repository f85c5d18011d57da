"""For those who watch: news as they come, figures over time, lists that say whether they have changed."""

from __future__ import annotations

import http.client
import json
from dataclasses import replace
from pathlib import Path

import pytest
from live_api import NOW, FixedClock, Live, live

from dynamiccluster.api.cache import Cache
from dynamiccluster.api.pictures.attention import attention_docs
from dynamiccluster.api.recorder import Recorder
from dynamiccluster.api.series import FIGURES, Series, dumped
from dynamiccluster.api.versions import Topic, Versions
from dynamiccluster.engine.lost_nodes import SHOWN_S
from dynamiccluster.model.event import Event, EventKind
from dynamiccluster.model.worker_node import NodeState
from dynamiccluster.testing.service_example import example_readmodel, example_service


@pytest.fixture
def api(tmp_path: Path):
    with live(tmp_path) as running:
        yield running


def ids(api: Live, query: str) -> list[str]:
    return [node["node_id"] for node in api.ask("GET", f"/api/v1/nodes?{query}").json["nodes"]]


def job_ids(api: Live, query: str) -> list[str]:
    return [job["job_id"] for job in api.ask("GET", f"/api/v1/jobs?{query}").json["jobs"]]


# --- lists ------------------------------------------------------------------------------------------------


def test_each_node_of_the_list_tells_what_the_cloud_says_of_its_machine(api: Live) -> None:
    def told() -> dict[str, str]:
        return {node["node_id"]: node["cloud_state"] for node in api.ask("GET", "/api/v1/nodes").json["nodes"]}

    before = told()
    for node_id, state in before.items():
        assert api.ask("GET", f"/api/v1/nodes/{node_id}").json["instance"]["state"] == state == "active"
    model = api.service.readmodel
    views = {name: replace(view, instances=view.instances[1:]) for name, view in model.snapshot.clouds.items()}
    api.service.readmodel = replace(model, snapshot=replace(model.snapshot, clouds=views))
    assert sorted(told().values()) == sorted(["", *list(before.values())[1:]])  # one is not listed any more


def test_nodes_are_sorted_searched_and_cut_by_offset(api: Live) -> None:
    assert ids(api, "sort=-node_id&limit=2") == ["n7", "n6"]
    assert ids(api, "sort=-node_id&limit=2&offset=2") == ["n5", "n4"]
    assert ids(api, "sort=used_cores&limit=100")[-1] == "n2"
    assert ids(api, "q=10.0.0.5") == ["n5"]
    assert ids(api, "q=I-N3") == ["n3"]
    assert ids(api, "offset=7") == []


def test_jobs_are_sorted_searched_and_counted(api: Live) -> None:
    assert job_ids(api, "sort=priority") == ["100", "103", "102_[1-9]", "101"]
    assert job_ids(api, "q=ADA&sort=-job_id") == ["103", "102_[1-9]", "100"]
    assert job_ids(api, "account=nobody") == []
    assert api.ask("GET", "/api/v1/jobs?user=ada&state=running").json["counts"] == {"running": 1, "pending": 2}
    assert job_ids(api, "wait=no") == ["103"]


@pytest.mark.parametrize(
    "query", ["sort=colour", "after=n1&sort=state", "after=n1&offset=2", "offset=-1", "q=" + "x" * 301]
)
def test_bad_page_is_refused(api: Live, query: str) -> None:
    assert api.ask("GET", f"/api/v1/nodes?{query}").status == 400


def test_list_is_304_until_something_changes(api: Live) -> None:
    first = api.ask("GET", "/api/v1/nodes?limit=2")
    tag = first.headers["etag"]
    again = api.ask("GET", "/api/v1/nodes?limit=2", headers={"If-None-Match": tag})
    assert (again.status, again.raw) == (304, b"")
    assert api.change("POST", "/api/v1/nodes/n1/hold").status == 200
    later = api.ask("GET", "/api/v1/nodes?limit=2", headers={"If-None-Match": tag})
    assert later.status == 200
    assert later.json["nodes"][0]["state"] == "holding"
    assert api.ask("GET", "/api/v1/jobs", headers={"If-None-Match": tag}).status == 200


@pytest.mark.parametrize("path", ["/api/v1/events?limit=50", "/api/v1/audit"])
def test_history_is_304_until_something_is_added(api: Live, path: str) -> None:
    first = api.ask("GET", path)
    tag = first.headers["etag"]
    assert api.ask("GET", path).json == first.json  # the same, kept
    again = api.ask("GET", path, headers={"If-None-Match": tag})
    assert (again.status, again.raw) == (304, b"")
    assert api.change("POST", "/api/v1/nodes/n1/hold").status == 200
    later = api.ask("GET", path, headers={"If-None-Match": tag})
    assert later.status == 200
    assert later.json["events"] != first.json["events"]


def test_many_nodes_are_changed_at_once_and_each_is_answered_for(api: Live) -> None:
    wish = {"action": "hold", "nodes": ["n1", "dc-fast-00000002", "n4", "gone", "n1"]}
    answer = api.change("POST", "/api/v1/nodes", wish).json
    assert answer["done"] == ["n1", "n2"]
    assert [(one["node"], one["code"]) for one in answer["refused"]] == [("gone", "not-found"), ("n4", "not-allowed")]
    assert {api.service.readmodel.snapshot.nodes[name].state.value for name in ("n1", "n2")} == {"holding"}
    assert api.ask("POST", "/api/v1/nodes", wish).status == 403
    assert api.change("POST", "/api/v1/nodes", {"action": "hold", "nodes": []}).status == 400


# --- overview and attention -------------------------------------------------------------------------------


def test_overview_has_everything_of_the_first_page(api: Live) -> None:
    answer = api.ask("GET", "/api/v1/overview").json
    assert (answer["running_jobs"], answer["pending_jobs"], answer["nodes"], answer["resources"]) == (1, 3, 7, 2)
    assert answer["status"]["cluster_id"] == "testing"
    assert answer["costs"]["spent"] == 12.5
    assert [one["kind"] for one in answer["attention"]] == ["source", "breaker", "node", "backoff"]
    assert api.ask("GET", "/api/v1/attention").json["attention"] == answer["attention"]


def test_audit_shows_only_what_people_asked(api: Live) -> None:
    api.service.history.append(Event(NOW, EventKind.NODE, "n1 became idle"))
    api.change("POST", "/api/v1/nodes/n1/hold")
    found = api.ask("GET", "/api/v1/audit").json["events"]
    assert found
    assert all(event["actor"] != "engine" for event in found)
    actor = found[0]["actor"]
    assert (
        api.ask("GET", f"/api/v1/events?actor={actor.replace(' ', '%20')}&q=HOLD").json["events"][0]["node_id"] == "n1"
    )
    assert api.ask("GET", "/api/v1/events?until=1").json["events"] == []


# --- news -------------------------------------------------------------------------------------------------


def news(response: http.client.HTTPResponse) -> dict[str, object]:
    while True:
        line = response.readline().decode()
        assert line
        if line.startswith("data: "):
            found: dict[str, object] = json.loads(line.removeprefix("data: "))
            return found


def test_live_tells_at_once_and_after_each_change(api: Live) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    connection.request("GET", "/api/v1/live")
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "text/event-stream; charset=UTF-8"
    first = news(response)
    assert first["changed"] == [topic.value for topic in Topic]
    api.change("POST", "/api/v1/nodes/n1/hold")
    second = news(response)
    assert second["version"] != first["version"]
    assert "nodes" in second["changed"]
    assert "jobs" not in second["changed"]
    connection.close()


def test_streams_end_when_the_service_stops(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
        connection.request("GET", "/api/v1/live")
        news(connection.getresponse())
    connection.close()


def test_versions_differ_when_and_only_when_something_did() -> None:
    model, versions = example_readmodel(NOW), Versions()
    first = versions.look(model)
    assert versions.look(replace(model, tick=42)) == first
    source = replace(model, sources={})
    assert {topic for topic, count in versions.look(source).items() if count != first[topic]} == {
        Topic.STATUS,
        Topic.SOURCES,
    }
    assert Versions().version(model) != versions.version(model)


def test_tables_of_an_unchanged_queue_are_taken_over() -> None:
    old, versions = example_readmodel(NOW), Versions()
    versions.look(old)
    tables = (old.jobs_by_id, old.hosts_by_name, old.jobs_by_host, old.jobs_by_state)
    same = replace(old, snapshot=replace(old.snapshot, version=42))
    versions.look(same)
    assert all(a is b for a, b in zip(tables, (same.jobs_by_id, same.hosts_by_name, same.jobs_by_host), strict=False))
    view = old.snapshot.scheduler
    assert view is not None
    other = replace(old, snapshot=replace(old.snapshot, scheduler=replace(view, jobs=())))
    versions.look(other)
    assert other.jobs_by_id == {}


def test_cache_forgets_the_oldest_and_stays_small() -> None:
    cache = Cache(100)
    made = [cache.body(str(number), lambda: b"x" * 30) for number in range(10)]
    assert len(made) == 10
    assert cache._bytes <= 100
    assert cache.body("9", lambda: b"new") == b"x" * 30
    assert cache.body("0", lambda: b"new") == b"new"


# --- figures over time ------------------------------------------------------------------------------------


def values(nodes: float, launched: float = 0.0) -> dict[str, float | None]:
    return {"nodes": nodes, "launched": launched}


def test_series_keep_the_last_state_and_add_up_what_happened() -> None:
    series = Series()
    for number in range(720):
        series.add(NOW + 10.0 * number, values(float(number), 1.0), {"fast": (1.0, 4.0)})
    fine = series.between(NOW + 3590.0, NOW + 7190.0, 400)
    assert fine.step_s == 10.0
    assert fine.series["nodes"][-1] == 719.0
    coarse = series.between(NOW, NOW + 7190.0, 20)
    assert coarse.step_s >= 300.0
    assert sum(value or 0.0 for value in coarse.series["launched"]) == pytest.approx(720, abs=61)
    assert coarse.resources["fast"]["cores"][-1] == 4.0
    assert set(coarse.series) == set(FIGURES)
    assert {len(column) for column in coarse.series.values()} == {len(coarse.at)}


def test_a_silence_is_a_gap() -> None:
    series = Series()
    series.add(NOW, values(1.0), {})
    series.add(NOW + 600.0, values(2.0), {})
    found = series.between(NOW - 10.0, NOW + 700.0, 300)
    assert found.series["nodes"] == [1.0, None, 2.0]


def test_series_survive_a_restart_and_damage_is_noticed(tmp_path: Path) -> None:
    series, again = Series(), Series()
    series.add(NOW, values(3.0), {"fast": (3.0, 12.0)})
    again.load(dumped(series.rows()))
    assert again.between(NOW - 60.0, NOW + 60.0, 100) == series.between(NOW - 60.0, NOW + 60.0, 100)
    for damaged in (b"", b"[]", b'{"format":1,"tiers":[[],[],[[1]]]}', b'{"format":9}'):
        with pytest.raises(ValueError, match=r"."):
            Series().load(damaged)


def test_recorder_notes_the_picture_and_counts_launches() -> None:
    clock = FixedClock()
    service = example_service(clock)
    recorder = Recorder(service, clock)
    recorder.sample()
    nodes = dict(service.readmodel.snapshot.nodes)
    del nodes["n1"]
    nodes["n9"] = replace(nodes["n2"], node_id="n9")
    service.readmodel = replace(service.readmodel, snapshot=replace(service.readmodel.snapshot, nodes=nodes))
    clock.at += 10.0
    recorder.sample()
    found = recorder.series.between(NOW - 60.0, NOW + 60.0, 100)
    assert found.series["launched"] == [0.0, 1.0]
    assert found.series["removed"] == [0.0, 1.0]
    assert found.series["busy_cores"] == [4.0, 8.0]
    assert found.series["pending_jobs"] == [3.0, 3.0]


def test_a_node_that_was_lost_with_its_jobs_needs_attention_though_the_present_shows_it_no_more() -> None:
    clock = FixedClock()
    service = example_service(clock)
    recorder = Recorder(service, clock)
    recorder.sample()
    model = service.readmodel
    node = next(one for one in model.snapshot.nodes.values() if model.jobs_by_host.get(one.host_name))
    assert recorder.lost_nodes() == ()
    gone = {name: one for name, one in model.snapshot.nodes.items() if name != node.node_id}
    dead = replace(node, state=NodeState.TERMINATING, dead=True, reason="the cloud says gone")
    view = replace(model.snapshot.scheduler, jobs=(), hosts=())
    later = replace(model.snapshot, scheduler=view, nodes=gone | {node.node_id: dead})
    service.readmodel = replace(model, snapshot=later)
    recorder.sample()
    told = {one.key: one for one in attention_docs(service.readmodel, clock.now(), (), recorder.lost_nodes())}
    assert told[f"node-lost:{node.node_id}"].title == f"{node.host_name} was lost with 1 job(s)"
    assert f"node-lost:{node.node_id}" not in {one.key for one in attention_docs(service.readmodel, clock.now())}
    service.readmodel = replace(model, snapshot=replace(later, nodes=gone))
    clock.at += SHOWN_S + 1.0
    recorder.sample()
    assert recorder.lost_nodes() == ()


def test_history_is_served_and_kept_over_a_restart(tmp_path: Path) -> None:
    kept = str(tmp_path / "store.db.series")
    with live(tmp_path, series_file=kept) as api:
        assert api.ask("GET", "/api/v1/history").json["series"]["nodes"] == [7.0]
        assert api.ask("GET", "/api/v1/history?since=5&until=4").json["error"]["field"] == "since"
    assert (tmp_path / "store.db.series").stat().st_mode & 0o777 == 0o600
    with live(tmp_path, series_file=kept) as api:
        api.service.readmodel = replace(api.service.readmodel, tick=0)
        assert api.ask("GET", "/api/v1/history").json["at"][0] == NOW - NOW % 10


# --- how old is too old -----------------------------------------------------------------------------------


def test_each_source_says_from_when_on_it_is_stale_by_how_often_it_is_asked(api: Live) -> None:
    model = api.service.readmodel
    policy = replace(model.policy, scheduler_poll_s=5.0, cloud_poll_s=600.0)
    api.service.readmodel = replace(model, policy=policy)
    sources = api.ask("GET", "/api/v1/sources").json["sources"]
    found = {(one["source"].partition(":")[0], one["poll_s"], one["stale_after_s"]) for one in sources}
    assert found == {("scheduler", 5.0, 60.0), ("cloud", 600.0, 3600.0)}
