"""HEAD: what GET says of itself, without what it says."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest
from live_api import Answer, Live, live

from dynamiccluster.api.routes import ORIGINAL, OURS

PATHS = sorted(
    path
    for path, handler in ORIGINAL + OURS
    if hasattr(getattr(handler, "get", None), "operation") and "{" not in path and path != "/api/v1/live"
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("head")) as running:
        yield running


@pytest.mark.parametrize("path", [*PATHS, "/api/v1/nodes/n1", "/job/1", "/nonsense", "/api/v1/nodes?limit=0"])
def test_head_is_get_without_a_body(api: Live, path: str) -> None:
    got, told = api.ask("GET", path), api.ask("HEAD", path)
    assert told.raw == b""
    assert told.status == got.status
    for name in ("content-type", "content-length", "location", "cache-control"):
        assert told.headers.get(name) == got.headers.get(name), name


def test_the_stream_of_news_tells_no_length_and_ends_at_once(api: Live) -> None:
    told = api.ask("HEAD", "/api/v1/live")
    assert (told.status, told.raw) == (200, b"")
    assert told.headers["content-type"].startswith("text/event-stream")
    assert "content-length" not in told.headers


@pytest.mark.parametrize("path", ["/job", "/api/v1/live", "/healthz"])
def test_nothing_is_left_on_the_connection(api: Live, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=10)
    try:
        connection.request("HEAD", path)
        connection.getresponse().read()
        connection.request("GET", "/healthz")
        assert json.loads(connection.getresponse().read())
    finally:
        connection.close()


def allowed(answer: Answer) -> set[str]:
    return set(answer.headers["allow"].split(", "))


def test_what_cannot_be_got_has_no_head(api: Live) -> None:
    told = api.ask("HEAD", "/server/auto", unix=True)
    assert told.status == 405
    assert not allowed(told) & {"GET", "HEAD"}
    assert allowed(api.change("DELETE", "/healthz")) == {"GET", "HEAD"}


def test_the_description_says_so(api: Live) -> None:
    assert "HEAD is answered wherever GET is" in api.ask("GET", "/api/v1/openapi.json").json["info"]["description"]
