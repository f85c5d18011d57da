"""The log: levels of the seed, rotation, no secrets, no forged lines."""

from __future__ import annotations

import io
import json
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamiccluster.engine import journal
from dynamiccluster.errors import BadConfigError
from dynamiccluster.kit.logs import LogFormatter, configure_logging
from dynamiccluster.kit.secrets import HIDDEN, Redactor
from dynamiccluster.model.event import Event, EventKind

LAYOUT = "%(levelname)s - %(message)s"


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    made = logging.Logger("test")
    yield made
    for handler in made.handlers:
        handler.close()


@pytest.mark.parametrize(
    ("level", "lines"), [(0, "E"), (1, "EW"), (2, "EWI"), (3, "EWID"), (4, "EWID"), (-1, "E"), (99, "EWID")]
)
def test_levels(logger: logging.Logger, tmp_path: Path, level: int, lines: str) -> None:
    path = tmp_path / "log"
    configure_logging(level, str(path), LAYOUT, 0, Redactor(), logger)
    logger.error("x")
    logger.warning("x")
    logger.info("x")
    logger.debug("x")
    assert "".join(line[0] for line in path.read_text().splitlines()) == lines


def test_debugging_is_ours_and_not_that_of_libraries(logger: logging.Logger, tmp_path: Path) -> None:
    configure_logging(3, str(tmp_path / "log"), "%(message)s", 0, Redactor(), logger)
    assert logging.getLogger("botocore.hooks").getEffectiveLevel() == logging.INFO
    configure_logging(0, str(tmp_path / "log"), "%(message)s", 0, Redactor(), logger)
    assert logging.getLogger("botocore.hooks").getEffectiveLevel() == logging.ERROR


def test_rotation_keeps_three(logger: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "log"
    configure_logging(2, str(path), LAYOUT, 100, Redactor(), logger)
    for number in range(50):
        logger.info("line %d with some text", number)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log", "log.1", "log.2", "log.3"]
    assert all(stat.S_IMODE(each.stat().st_mode) & 0o137 == 0 for each in tmp_path.iterdir())
    assert "line 49" in path.read_text()


def test_reconfiguring_replaces_and_stderr_is_the_default(
    logger: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging(2, str(tmp_path / "log"), LAYOUT, 0, Redactor(), logger)
    configure_logging(2, "", LAYOUT, 0, Redactor(), logger)
    logger.info("hello")
    assert capsys.readouterr().err == "INFO - hello\n"
    assert (tmp_path / "log").read_text() == ""
    assert len(logger.handlers) == 1


def test_what_cannot_be_is_said_and_the_old_log_stays(logger: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "log"
    configure_logging(2, str(path), LAYOUT, 0, Redactor(), logger)
    for location, layout, said in (
        (str(tmp_path / "missing" / "log"), LAYOUT, "missing/log cannot be written: No such file"),
        (str(tmp_path), LAYOUT, "Is a directory"),
        ("", "%(nosuchfield)s", "log_format"),
        ("", "no field", "log_format"),
        ("", "%(message)", "log_format"),
        ("", "%(asctime)d", "log_format"),
    ):
        with pytest.raises(BadConfigError, match=said):
            configure_logging(2, location, layout, 0, Redactor(), logger)
    logger.info("still here")
    assert "still here" in path.read_text()


def test_no_secret_leaves_even_in_a_traceback() -> None:
    redactor = Redactor()
    redactor.add("hunter2", "abc", "p/w d&1", 'quo"te')
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LogFormatter(LAYOUT, redactor))
    logger = logging.Logger("t")
    logger.addHandler(handler)
    try:
        int("login with hunter2 failed")
    except ValueError:
        logger.exception("at https://u:p%%2Fw%%20d%%261@host/ or p/w d&1 or %s", {"a": 'quo"te'})
    text = stream.getvalue()
    assert "hunter2" not in text
    assert "p/w d" not in text
    assert "p%2Fw" not in text
    assert "quo" not in text
    assert text.count(HIDDEN) >= 4
    assert redactor.redact("abc") == "abc"  # too short to be looked for


def test_a_secret_that_begins_like_another_is_hidden_whole() -> None:
    redactor = Redactor()
    redactor.add("secret", "secret-long")
    assert redactor.redact("secret-long secret") == f"{HIDDEN} {HIDDEN}"


@given(st.text(min_size=4), st.text(), st.text())
def test_redacted_text_never_holds_the_secret(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    assert redactor.redact(before + secret) == before + secret
    redactor.add(secret)
    if secret.strip("*"):
        assert redactor.redact(before + secret + after).count(HIDDEN) >= 1
        assert secret not in redactor.redact(secret)


@given(st.text())
def test_one_message_is_one_line(name: str) -> None:
    formatter = LogFormatter(LAYOUT, Redactor())
    record = logging.LogRecord("x", logging.INFO, "", 0, "job %s", (name,), None)
    assert len(formatter.format(record).splitlines()) == 1


def test_json_lines_hold_ids_and_tracebacks_and_no_secret(logger: logging.Logger, tmp_path: Path) -> None:
    path, redactor = tmp_path / "log", Redactor()
    redactor.add("hunter2", 'quo"te')
    configure_logging(2, str(path), "json", 0, redactor, logger)
    logger.info('job "x\ny" of %s', "hunter2", extra={"node": "c-1", "job": "", "tick": 7})
    try:
        int('with quo"te')
    except ValueError:
        logger.exception("odd")
    first, second = (json.loads(line) for line in path.read_text().splitlines())
    assert first.pop("at").endswith("Z")
    assert first == {"level": "info", "logger": "test", "message": f'job "x\ny" of {HIDDEN}', "node": "c-1", "tick": 7}
    assert HIDDEN in second["traceback"]
    assert "quo" not in path.read_text()


def test_journald_is_told_levels(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with (tmp_path / "journal").open("w") as journal:
        status = os.fstat(journal.fileno())
        monkeypatch.setattr("sys.stderr", journal)
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        configure_logging(3, "", LAYOUT, 0, Redactor(), logger)
        logger.warning("a\nb")
        try:
            int("x")
        except ValueError:
            logger.exception("odd")
        monkeypatch.setenv("JOURNAL_STREAM", "1:1")  # it is another stream that journald reads
        configure_logging(3, "", LAYOUT, 0, Redactor(), logger)
        logger.info("plain")
    lines = (tmp_path / "journal").read_text().splitlines()
    assert lines[0] == "<4>a\\x0ab"
    assert lines[1] == "<3>odd"
    assert all(line.startswith("<3>") for line in lines[1:-1])
    assert lines[-1] == "INFO - plain"


def test_the_history_goes_into_the_log(logger: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    events = [
        Event(
            1.0, EventKind.NODE, "wanted by 3 jobs", node_id="c-1", host_name="h-1", from_state="", to_state="requested"
        ),
        Event(1.0, EventKind.COMMAND, "held", actor="ada", node_id="c-1", host_name="h-1"),
        Event(1.0, EventKind.WARNING, "look at it", job_id="42"),
    ]
    with caplog.at_level(logging.INFO, "dynamiccluster.engine.journal"):
        journal.write(events, tick=9)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "h-1: new -> requested: wanted by 3 jobs"),
        ("INFO", "h-1: held: asked by ada"),
        ("WARNING", "job 42: look at it"),
    ]
    assert [record.node for record in caplog.records] == ["c-1", "c-1", ""]
    assert {record.tick for record in caplog.records} == {9}
