"""Resource requirement strings, and the shapes that come of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.schedulers.lsf.record import Request
from dynamiccluster.schedulers.lsf.resreq_parse import Requirement, mib, parse_resreq
from dynamiccluster.schedulers.lsf.shape_parse import UNREADABLE, Rules, parse_shape


def words(*clauses: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(clause.split()) for clause in clauses)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Requirement()),
        ("select[gpu]", Requirement(words("gpu"))),
        ("bigmem", Requirement(words("bigmem"))),
        ("select[cloudhost] span[hosts=1]", Requirement(words("cloudhost"), one_host=True)),
        ("select[bigmem] rusage[mem=512]", Requirement(words("bigmem"), mem_mib=512)),
        ("select[mem>900000]", Requirement(least_mem_mib=900_000)),
        ("select[type == local] order[r15s:pg] span[ptile=4] ", Requirement(ptile=4)),
        (
            "select[(cloudhost) && (type == local)] order[r15s:pg] rusage[mem=2048.00] span[ptile=8] ",
            Requirement(words("cloudhost"), mem_mib=2048, ptile=8),
        ),
        ("select[type == any] same[type:model] cu[pref=minavail]", Requirement()),
        ("select[type==X86_64 && model==EPYC]", Requirement(words("X86_64", "EPYC"))),
        ("select[a && b && a]", Requirement(words("a", "b"))),
        ("select[a || b]", Requirement(words("a b"))),
        ("select[a || (b && c)]", Requirement(words("a b", "a c"))),
        ("mem>100 && (a||b&&c)", Requirement(words("a b", "a c"), least_mem_mib=100)),
        ("select[mem>100 || fast]", Requirement()),
        ("select[!gpu && fast]", Requirement(words("fast"))),
        ("select[!(mem>100)]", Requirement()),
        ("select[(swp+mem)>100 && !gpu && hname==cn01]", Requirement(hosts=frozenset({"cn01"}))),
        ("select[hname==cn01 || hname==cn02]", Requirement()),
        ("select[defined(fast) && ncpus>=4 && maxmem>=2G]", Requirement(words("fast"), least_mem_mib=2048)),
        ("select[fast==1 && tmp>500 && ut<0.5]", Requirement(words("fast"))),
        ("select[type=='NTX64']", Requirement(words("NTX64"))),
        ("select[-1 < mem*2]", Requirement()),
        ("rusage[mem=2GB/task:duration=5, swp=3]", Requirement(mem_mib=2048, mem_per="task")),
        ("rusage[swp=50:mem=100:duration=10]", Requirement(mem_mib=100)),
        ("rusage[mem=(500 300):duration=(1 2),ngpus_physical=2.00]", Requirement(mem_mib=500, gpus=2)),
        ("rusage[mem=100||swp=5]", Requirement(mem_mib=100)),
        ("rusage[scratch=10]", Requirement()),
        ("span[block=4]", Requirement(block=4)),
        ("span[ptile='!',Intel:8]", Requirement()),
        ("span[hosts=-1]", Requirement()),
        ("{select[a] rusage[mem=1]} || {select[b]}", Requirement(words("a"), mem_mib=1)),
        ("2*{select[a] span[hosts=1]}+1*{select[b]}", Requirement(words("a"), one_host=True)),
    ],
)
def test_what_a_string_asks_for(text: str, wanted: Requirement) -> None:
    assert parse_resreq(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "select[a && (b]",
        "select[a",
        "select[a b]",
        "select[a &&]",
        "select[)]",
        "select[a] nonsense",
        "select[$(reboot)]",
        "select[<x>]",
        "{select[a]",
        "select[defined(a]",
        "rusage[mem=lots]",
        "(" * 60 + "a" + ")" * 60,
        "||".join(f"(a{i} && b{i})" for i in range(9)),
        "a" * 20_000,
    ],
)
def test_what_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_resreq(text)


@given(st.text(alphabet="ab1()[]{}<>=!&|+-*/'\" \nmem:,", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert parse_resreq(text) == parse_resreq(text)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - either is right, a crash is not


@pytest.mark.parametrize("text", ["!" * 9000 + "a", "(" * 40 + "a" + ")" * 40, "a" + "+b" * 4000 + ">1"])
def test_deep_strings_end_soon(text: str) -> None:
    assert parse_resreq(text).least_mem_mib == 0


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("2048.00", "M", 2048),
        ("1.5", "M", 2),
        ("2GB", "M", 2048),
        ("2g", "M", 2048),
        ("100K", "M", 1),
        ("1T", "M", 1_048_576),
        ("1048576", "K", 1024),
        ("4", "G", 4096),
        ("24105M", "M", 24_105),
        ("23.5G", "M", 24_064),
    ],
)
def test_amounts_of_memory(text: str, unit: str, amount: int) -> None:
    assert mib(text, unit) == amount


def request(slots: str = "", resreq: str = "", **changes: object) -> Request:
    plain = Request("main", "proj", slots, resreq, False, (), "")
    return plain._replace(**changes)  # type: ignore[arg-type]  # names of its fields


@pytest.mark.parametrize(
    ("slots", "resreq", "cores", "chunks", "distinct"),
    [
        ("", "", 1, 1, False),
        ("4", "", 1, 4, False),
        ("2-8", "", 1, 2, False),
        ("4", "span[hosts=1]", 4, 1, False),
        ("8", "span[ptile=4]", 4, 2, True),
        ("9", "span[ptile=4]", 4, 3, True),
        ("3", "span[ptile=4]", 3, 1, False),
        ("8", "span[ptile=1]", 1, 8, True),
        ("8", "span[block=4]", 4, 2, False),
    ],
)
def test_slots_and_span(slots: str, resreq: str, cores: int, chunks: int, distinct: bool) -> None:
    shape = parse_shape(request(slots, resreq), Rules())
    assert (shape.chunk.cores, shape.chunks, shape.distinct) == (cores, chunks, distinct)


@pytest.mark.parametrize(
    ("slots", "resreq", "per_slot", "piece_mib", "per_host_mib"),
    [
        ("1", "rusage[mem=100]", False, 100, 0),
        ("4", "rusage[mem=100]", False, 0, 100),  # once on every host, wherever its slots are
        ("4", "rusage[mem=100]", True, 100, 0),
        ("4", "rusage[mem=100/task]", False, 100, 0),
        ("4", "rusage[mem=100/host]", True, 0, 100),
        ("4", "rusage[mem=100/job]", False, 25, 0),
        ("4", "rusage[mem=100] span[hosts=1]", False, 100, 0),
        ("4", "rusage[mem=100] span[hosts=1]", True, 400, 0),
        ("8", "rusage[mem=100] span[ptile=4]", False, 100, 0),
        ("8", "rusage[mem=100] span[ptile=4]", True, 400, 0),
        ("1", "select[mem>500] rusage[mem=100]", False, 500, 0),
        ("4", "select[mem>500] rusage[mem=100]", True, 100, 400),
        ("4", "select[mem>500]", False, 0, 500),
    ],
)
def test_memory(slots: str, resreq: str, per_slot: bool, piece_mib: int, per_host_mib: int) -> None:
    shape = parse_shape(request(slots, resreq), Rules(per_slot=per_slot))
    assert (shape.chunk.memory_mib, shape.memory_per_host_mib) == (piece_mib, per_host_mib)


def test_the_unit_of_the_site() -> None:
    assert parse_shape(request("", "rusage[mem=4]"), Rules(unit="G")).chunk.memory_mib == 4096


def test_words_that_decide_nothing_are_left_out() -> None:
    rules = Rules(everywhere=frozenset({"cs"}))
    shape = parse_shape(request("", "select[queue_main && cs && fast && (big || cs)]"), rules)
    assert shape.features == (("fast",),)
    assert shape.queues == ("main",)
    assert shape.account == "proj"


def test_a_requirement_that_nobody_understands_gets_no_node() -> None:
    shape = parse_shape(request("", "select[a &&]"), Rules())
    assert shape.features[0][0].startswith(UNREADABLE)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (("cn01",), ("cn01",)),
        (("cn01+2", "hn01"), ("cn01", "hn01")),
        (("cn01", "others"), ()),
        (("cloudgroup",), ()),
        ((), ()),
    ],
)
def test_hosts_and_groups(asked: tuple[str, ...], wanted: tuple[str, ...]) -> None:
    assert parse_shape(request(hosts=asked), Rules(), {"cn01", "hn01"}).hosts == wanted


def test_the_rest_of_a_request() -> None:
    shape = parse_shape(request("2", "rusage[ngpus=1]", exclusive=True, run_limit_min="1440.0"), Rules())
    assert (shape.exclusive, shape.walltime_s, shape.chunk.gpus) == (True, 86_400, 1)
    assert parse_shape(request(gpus="2"), Rules()).chunk == Capacity(1, 0, 2)
    with pytest.raises(ValueError, match="slots"):
        parse_shape(request("0"), Rules())
    assert parse_shape(request("9" * 30), Rules()).chunks > 1 << 40  # refused by the planner, not here
