"""What an agent on a machine may say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from live_api import Live, live

from dynamiccluster.api.declare import operation_of
from dynamiccluster.api.openapi import METHODS
from dynamiccluster.api.routes import ORIGINAL, OURS
from dynamiccluster.api.tokens import ROLES, Role, make_token
from dynamiccluster.model.command import CommandKind


@pytest.fixture
def api(tmp_path: Path):
    with live(tmp_path) as running:
        yield running


@pytest.mark.parametrize(("word", "kind"), [("reclaim", CommandKind.RECLAIM), ("rebalance", CommandKind.REBALANCE)])
def test_a_notice_reaches_the_engine(api: Live, word: str, kind: CommandKind) -> None:
    answer = api.change("POST", "/api/v1/nodes/n1/notice", {"kind": word})
    assert (answer.status, answer.json["node_ids"]) == (200, ["n1"])
    assert [(command.kind, command.target) for command in api.service.commands] == [(kind, "n1")]


def test_unknown_nodes_and_words_are_refused(api: Live) -> None:
    assert api.change("POST", "/api/v1/nodes/nobody/notice", {"kind": "reclaim"}).status == 404
    assert api.change("POST", "/api/v1/nodes/n1/notice", {"kind": "end"}).status == 400
    assert api.ask("POST", "/api/v1/nodes/n1/notice").status in (401, 403)


@pytest.fixture
def secrets(tmp_path: Path) -> Iterator[tuple[Live, dict[str, str]]]:
    """A service with a token of each role; of n1 and n2 it knows that they are at 127.0.0.1 and elsewhere."""
    path, held, lines = tmp_path / "tokens", {}, []
    for name, role in (("nodes", "agent"), ("dc-fast-00000003", "agent"), ("ada", "viewer"), ("ops", "operator")):
        held[name], kept = make_token(name, ROLES[role])
        lines.append(kept.line())
    path.write_text("\n".join(lines))
    with live(tmp_path, tokens_file=str(path)) as running:
        lives_at(running, "n1", "127.0.0.1")
        yield running, held


def lives_at(api: Live, node_id: str, address: str, **changes: str) -> None:
    model = api.service.readmodel
    node = replace(model.snapshot.nodes[node_id], address=address, **changes)
    nodes = {**model.snapshot.nodes, node_id: node}
    api.service.readmodel = replace(model, snapshot=replace(model.snapshot, nodes=nodes))


def tell(api: Live, secret: str, node: str) -> tuple[int, str]:
    answer = api.ask("POST", f"/api/v1/nodes/{node}/notice", {"kind": "reclaim"}, {"Authorization": f"Bearer {secret}"})
    return answer.status, "" if answer.status == 200 else answer.json["error"]["code"]


def test_an_agent_speaks_for_the_node_that_it_comes_from(secrets: tuple[Live, dict[str, str]]) -> None:
    api, held = secrets
    assert tell(api, held["nodes"], "dc-fast-00000001") == (200, "")
    assert tell(api, held["nodes"], "n2") == (403, "not-this-node")
    assert tell(api, held["nodes"], "nobody") == (403, "not-this-node")
    assert [(command.target, command.actor) for command in api.service.commands] == [("n1", "token nodes")]
    lives_at(api, "n2", "::ffff:127.0.0.1")
    assert tell(api, held["nodes"], "n2") == (200, "")


def test_a_node_without_an_address_is_known_by_its_name(secrets: tuple[Live, dict[str, str]]) -> None:
    api, held = secrets
    lives_at(api, "n2", "", host_name="localhost")
    assert tell(api, held["nodes"], "n2") == (200, "")
    for unknown in ("", "no-such-host.invalid", "x" * 300):
        lives_at(api, "n2", "", host_name=unknown)
        assert tell(api, held["nodes"], "n2") == (403, "not-this-node")


def test_a_token_named_as_a_host_speaks_for_it_from_anywhere(secrets: tuple[Live, dict[str, str]]) -> None:
    api, held = secrets
    assert tell(api, held["dc-fast-00000003"], "dc-fast-00000003") == (200, "")
    assert tell(api, held["dc-fast-00000003"], "n2") == (403, "not-this-node")


def test_operators_speak_for_all_nodes_and_viewers_for_none(secrets: tuple[Live, dict[str, str]]) -> None:
    api, held = secrets
    assert tell(api, held["ops"], "n2") == (200, "")
    assert tell(api, held["ada"], "n1") == (403, "role")


def test_an_agent_may_do_nothing_else(secrets: tuple[Live, dict[str, str]]) -> None:
    api, held = secrets
    mine = {"Authorization": f"Bearer {held['nodes']}"}
    for path, handler in ORIGINAL + OURS:
        for method in METHODS:
            declared = operation_of(handler, method)
            if declared is None or path.endswith("/notice") or declared.needs(method.upper()) is Role.NOBODY:
                continue
            plain = re.sub(r"\{(\w+):?(\w*)[^}]*\}", lambda part: part[2] or "n1", path)
            answer = api.ask(method.upper(), plain, headers=mine)
            open_page = handler.open_to_all and answer.status < 500
            assert open_page or (answer.status, answer.json["error"]["code"]) == (403, "role"), plain
    assert api.service.commands == []
    refused = api.ask("POST", "/api/v1/session", {"token": held["nodes"]})
    assert (refused.status, "set-cookie" in refused.headers) == (403, False)


def test_the_document_says_who_may(api: Live) -> None:
    paths = api.ask("GET", "/api/v1/openapi.json").json["paths"]
    assert paths["/api/v1/nodes/{node}/notice"]["post"]["description"] == "Role: operator, or agent of that node."
