"""Requirements as people write them and as submit completes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamiccluster.schedulers.htcondor.requirements_parse import (
    Requirements,
    evaluable,
    gpu_type,
    parse_requirements,
)

SUBMIT = (
    '(TARGET.Arch == "X86_64") && (TARGET.OpSys == "LINUX") && (TARGET.Disk >= RequestDisk) && '
    "(TARGET.Memory >= RequestMemory) && (TARGET.Cpus >= RequestCpus) && (TARGET.GPUs >= RequestGPUs) && "
    "(TARGET.HasFileTransfer)"
)
DEFERRED = (
    "TARGET.HasJobDeferral && (((time() + ScheddInterval) >= (DeferralTime - DeferralPrepTime)) && "
    "(time() < (DeferralTime + DeferralWindow)))"
)


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "TRUE",
        SUBMIT,
        f"({SUBMIT}) && {DEFERRED}",
        "((TARGET.HasFileTransfer) || (TARGET.FileSystemDomain == MY.FileSystemDomain))",
        "(countMatches(MY.RequireGPUs,TARGET.AvailableGPUs) >= RequestGPUs)",
    ],
)
def test_what_goes_without_saying(text: str) -> None:
    assert parse_requirements(text) == Requirements()


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("BigMem", (("BigMem",),)),
        ("TARGET.BigMem", (("BigMem",),)),
        ("((TARGET.BigMem is true))", (("BigMem",),)),
        ("BigMem =?= True && Fast == true", (("BigMem",), ("Fast",))),
        ('VMType =?= "Centos7"', (("VMType=Centos7",),)),
        ('"Centos7" == TARGET.VMType', (("VMType=Centos7",),)),
        ('VMType is "a" || VMType is "b" || Any', (("VMType=a", "VMType=b", "Any"),)),
        (f"(A && (B && (C))) && {SUBMIT}", (("A",), ("B",), ("C",))),
        ('X == "y && z"', (("X=y && z",),)),
        ('TARGET.Arch == "AARCH64"', (("Arch=AARCH64",),)),
        ("A && A", (("A",),)),
    ],
)
def test_words_that_a_machine_must_have(text: str, groups: tuple[tuple[str, ...], ...]) -> None:
    assert parse_requirements(text) == Requirements(groups)


@pytest.mark.parametrize(
    "text",
    [
        "!Slow",
        "A || (B && C)",
        "A || B && C",
        "KernelVersion > 5",
        "x ? a : b",
        "stringListMember(Machine, Good)",
        'Machine =!= "wn-1"',
        "false",
        "undefined",
        "HasFileTransfer == false",
        "TARGET.FileSystemDomain == MY.FileSystemDomain",
        "MY.Special",
        "A && (B",
        'A == "x',
        "",
    ],
)
def test_what_is_not_understood_is_named(text: str) -> None:
    assert parse_requirements(f"({text}) && Known").unknown or parse_requirements(text).unknown


def test_a_known_term_counts_beside_an_unknown_one() -> None:
    assert parse_requirements("Known && Memory * 2 > 5") == Requirements((("Known",),), unknown=("Memory * 2 > 5",))


def test_hosts_and_sizes() -> None:
    found = parse_requirements('(Machine == "a.x" || TARGET.Machine == "b.x") && Memory > 10 && Cpus >= 3 && Disk >= 9')
    assert found == Requirements(hosts=("a.x", "b.x"), memory_mib=11, cores=3, disk_kib=9)
    assert parse_requirements('Name == "slot1@a.x"').hosts == ("a.x",)


@pytest.mark.parametrize(
    ("text", "kind"),
    [('DeviceName == "Tesla V100"', "Tesla_V100"), ("Capability > 7", None), ('DeviceName == "a" && X', None)],
)
def test_kinds_of_gpus(text: str, kind: str | None) -> None:
    assert gpu_type(text) == kind


def test_long_and_deep_texts_are_not_given_to_a_library() -> None:
    assert evaluable("Memory * 2 > 5")
    assert not evaluable("(" * 100 + "x" + ")" * 100)
    assert not evaluable("x" * 5000)
    assert not evaluable("a(((")


@given(st.text(alphabet="ab&|()\"'\\=?! .<>", max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    parse_requirements(text)
    gpu_type(text)
