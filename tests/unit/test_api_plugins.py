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
    ]
    with live(tmp_path, plugins=lambda: statuses) as api:
        answer = api.ask("GET", "/api/v1/plugins")
    assert answer.status == 200
    graphite, new, notify = (answer.json["plugins"][place] for place in (0, 1, 2))
    assert (graphite["name"], graphite["ok"], graphite["age_s"], graphite["error"]) == ("graphite", True, 12.0, "")
    assert (new["name"], new["ok"], new["last_good_at"], new["last_try_at"]) == ("new", False, None, None)
    assert notify == {
        "name": "notify",
        "ok": False,
        "last_good_at": "2023-11-14T21:13:20.000Z",
        "age_s": 3600.0,
        "last_try_at": "2023-11-14T22:13:15.000Z",
        "failures": 7,
        "error": "connection refused",
    }


def test_without_plug_ins_the_list_is_empty(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        assert api.ask("GET", "/api/v1/plugins").json == {"plugins": []}
