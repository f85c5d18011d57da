"""How plug-ins are doing, as the API shows it: a receiver that is cut off must not fail in silence."""

from __future__ import annotations

from pathlib import Path

from live_api import NOW, live

from dynamiccluster.model.view import SourceStatus


def test_each_plug_in_is_shown_with_its_last_good_look(tmp_path: Path) -> None:
    statuses = [
        SourceStatus("notify", NOW - 3600, NOW - 5, 7, "connection refused"),
        SourceStatus("graphite", NOW - 12, NOW - 12),
        SourceStatus("new"),
        SourceStatus("stuck", 0.0, NOW - 30, 1, "observe of plug-in stuck did not return", "unknown-outcome"),
    ]
    with live(tmp_path, plugins=lambda: statuses) as api:
        answer = api.ask("GET", "/api/v1/plugins")
    assert answer.status == 200
    graphite, new, notify = (answer.json["plugins"][place] for place in (0, 1, 2))
    assert (graphite["name"], graphite["ok"], graphite["age_s"], graphite["error"]) == ("graphite", True, 12.0, "")
    assert (new["name"], new["ok"], new["last_good_at"], new["last_try_at"]) == ("new", False, None, None)
    assert [one["state"] for one in answer.json["plugins"]] == ["works", "new", "fails", "cut-off"]
    assert notify == {
        "name": "notify",
        "ok": False,
        "state": "fails",
        "last_good_at": "2023-11-14T21:13:20.000Z",
        "age_s": 3600.0,
        "last_try_at": "2023-11-14T22:13:15.000Z",
        "failures": 7,
        "error": "connection refused",
    }


def test_without_plug_ins_the_list_is_empty(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        assert api.ask("GET", "/api/v1/plugins").json == {"plugins": []}


def test_the_status_has_them_and_what_is_cut_off_needs_attention(tmp_path: Path) -> None:
    statuses = [
        SourceStatus("stuck", NOW - 600, NOW - 30, 1, "observe of plug-in stuck did not return", "unknown-outcome"),
        SourceStatus("failing", NOW - 600, NOW - 30, 2, "connection refused"),
        SourceStatus("restarting", NOW - 20, NOW - 5, 1, "connection refused"),
        SourceStatus("good", NOW - 5, NOW - 5),
    ]
    with live(tmp_path, plugins=lambda: statuses) as api:
        status = api.ask("GET", "/api/v1/status").json
        overview = api.ask("GET", "/api/v1/overview").json
        attention = api.ask("GET", "/api/v1/attention").json["attention"]
    assert [one["name"] for one in status["plugins"]] == ["failing", "good", "restarting", "stuck"]
    assert overview["status"]["plugins"] == status["plugins"]
    assert overview["attention"] == attention
    found = [(one["key"], one["severity"], one["title"]) for one in attention if one["kind"] == "plugin"]
    assert found == [
        ("plugin:failing", "warning", "The plug-in failing fails"),
        ("plugin:stuck", "warning", "The plug-in stuck is cut off"),
    ]
    order = ["critical", "warning", "info"]
    assert [one["severity"] for one in attention] == sorted((one["severity"] for one in attention), key=order.index)
