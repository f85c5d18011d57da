"""What an agent on a machine may say of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from live_api import Live, live

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
