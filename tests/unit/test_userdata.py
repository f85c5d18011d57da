"""The script that new machines are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamiccluster.clouds.userdata import LONGEST, UserData
from dynamiccluster.errors import BadConfigError
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Reservation, Resource

RESOURCE = Resource(
    "small", "aws", "t", Capacity(4, 8000), features=frozenset({"b", "a"}), reservation=Reservation(queue="long")
)
SPEC = NodeSpec("n1", "small-1")


def rendered(tmp_path: Path, text: str, spec: NodeSpec | None = SPEC) -> str:
    path = tmp_path / "user.sh"
    path.write_text(text)
    return UserData(str(path), "hpc", {"key": "s3cret"}).prepare().render("l1", RESOURCE, spec)


def test_a_template_is_given_all_about_its_node(tmp_path: Path) -> None:
    text = (
        "#!/bin/sh\nhostname {{ minion_id }} # {{ node_id }} {{ launch_id }} {{ cluster_id }}\n"
        "{{ resource.name }} {{ resource.cores }} {{ resource.features | join(',') }} "
        "{{ resource.reservation.queue }} {{ values.key }}\n"
    )
    assert rendered(tmp_path, text) == "#!/bin/sh\nhostname small-1 # n1 l1 hpc\nsmall 4 a,b long s3cret\n"


@pytest.mark.parametrize(
    ("text", "per_node"),
    [
        ("{{ resource.name }}", False),
        ("{{ minion_id }}", True),
        ("{% if host_name %}x{% endif %}", True),
        ("plain", False),
    ],
)
def test_it_is_known_whether_nodes_share_it(tmp_path: Path, text: str, per_node: bool) -> None:
    path = tmp_path / "user.sh"
    path.write_text(text)
    assert UserData(str(path), "hpc").prepare().per_node is per_node


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("one\n{{ two", ":2: "),
        ("{{ nobody }}", "'nobody' is undefined"),
        ("{{ values.nothing }}", "nothing"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{% include '/etc/passwd' %}", "/etc/passwd"),
        ("x" * (LONGEST + 1), "longer than"),
    ],
)
def test_what_is_no_template_or_reaches_too_far_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(BadConfigError, match=r"user\.sh") as caught:
        rendered(tmp_path, text)
    assert words in str(caught.value)


def test_secrets_do_not_come_out_of_errors(tmp_path: Path) -> None:
    with pytest.raises(BadConfigError) as caught:
        rendered(tmp_path, "{{ values.key.nothing() }}")
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadConfigError, match="cannot be read"):
        UserData(str(tmp_path / "none"), "hpc").prepare()
