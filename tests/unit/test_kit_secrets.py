"""Secrets of several lines, cut ones and encoded ones do not leave the service."""

from __future__ import annotations

import base64
import json
import logging

import pytest

from dynamiccluster.kit.log_layouts import JsonLayout
from dynamiccluster.kit.logs import HidingLayout, LogFormatter
from dynamiccluster.kit.runner import Completed
from dynamiccluster.kit.secrets import HIDDEN, Redactor

PASSWORD = "S3cretPassw0rdThatIsLong"
LINES = ("-----BEGIN KEY-----", "MIIEvQIBADANBgkqhki", "G9w0BAQEFAASC", "-----END KEY-----")
KEY = "\n".join(LINES)


@pytest.fixture
def redactor() -> Redactor:
    made = Redactor()
    made.add(KEY, PASSWORD)
    return made


def clean(text: str) -> bool:
    return not any(part in text for part in (*LINES, PASSWORD))


def test_a_key_of_several_lines_that_a_script_quotes_is_hidden(redactor: Redactor) -> None:
    said = redactor.redact(Completed(("x",), 1, "", f"launch failed, user_data was: {KEY}\nand so on", 0).complaint)
    assert said == f"launch failed, user_data was: {HIDDEN} and so on"


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_it_alone_is_hidden(redactor: Redactor, line: str) -> None:
    assert redactor.redact(f"line 7: '{line}' is odd") == f"line 7: '{HIDDEN}' is odd"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\n      "])
def test_the_log_hides_it_before_it_escapes(redactor: Redactor, line_end: str) -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "said: %s", (KEY.replace("\n", line_end),), None)
    assert clean(LogFormatter("%(message)s", redactor).format(record))
    assert clean(HidingLayout(JsonLayout(), redactor).format(record))


@pytest.mark.parametrize("shown", range(4, len(PASSWORD)))
def test_what_a_cut_leaves_of_one_is_hidden(redactor: Redactor, shown: int) -> None:
    cut = f"{'x' * 400} pw={PASSWORD[:shown]}"
    assert redactor.redact(cut) == redactor.redact(f"{'x' * 400} pw={PASSWORD}")
    assert redactor.redact(f"{cut}...") == f"{'x' * 400} pw={HIDDEN}..."
    record = logging.LogRecord("x", logging.WARNING, "", 0, "%s", (cut,), None)
    told = json.loads(HidingLayout(JsonLayout(), redactor).format(record))
    assert told["message"].endswith(f"pw={HIDDEN}")


@pytest.mark.parametrize("shown", range(8, len(PASSWORD)))
def test_what_is_kept_of_a_texts_end_is_hidden(redactor: Redactor, shown: int) -> None:
    """Of a console the last lines are kept: the first of them may begin in a secret."""
    for before in ("", "...", "\u2026 "):
        assert redactor.redact(f"{before}{PASSWORD[-shown:]} and so on") == f"{before}{HIDDEN} and so on"
    assert redactor.redact(f"{PASSWORD[-7:]} is a word's end") == f"{PASSWORD[-7:]} is a word's end"


def test_a_long_beginning_is_hidden_in_the_middle_too(redactor: Redactor) -> None:
    assert redactor.redact(f"failed: pw={PASSWORD[:14]} (return code 1)") == f"failed: pw={HIDDEN} (return code 1)"
    assert redactor.redact("S3c is no secret, nor is S3cretPa alone") == "S3c is no secret, nor is S3cretPa alone"


@pytest.mark.parametrize("before", ["", "a", "ab", "#!/bin/sh\necho "])
@pytest.mark.parametrize("secret", [PASSWORD, KEY])
def test_base64_that_holds_one_is_hidden(redactor: Redactor, before: str, secret: str) -> None:
    script = f"{before}{secret} and more of the script, so that it has several lines of base64".encode()
    for packed in (base64.b64encode(script), base64.urlsafe_b64encode(script), base64.encodebytes(script)):
        for text in (
            packed.decode(),
            json.dumps(packed.decode()),
            f"user_data={packed.decode()}",
            packed.decode()[:-9],
        ):
            assert not readable(redactor.redact(text)), text


def test_base64_of_nothing_secret_stays(redactor: Redactor) -> None:
    text = f"image {base64.b64encode(b'nothing that anybody would have to hide').decode()} of /usr/lib/python3/packages"
    assert redactor.redact(text) == text


def readable(text: str) -> bool:
    """Whether somebody who decodes what is left finds a part of a secret."""
    packed = "".join(text.replace("\\n", "").split()).rpartition("=")[2] or text
    for offset in range(4):
        piece = "".join(one for one in packed[offset:] if one.isalnum() or one in "+/-_").replace("-", "+")
        piece = piece.replace("_", "/")
        piece = piece[: len(piece) // 4 * 4]
        if not clean(base64.b64decode(piece).decode("utf-8", "replace")):
            return True
    return False
