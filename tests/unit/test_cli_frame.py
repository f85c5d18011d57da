"""The live view: readable on a small terminal, and never steered by what it shows."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from live_api import NOW, live
from rich.console import Console

from dynamiccluster.api.pictures.resources import resource_doc
from dynamiccluster.cli.frame import frame
from dynamiccluster.cli.show import condition, remarks
from dynamiccluster.cli.status import _live, look
from dynamiccluster.cli.text import clean, clean_lines, clock, duration
from dynamiccluster.client.rest import Client, Document
from dynamiccluster.model.memory import Backoff
from dynamiccluster.model.view import SourceStatus
from dynamiccluster.model.worker_node import NodeState, WorkerNode
from dynamiccluster.testing.service_example import HOSTILE, example_readmodel


def drawn(picture: Document, width: int = 80, height: int = 24, **more: str) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, height=height, force_terminal=False).print(frame(picture, width, height, **more))
    return [line.rstrip() for line in out.getvalue().rstrip("\n").split("\n")]


@pytest.fixture
def picture(tmp_path: Path) -> Document:
    with live(tmp_path) as api:
        return look(Client(api.settings.socket_path))


def test_example_fits_80_by_24_and_says_what_matters(picture: Document) -> None:
    lines = drawn(picture)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for word in (
        "testing",
        "slow is closed",
        "scheduler 2s",
        "time-out",
        "40 cores",
        "4 busy",
        "fast",
        "STATE",
        "dc-fast-00000005",
    ):
        assert word in text


def test_plug_ins_that_fail_are_named_and_good_ones_are_not(tmp_path: Path) -> None:
    statuses = [
        SourceStatus("graphite", NOW - 60, NOW - 5, 3, "connection refused"),
        SourceStatus("stuck", 0.0, NOW - 30, 1, "no answer", "unknown-outcome"),
        SourceStatus("fine", NOW - 5, NOW - 5),
    ]
    with live(tmp_path, plugins=lambda: statuses) as api:
        lines = drawn(look(Client(api.settings.socket_path)), width=100)
    assert "plug-ins: graphite fails (connection refused)  stuck is cut off (no answer)" in lines
    assert "fine" not in "\n".join(lines)


def test_a_breaker_is_told_in_words_that_do_not_say_the_contrary() -> None:
    told = [condition({"breaker": {"state": state}, "backoffs": []}) for state in ("closed", "open", "half-open")]
    assert told == ["ok", "closed", "on trial"]
    assert condition({"breaker": {"state": "closed"}, "backoffs": [{"word": "sold out"}]}) == "paused"


@pytest.mark.parametrize("size", [(80, 24), (60, 24), (120, 50)])
def test_crowd_fits_too(tmp_path: Path, size: tuple[int, int]) -> None:
    with live(tmp_path) as api:
        for number in range(300):
            state = list(NodeState)[number % len(NodeState)]
            api.service.put(WorkerNode(f"m{number}", "fast", "lab", "l", state, host_name=f"{HOSTILE}-{number}"))
        lines = drawn(look(Client(api.settings.socket_path)), *size)
    assert max(map(len, lines)) <= size[0]
    assert all(line.isprintable() for line in lines)
    if size == (120, 50):
        assert len(lines) <= 50
    assert any(line.startswith("quarantined") for line in lines)


def test_bars_show_everything_there_is(picture: Document) -> None:
    picture["status"]["supply"] = {"busy_cores": 100_000, "idle_cores": 1, "booting_cores": 0, "other_cores": 0}
    supply = next(line for line in drawn(picture) if line.startswith("supply"))
    assert supply.count("░") == 1
    assert supply.count("█") > 50
    plain = drawn(picture, encoding="ascii")
    assert next(line for line in plain if line.startswith("supply")).isascii()


def test_observe_only_and_trouble_stand_at_the_top(picture: Document) -> None:
    picture["status"]["mode"]["observe_only"] = True
    lines = drawn(picture, trouble="the service is not running")
    assert "OBSERVE-ONLY" in lines[0]
    assert "NOT UP TO DATE: the service is not running" in lines[1]


def test_service_that_goes_away_keeps_the_last_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turns = 0
    with live(tmp_path) as api:
        client = Client(api.settings.socket_path)

        def wait(_seconds: float) -> None:
            nonlocal turns
            turns += 1
            if turns == 1:
                client._path = str(tmp_path / "gone.sock")
            if turns == 3:
                raise KeyboardInterrupt

        _live(client, 0.2, wait)
    assert turns == 3


def test_empty_cluster_has_a_frame(tmp_path: Path) -> None:
    with live(tmp_path) as api:
        model = api.service.readmodel
        bare = replace(model.snapshot, nodes={}, scheduler=None, clouds={})
        api.service.readmodel = replace(
            model, snapshot=bare, sources={}, sentence="", policy=replace(model.policy, resources={})
        )
        api.service.history = []
        text = "\n".join(drawn(look(Client(api.settings.socket_path))))
    assert text.splitlines()[1] == "NOT READY: the scheduler has not been seen yet"


@pytest.mark.parametrize(
    ("error_class", "word"),
    [("capacity", "sold out"), ("quota", "over quota"), ("throttled", "slowed down"), ("auth", "failed")],
)
def test_remarks_say_first_what_is_wrong(error_class: str, word: str) -> None:
    model = example_readmodel(NOW)
    memory = replace(model.snapshot.memory, backoffs={"resource:fast": Backoff(0.0, NOW, 1, error_class, "told so")})
    model = replace(model, snapshot=replace(model.snapshot, memory=memory))
    found = resource_doc(model, model.policy.resources["fast"]).model_dump()
    text = remarks(found, short=True)
    assert re.fullmatch(rf"{word}, asked again at \d\d:\d\d:\d\d \(resource:fast\): told so", text)


def test_clean_shows_what_it_hides() -> None:
    assert clean("a\x1b[0m\nb\u202e\x9b\u2028\udc80é") == "a\\x1b[0m\\nb\\u202e\\x9b\\u2028\\udc80é"
    assert clean("x" * 10, 4) == "xxx…"
    assert clean_lines("a\tb\r\nc\rd\x1b") == "a       b\nc\\rd\\x1b"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "never"), (0, "0s"), (59.9, "59s"), (60, "1m00s"), (3599, "59m59s"), (7800, "2h10m"), (273600, "3d04h")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_clock_of_never_and_nonsense() -> None:
    assert (clock(None), clock("\x1b")) == ("-", "\\x1b")
    assert len(clock("2023-11-14T22:13:20.000Z")) == 19
