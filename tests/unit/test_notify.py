"""What needs attention is told once, told when it is over, and a dead receiver is nobody else's trouble."""

from __future__ import annotations

import http.server
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MailBox

from dynamiccluster.engine.attention import Attention, AttentionKind, Severity
from dynamiccluster.engine.readmodel import ReadModel
from dynamiccluster.errors import BadConfigError, TransientError
from dynamiccluster.model.memory import Memory
from dynamiccluster.model.plan import Snapshot
from dynamiccluster.model.policy import Policy
from dynamiccluster.plugins import notify_ways
from dynamiccluster.plugins.loader import load_plugin
from dynamiccluster.plugins.notify import KEPT, Notifier
from dynamiccluster.plugins.notify_ledger import Ledger, Turn, Word
from dynamiccluster.plugins.notify_text import MOST, Message
from dynamiccluster.testing.runner import FakeRunner

NOW = 1_800_000_000.0
SECRET = "hush-4711"
TELL = "/opt/site/tell"

CLOSED = Attention("breaker:gpu", Severity.WARNING, AttentionKind.BREAKER, "gpu is closed after failures", "no image")
LOST = Attention("node-lost:n1", Severity.CRITICAL, AttentionKind.NODE_LOST, "n1 is down with 3 job(s)", "lost")
FULL = Attention("limit:max-nodes", Severity.INFO, AttentionKind.LIMIT, "The maximum is reached", "9 wait")


def told(words: tuple[Word, ...]) -> list[tuple[Turn, str]]:
    return [(word.turn, word.about.key) for word in words]


# -- the ledger ----------------------------------------------------------------------------------------------


def looks(ledger: Ledger, *pictures: tuple[float, tuple[Attention, ...]]) -> list[list[tuple[Turn, str]]]:
    found = []
    for at, attentions in pictures:
        ledger, words = ledger.look(attentions, NOW + at)
        found.append(told(words))
    return found


def test_what_lasts_is_told_once_and_when_it_is_over() -> None:
    begin, over = [(Turn.BEGIN, CLOSED.key)], [(Turn.END, CLOSED.key)]
    louder = replace(CLOSED, text="still no image", count=7)
    assert looks(
        Ledger(settle_s=60),
        (0, (CLOSED,)),
        (59, (CLOSED,)),
        (60, (CLOSED,)),
        (90, (louder,)),
        (120, ()),
        (149, ()),
        (150, ()),
        (200, ()),
    ) == [[], [], begin, [], [], [], over, []]


def test_what_comes_and_goes_is_told_once() -> None:
    pictures = [(float(at), (CLOSED,) if at % 40 < 20 else ()) for at in range(0, 600, 10)]
    found = [turn for look in looks(Ledger(settle_s=60), *pictures) for turn in look]
    assert found == [(Turn.BEGIN, CLOSED.key)]


def test_what_was_never_told_ends_without_a_word() -> None:
    assert looks(Ledger(settle_s=60), (0, (CLOSED,)), (30, ()), (300, ())) == [[], [], []]


def test_what_lasts_long_is_told_again_if_wanted() -> None:
    pictures = [(at * 600.0, (CLOSED,)) for at in range(13)]
    again = looks(Ledger(settle_s=0, repeat_s=3600), *pictures)
    assert [index for index, look in enumerate(again) if look] == [0, 6, 12]
    assert again[6] == [(Turn.REPEAT, CLOSED.key)]
    once = looks(Ledger(settle_s=0, repeat_s=0), *pictures)
    assert [index for index, look in enumerate(once) if look] == [0]


def test_the_most_urgent_first_and_nothing_below_the_wanted_severity() -> None:
    found = looks(Ledger(settle_s=0), (0, (FULL, CLOSED, LOST)), (1, (FULL,)))
    assert found == [[(Turn.BEGIN, LOST.key), (Turn.BEGIN, CLOSED.key)], [(Turn.END, CLOSED.key), (Turn.END, LOST.key)]]
    assert looks(Ledger(settle_s=0, least=Severity.INFO), (0, (FULL,))) == [[(Turn.BEGIN, FULL.key)]]


# -- the message ---------------------------------------------------------------------------------------------


def message(*words: Word) -> Message:
    return Message("lab", NOW, words or (Word(Turn.BEGIN, CLOSED, NOW - 90),))


def test_a_hostile_name_is_one_line() -> None:
    hostile = replace(LOST, title="x\r\nBcc: all@example.org\u2028y", text="a\nb\x1b[31m")
    made = message(Word(Turn.BEGIN, hostile, NOW), Word(Turn.END, CLOSED, NOW))
    assert made.subject == "[lab] critical: x  Bcc: all@example.org y and 1 more"
    assert "over: gpu is closed" in made.text
    assert all(line.isprintable() for line in made.text.split("\n"))
    assert json.loads(json.dumps(made.document()))["words"][0]["title"] == hostile.title


def test_a_storm_is_one_message() -> None:
    words = [Word(Turn.BEGIN, replace(LOST, key=f"node-lost:{number}"), NOW) for number in range(500)]
    made = message(*words)
    assert "and 499 more" in made.subject
    assert f"... and {500 - MOST} more" in made.text
    assert (len(made.document()["words"]), made.document()["total"]) == (MOST, 500)
    assert len(json.dumps(made.document())) < 40_000


# -- real receivers ------------------------------------------------------------------------------------------


@dataclass
class Receiver:
    """A web server that does as it is told, and keeps what it got."""

    status: int = 200
    late_s: float = 0.0
    hang_up: bool = False
    location: str = ""
    got: list[tuple[dict[str, str], Any]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks/{SECRET}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if told.hang_up:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            time.sleep(told.late_s)
            told.got.append((dict(self.headers), body))
            self.send_response(told.status)
            if told.location:
                self.send_header("Location", told.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            told.got.append(({}, "a redirection was followed"))
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()


def webhook(receiver: Receiver) -> notify_ways.Webhook:
    return notify_ways.Webhook(notify_ways.WebhookArguments(url=receiver.url, token=SECRET))


def test_a_webhook_gets_the_document(receiver: Receiver) -> None:
    webhook(receiver).send(message())
    ((headers, document),) = receiver.got
    assert headers["Authorization"] == f"Bearer {SECRET}"
    assert headers["Content-Type"] == "application/json"
    assert document == message().document()
    assert document["text"] == "[lab] warning: gpu is closed after failures"


@pytest.mark.parametrize("trouble", ["500", "gone", "hang-up", "late", "redirection"])
def test_a_webhook_that_fails_says_so_and_no_secret(
    receiver: Receiver, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    way = webhook(receiver)
    monkeypatch.setattr(notify_ways, "SEND_LIMIT_S", 0.2)
    said = "did not answer"
    if trouble == "500":
        receiver.status, said = 500, "answered 500"
    elif trouble == "redirection":
        receiver.status, receiver.location, said = 302, receiver.url + "/elsewhere", "answered 302"
    elif trouble == "hang-up":
        receiver.hang_up = True
    elif trouble == "late":
        receiver.late_s = 0.6
    else:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            receiver.port = nobody.getsockname()[1]
        way = webhook(receiver)
    with pytest.raises(TransientError, match=said) as raised:
        way.send(message())
    assert SECRET not in str(raised.value)
    assert len(receiver.got) <= 1  # a redirection is not followed


class Box(MailBox):
    def __init__(self) -> None:
        super().__init__(EmailMessage)
        self.mails: list[Any] = []

    def handle_message(self, message: Any) -> None:
        self.mails.append(message)


@pytest.fixture
def mail_server() -> Iterator[tuple[Controller, Box]]:
    box = Box()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield controller, box
    controller.stop()


def mail_arguments(port: int, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "to": ["ops@example.org"], "sender": "dc@example.org"} | more


def test_a_real_mail_server_gets_one_mail_for_all(mail_server: tuple[Controller, Box]) -> None:
    controller, box = mail_server
    arguments = mail_arguments(controller.port, to=["ops@example.org", "boss@example.org"])
    notify_ways.Mail(notify_ways.MailArguments(**arguments)).send(
        message(Word(Turn.BEGIN, LOST, NOW - 90), Word(Turn.END, CLOSED, NOW - 300))
    )
    (mail,) = box.mails
    assert mail["Subject"] == "[lab] critical: n1 is down with 3 job(s) and 1 more"
    assert mail["To"] == "ops@example.org, boss@example.org"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "over: gpu is closed" in mail.get_payload()


def test_a_mail_server_that_wants_more_is_named_without_secrets(mail_server: tuple[Controller, Box]) -> None:
    controller, _ = mail_server
    for more in ({"username": "dc", "password": SECRET}, {"security": "starttls"}):
        mail = notify_ways.Mail(notify_ways.MailArguments(**mail_arguments(controller.port, **more)))
        with pytest.raises(TransientError, match=f"127.0.0.1:{controller.port}") as raised:
            mail.send(message())
        assert SECRET not in str(raised.value)


def test_a_script_gets_the_document() -> None:
    runner = FakeRunner()
    runner.on([TELL, "--all"])
    notify_ways.Script([TELL, "--all"], runner).send(message())
    assert json.loads(runner.calls[0].stdin or "") == message().document()


# -- the plug-in ---------------------------------------------------------------------------------------------


class HandClock:
    at = NOW

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def model(store_error: str = "") -> ReadModel:
    return ReadModel(NOW, Snapshot(1, Memory()), Policy("lab", {}), store_error=store_error)


def test_one_dead_way_slows_no_other(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    clock, runner = HandClock(), FakeRunner()
    runner.on([TELL], returncode=1, stderr="no route")
    notifier = Notifier(webhook={"url": receiver.url}, script=[TELL], settle_s=0, clock=clock, runner=runner)
    with caplog.at_level(logging.INFO):
        notifier.observe(model("disk full"))
        clock.at += 5
        notifier.observe(model())
        assert [document["words"][0]["turn"] for _, document in receiver.got] == ["begin", "end"]
        assert len(runner.calls) == 1  # not tried again before its pause is over
        clock.at += 100
        notifier.observe(model())
        assert len(runner.calls) == 2
        runner.on([TELL])
        clock.at += 1000
        notifier.observe(model())
    assert [json.loads(call.stdin or "")["words"][0]["turn"] for call in runner.calls[2:]] == ["begin", "end"]
    said = [record.getMessage() for record in caplog.records]
    assert sum("nobody is told by script: /opt/site/tell ended with 1: no route" in line for line in said) == 1
    assert "script works again" in said
    assert SECRET not in "".join(said)


def test_with_no_way_left_the_plug_in_shows_it_and_keeps_what_is_new() -> None:
    clock, runner = HandClock(), FakeRunner()
    runner.on([TELL], returncode=1)
    notifier = Notifier(script=[TELL], settle_s=0, clock=clock, runner=runner)
    for number in range(2 * KEPT):
        clock.at += 1
        with pytest.raises(TransientError, match="script: /opt/site/tell"):
            notifier.observe(model("disk full" if number % 2 == 0 else ""))
    runner.on([TELL])
    before, clock.at = len(runner.calls), clock.at + 1000
    notifier.observe(model())
    assert len(runner.calls) - before == KEPT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "at least one of webhook, mail and script"),
        ({"webhook": {"url": "ftp://x/"}}, "webhook.url: is not an address like"),
        ({"webhook": {"url": "http://h/", "tokn": "x"}}, "webhook.tokn: Extra inputs"),
        ({"webhook": {"url": "https://h/", "ca_file": "/nowhere.pem"}}, "webhook: .*No such file"),
        ({"mail": {"to": ["ops"], "sender": "a@b"}}, "mail.to: 'ops' is not a mail address"),
        ({"mail": {"to": ["a@b\nBcc: c@d"], "sender": "a@b"}}, "mail.to: "),
        ({"mail": {"to": [], "sender": "a@b"}}, "mail.to: "),
        ({"mail": {"to": ["a@b"], "sender": "a@b", "port": 0}}, "mail.port: "),
        ({"script": "tell everybody"}, "script: give a list of words"),
        ({"script": ["x"], "least": "grave"}, "least: 'grave' is not one of critical, warning, info"),
        ({"script": ["x"], "settle_s": -1}, "settle_s: -1 is not a number of seconds"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(BadConfigError, match=said) as raised:
        load_plugin("people", "dynamiccluster.plugins.notify.Notifier", arguments)
    assert "plug-in people" in str(raised.value)
