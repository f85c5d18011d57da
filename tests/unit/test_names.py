"""Names: only our block changes, whatever else stands in the file and whoever else writes to it."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamiccluster.errors import BadConfigError, TransientError
from dynamiccluster.names.already import AlreadyNames
from dynamiccluster.names.hosts_file import HostsFileNames
from dynamiccluster.names.registry import build_names
from dynamiccluster.names.script import ScriptNames
from dynamiccluster.testing.runner import FakeRunner

OTHERS = b"127.0.0.1\tlocalhost\n# a comment \xff\n::1 localhost ip6-localhost\n\n10.0.0.9 Head head.site\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    path.write_bytes(OTHERS)
    return path


def test_a_block_of_our_own(path: Path) -> None:
    names = HostsFileNames(path, "lab")
    names.add("n1", "10.0.0.1")
    names.add("n2", "2001:DB8::2")
    assert path.read_bytes() == OTHERS + (
        b"# BEGIN dynamiccluster lab\n10.0.0.1\tn1\n2001:db8::2\tn2\n# END dynamiccluster lab\n"
    )
    names.add("N1", "10.0.0.7")  # a new address for the same name
    assert b"10.0.0.1\t" not in path.read_bytes()
    assert path.read_bytes().count(b"10.0.0.7\tN1\n") == 1
    names.remove("n1")
    names.remove("n1")
    names.remove("never-there")
    assert b"10.0.0.7" not in path.read_bytes()
    names.remove("n2")
    assert path.read_bytes() == OTHERS


def test_repeating_changes_nothing_at_all(path: Path) -> None:
    names = HostsFileNames(path, "lab")
    names.add("n1", "10.0.0.1")
    before = path.stat()
    names.add("n1", "10.0.0.1")
    names.remove("n3")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_two_installations_share_a_file(path: Path) -> None:
    lab, labor = HostsFileNames(path, "lab"), HostsFileNames(path, "lab-2")
    lab.add("n1", "10.0.0.1")
    labor.add("m1", "10.0.1.1")
    lab.add("n2", "10.0.0.2")
    lab.remove("m1")  # not ours
    assert b"10.0.1.1\tm1\n" in path.read_bytes()
    lab.remove("n1")
    lab.remove("n2")
    assert path.read_bytes() == OTHERS + b"# BEGIN dynamiccluster lab-2\n10.0.1.1\tm1\n# END dynamiccluster lab-2\n"


def test_names_of_others_are_never_touched(path: Path) -> None:
    names = HostsFileNames(path, "lab")
    for name, address in (("head", "10.0.0.1"), ("head.site", "10.0.0.1"), ("LOCALHOST", "10.0.0.1")):
        with pytest.raises(BadConfigError, match="outside of our block"):
            names.add(name, address)
        names.remove(name)
    assert path.read_bytes() == OTHERS
    names.add("head", "10.0.0.9")  # says the same: no harm


def test_mode_owner_and_links_stay(path: Path, tmp_path: Path) -> None:
    path.chmod(0o644)
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
    link = tmp_path / "link"
    link.symlink_to(path)
    before = path.stat()
    HostsFileNames(link, "lab").add("n1", "10.0.0.1")
    after = path.stat()
    assert link.is_symlink()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert b"n1" in path.read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["hosts", "link"]


def test_a_file_without_a_last_newline(path: Path) -> None:
    path.write_bytes(b"127.0.0.1 localhost")
    HostsFileNames(path, "lab").add("n1", "10.0.0.1")
    assert path.read_bytes().startswith(b"127.0.0.1 localhost\n# BEGIN")


@pytest.mark.parametrize(
    "text",
    [
        "# BEGIN dynamiccluster lab\n10.0.0.1 n1\n",
        "10.0.0.1 n1\n# END dynamiccluster lab\n",
        "# END dynamiccluster lab\n# BEGIN dynamiccluster lab\n",
        "# BEGIN dynamiccluster lab\n# END dynamiccluster lab\n" * 2,
    ],
)
def test_a_damaged_block_is_left_alone(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(BadConfigError, match="repair it by hand"):
        HostsFileNames(path, "lab").add("n2", "10.0.0.2")
    assert path.read_text() == text


@pytest.mark.parametrize(
    "name", ["", "-x", "a b", "a\n10.0.0.1 bank.com", "a#b", "ü", "a..b", "a.", "a/b", "x" * 300, "a-"]
)
def test_hostile_names(path: Path, name: str) -> None:
    names = HostsFileNames(path, "lab")
    with pytest.raises(BadConfigError, match="cannot be a host name"):
        names.add(name, "10.0.0.1")
    with pytest.raises(BadConfigError, match="cannot be a host name"):
        names.remove(name)
    assert path.read_bytes() == OTHERS


@pytest.mark.parametrize("address", ["", "10.0.0", "10.0.0.1 x", "10.0.0.1\n1.2.3.4", "fe80::1%eth0", "name"])
def test_hostile_addresses(path: Path, address: str) -> None:
    with pytest.raises(BadConfigError):
        HostsFileNames(path, "lab").add("n1", address)
    assert path.read_bytes() == OTHERS


def test_a_file_that_cannot_be_changed(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadConfigError, match="cannot be changed: No such file"):
        HostsFileNames(tmp_path / "missing", "lab").add("n1", "10.0.0.1")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TransientError, match="No space left"):
        HostsFileNames(path, "lab").add("n1", "10.0.0.1")
    assert path.read_bytes() == OTHERS
    assert [each.name for each in tmp_path.iterdir()] == ["hosts"]


def test_a_file_that_is_a_mount_point_is_rewritten_in_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)
    inode = path.stat().st_ino
    HostsFileNames(path, "lab").add("n1", "10.0.0.1")
    assert path.stat().st_ino == inode
    assert b"10.0.0.1\tn1\n" in path.read_bytes()
    assert [each.name for each in path.parent.iterdir()] == ["hosts"]


def test_writers_at_the_same_time_lose_nothing(path: Path) -> None:
    def write(cluster: str) -> None:
        names = HostsFileNames(path, cluster)
        for number in range(15):
            names.add(f"{cluster}-{number}", f"10.0.0.{number}")
        for number in range(0, 15, 2):
            names.remove(f"{cluster}-{number}")

    threads = [threading.Thread(target=write, args=(cluster,)) for cluster in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {line.split()[1] for line in path.read_text(errors="replace").splitlines() if "\t" in line}
    expected = {f"{cluster}-{number}" for cluster in "abc" for number in range(1, 15, 2)}
    assert found - {"localhost"} == expected


LINES = st.lists(st.sampled_from([b"10.1.1.1 x\n", b"# text\n", b"\n", b"\xff\xfe\n", b"a\r\n", b"::1 y z\n"]))
CALLS = st.lists(st.tuples(st.booleans(), st.sampled_from(["n1", "n2", "n3"]), st.integers(1, 5)), max_size=12)


@given(before=LINES, after=LINES, calls=CALLS)
@settings(deadline=None, max_examples=50)
def test_the_block_equals_a_dict_and_the_rest_is_untouched(
    before: list[bytes],
    after: list[bytes],
    calls: list[tuple[bool, str, int]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("names") / "hosts"
    marks = b"# BEGIN dynamiccluster lab\n10.0.0.99\tn9\n", b"# END dynamiccluster lab\n"
    path.write_bytes(b"".join([*before, *marks, *after]))
    names = HostsFileNames(path, "lab")
    model = {"n9": "10.0.0.99"}
    for adds, name, number in calls:
        if adds:
            names.add(name, f"10.0.0.{number}")
            model[name] = f"10.0.0.{number}"
        else:
            names.remove(name)
            model.pop(name, None)
    data = path.read_bytes()
    head, _, rest = data.partition(b"# BEGIN dynamiccluster lab\n")
    block, _, tail = rest.partition(b"# END dynamiccluster lab\n")
    assert (head, tail) == (b"".join(before), b"".join(after))
    assert {line.split()[1]: line.split()[0] for line in block.decode().splitlines()} == model


def test_scripts() -> None:
    runner = FakeRunner()
    runner.on(["dns"], "")
    names = ScriptNames(runner, "dns add {0} {1}", "dns remove {0}", 5.0)
    names.add("n1", "10.0.0.1")
    names.remove("n1")
    assert runner.argvs == [("dns", "add", "n1", "10.0.0.1"), ("dns", "remove", "n1")]
    runner.on(["dns"], "", returncode=1, stderr="server busy")
    with pytest.raises(TransientError, match="dns for n1: server busy"):
        names.add("n1", "10.0.0.1")
    with pytest.raises(BadConfigError, match="cannot be a host name"):
        names.remove("--all")
    with pytest.raises(BadConfigError, match="no value for"):
        ScriptNames(runner, "dns {0} {2}", "dns {0}", 5.0)


def test_registry(path: Path) -> None:
    runner = FakeRunner()
    already = build_names("already", cluster_id="lab", runner=runner)
    assert isinstance(already, AlreadyNames)
    already.add("n1", "10.0.0.1")
    already.remove("n1")
    build_names("hosts_file", cluster_id="lab", runner=runner, hosts_file=str(path)).add("n1", "10.0.0.1")
    assert b"# BEGIN dynamiccluster lab" in path.read_bytes()
    script = build_names("script", cluster_id="lab", runner=runner, add_command="a {0}", remove_command="r {0}")
    assert isinstance(script, ScriptNames)
    with pytest.raises(BadConfigError, match="there is no method 'magic'"):
        build_names("magic", cluster_id="lab", runner=runner)
    with pytest.raises(BadConfigError, match="empty command"):
        build_names("script", cluster_id="lab", runner=runner)
