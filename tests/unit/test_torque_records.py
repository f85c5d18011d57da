"""Records of Torque's XML: the same as an XML parser reads, and a damaged one is the only one that is lost."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from dynamiccluster.schedulers.torque.records_parse import fields, inner, plain, records

RECORDED = Path(__file__).parents[1] / "recorded"
FILES = [
    path
    for system in ("torque", "torque42")
    for path in sorted((RECORDED / system).glob("*.xml"))
    if path.read_text(encoding="utf-8").strip()
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recording_reads_as_with_an_xml_parser(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ElementTree.fromstring(text)  # noqa: S314 - our own recordings
    (kind,) = {element.tag for element in tree}
    found = list(records(text, kind))
    assert len(found) == len(tree) > 0
    for record, element in zip(found, tree, strict=True):
        leaves = {leaf.tag: leaf.text or "" for leaf in element.iter() if not len(leaf)}
        assert {key: plain(value) for key, value in fields(record).items()} == leaves
        request = element.find("Resource_List")
        if request is not None:
            wanted = {leaf.tag: leaf.text or "" for leaf in request}
            assert fields(inner(record, "Resource_List")) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        '<?xml version="1.0"?>\n<Data></Data>\n',
        "<Data/>",
        (RECORDED / "torque" / "qstat_x_empty.txt").read_text(encoding="utf-8"),
    ],
)
def test_nothing_is_an_empty_list(text: str) -> None:
    assert list(records(text, "Job")) == []


@pytest.mark.parametrize(
    "text",
    [
        "<Data><Job><Job_Id>1.h</Job_Id></Job>",
        "<Data><Job><Job_Id>1.h</Job_Id></Job></Da",
        "<Data><Job><Job_Id>1.h</Job_Id></Data>",
        "<Data><Other>1</Other></Data>",
        "qstat: Erreur de connexion",
        "<html><body>Data</body></html>",
        "<Data",
        "x" * 200,
    ],
)
def test_a_text_that_was_cut_off_or_is_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        list(records(text, "Job"))


def test_every_way_to_cut_a_recording_is_noticed() -> None:
    text = (RECORDED / "torque" / "s1_pbsnodes_x.xml").read_text(encoding="utf-8").rstrip()
    for end in range(1, len(text), 7):
        with pytest.raises(ValueError):
            list(records(text[:end], "Node"))


def test_entities_become_characters_once() -> None:
    assert plain("a &lt;b&gt; &amp;lt; &quot;c&apos; &#65;&#x42; &unknown; &") == "a <b> &lt; \"c' AB &unknown; &"
    assert plain("&#0;&#xD800;&#x110000;") == "\ufffd\ufffd\ufffd"
