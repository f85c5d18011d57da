"""How the built dashboard is served: caching, packing, its policy, and what is shown where none is built."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from live_api import NOW, Live, live

from dynamiccluster.api import auth
from dynamiccluster.api.tokens import Role, make_token
from dynamiccluster.model.view import SourceStatus

INDEX = b"<!doctype html><script type=module src=/dashboard/assets/index-1.js></script>"
SCRIPT = b"console.log(1)"


@pytest.fixture
def static(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(INDEX)
    (folder / "index.html.gz").write_bytes(gzip.compress(INDEX))
    (folder / "assets" / "index-1.js").write_bytes(SCRIPT)
    (folder / "assets" / "notes.py").write_text("never served")
    (tmp_path / "secret.txt").write_text("never served")
    return folder


@pytest.fixture
def api(tmp_path: Path, static: Path) -> Iterator[Live]:
    with live(tmp_path, static_folder=str(static)) as running:
        yield running


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/", "/dashboard/nodes", "/dashboard/jobs/12%5B3%5D?q=%2F"])
def test_every_address_inside_shows_the_one_page(api: Live, path: str) -> None:
    answer = api.ask("GET", path)
    assert (answer.status, answer.raw) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=UTF-8"
    assert answer.headers["cache-control"] == "no-cache"


def test_nothing_inline_and_no_other_host_is_allowed(api: Live) -> None:
    for path in ("/dashboard", "/dashboard/assets/index-1.js"):
        policy = api.ask("GET", path).headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "connect-src 'self'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


def test_files_with_their_content_in_the_name_are_kept_for_ever(api: Live) -> None:
    answer = api.ask("GET", "/dashboard/assets/index-1.js")
    assert (answer.status, answer.raw) == (200, SCRIPT)
    assert answer.headers["content-type"] == "text/javascript; charset=UTF-8"
    assert "immutable" in answer.headers["cache-control"]


def test_packed_files_go_to_those_who_take_them(api: Live) -> None:
    answer = api.ask("GET", "/dashboard", headers={"Accept-Encoding": "gzip, br"})
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.raw) == INDEX
    assert (
        "content-encoding"
        not in api.ask("GET", "/dashboard/assets/index-1.js", headers={"Accept-Encoding": "gzip"}).headers
    )


def test_an_unchanged_page_is_not_sent_again_but_a_new_build_is(api: Live, static: Path) -> None:
    tag = api.ask("GET", "/dashboard").headers["etag"]
    again = api.ask("GET", "/dashboard", headers={"If-None-Match": tag})
    assert (again.status, again.raw) == (304, b"")
    (static / "index.html").write_bytes(b"a new build")
    (static / "index.html.gz").unlink()
    renewed = api.ask("GET", "/dashboard", headers={"If-None-Match": tag})
    assert (renewed.status, renewed.raw) == (200, b"a new build")


@pytest.mark.parametrize(
    "name", ["../secret.txt", "..%2Fsecret.txt", "assets/../../secret.txt", "assets/notes.py", "/etc/passwd"]
)
def test_no_path_leads_to_another_file(api: Live, name: str) -> None:
    answer = api.ask("GET", f"/dashboard/{name}")
    assert b"never served" not in answer.raw
    assert answer.raw == INDEX or answer.status == 404


def test_a_file_of_an_old_build_is_not_answered_with_the_page(api: Live) -> None:
    answer = api.ask("GET", "/dashboard/assets/index-0.js")
    assert (answer.status, answer.json["error"]["code"]) == (404, "not-found")


def test_where_none_is_built_a_plain_page_says_how(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        page = api.ask("GET", "/dashboard")
        assert page.status == 200
        assert b"scripts/web build" in page.raw
        assert b"dc-fast-00000001" in page.raw
        deeper = api.ask("GET", "/dashboard/nodes")
        assert (deeper.status, deeper.headers["location"]) == (302, "/dashboard")


def test_the_plain_page_shows_what_is_stale_and_which_plug_in_is_cut_off(tmp_path: Path) -> None:
    stuck = SourceStatus("<b>site</b>", 0.0, NOW - 30, 1, "no answer", "unknown-outcome")
    with live(tmp_path, plugins=lambda: [stuck]) as api:
        model = api.service.readmodel
        assert b"stale" not in api.ask("GET", "/dashboard").raw
        old = replace(model.sources["scheduler"], last_good_at=NOW - 3600)
        api.service.readmodel = replace(model, sources={**model.sources, "scheduler": old})
        page = api.ask("GET", "/dashboard").raw.decode()
    assert '3600 s <b class="bad">stale</b>' in page
    assert "&lt;b&gt;site&lt;/b&gt;<td>cut-off" in page


def test_strangers_from_elsewhere_never_see_the_plain_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is declared as not loopback, so that the test need not listen on a real network."""
    monkeypatch.setattr(auth, "is_loopback", lambda _address: False)
    tokens = tmp_path / "tokens"
    secret, token = make_token("ops", Role.VIEWER)
    tokens.write_text(f"{token.line()}\n")
    with live(tmp_path, tokens_file=str(tokens)) as api:
        assert api.ask("GET", "/dashboard").status == 401
        assert api.ask("GET", "/dashboard", headers={"Authorization": f"Bearer {secret}"}).status == 200
