"""What a request means, by the rules of the site."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sge_recorded import recorded, site

from dynamiccluster.model.capacity import Capacity
from dynamiccluster.schedulers.sge.request_parse import Asked, Request, Rules, read_request
from dynamiccluster.schedulers.sge.site_parse import (
    ClusterQueue,
    Complex,
    Consumed,
    ParallelEnvironment,
    Site,
    parse_access_list,
    parse_complex_values,
    parse_complexes,
    parse_environment,
    parse_group,
    parse_group_tree,
    parse_queues,
)

SITE = site()
QUEUE = ClusterQueue("main", groups=frozenset({"@allhosts"}), environments=frozenset(SITE.environments))


def ask(site: Site = SITE, rules: Rules | None = None, **asked: object) -> Request:
    return read_request(Asked(**{"queues": ("main",)} | asked), site, rules or Rules())  # type: ignore[arg-type]  # tests know them


def with_queue(**changes: object) -> Site:
    return replace(SITE, queues={"main": replace(QUEUE, **changes)})  # type: ignore[arg-type]  # as above


def with_complex(*lines: Complex) -> Site:
    return replace(SITE, complexes={**SITE.complexes, **{line.name: line for line in lines}})


# -- parallel environments ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "slots", "text", "cores", "chunks", "distinct"),
    [
        ("", 1, "", 1, 1, False),
        ("smp", 6, "6", 6, 1, False),
        ("smp", 2, "2-8", 2, 1, False),
        ("fill", 6, "6", 1, 6, False),
        ("rr", 3, "3-5", 1, 3, False),
        ("per2", 6, "6", 2, 3, True),
        ("per2", 3, "3-9", 2, 2, True),  # the fewest that are a multiple
        ("per2", 1, "1-7", 2, 1, False),
        ("per2", 1, "-8", 2, 1, False),
        ("per8", 4, "4-", 8, 1, False),
        ("per2", 3, "3,6", 2, 3, True),
        ("per2", 2, "2", 2, 1, False),
        ("sm*", 4, "4", 4, 1, False),
        ("[fr]*", 4, "4", 1, 4, False),
    ],
)
def test_each_allocation_rule(environment: str, slots: int, text: str, cores: int, chunks: int, distinct: bool) -> None:
    request = ask(environment=environment, slots=slots, slot_range=text)
    shape = request.shape
    assert not request.hindrance
    assert (shape.chunk.cores, shape.chunks, shape.distinct) == (cores, chunks, distinct)
    assert shape.chunk.memory_mib == 100 * cores  # the default of h_vmem, for each slot
    assert request.slots == cores * chunks


@pytest.mark.parametrize(
    ("asked", "hindrance"),
    [
        ({"environment": "nope", "slots": 2}, "there is no parallel environment nope"),
        ({"environment": "per2", "slots": 3, "slot_range": "3"}, "no multiple of the 2 per host of per2"),
        ({"environment": "per8", "slots": 1, "slot_range": "1-7"}, "no multiple"),
        ({"queues": ("nosuch",)}, "there is no queue nosuch"),
        ({"queues": ("nosuch", "x*")}, "there is no queue nosuch,x*"),
        ({"resources": (("nothing", "1"),)}, "asks for nothing, which Grid Engine does not know"),
        ({"resources": (("nowhere", "1"),)}, "asks for nowhere=1, which no resource gives"),
        ({"resources": (("h_rt", "86401"),)}, "no queue takes it (main: jobs of at most 86400 s)"),
        ({"queues": ("physics",)}, "no queue takes it (physics: other projects)"),
        ({"queues": ("physics",), "project": "chem"}, "other projects"),
    ],
)
def test_what_no_new_node_would_change(asked: dict[str, object], hindrance: str) -> None:
    assert hindrance in ask(**asked).hindrance


def test_an_environment_must_be_one_of_the_queue() -> None:
    request = ask(with_queue(environments=frozenset({"fill"})), environment="smp", slots=2)
    assert "no queue that takes it has the parallel environment smp" in request.hindrance
    request = ask(with_queue(environments=frozenset({"fill"})), environment="*", slots=2)
    assert (request.hindrance, request.shape.chunks) == ("", 2)


def test_an_environment_has_slots_for_all_of_its_jobs_together() -> None:
    few = replace(SITE, environments={"smp": ParallelEnvironment("smp", one_host=True, slots=4)})
    assert ask(few, environment="smp", slots=4).draws == (("pe:smp", 4.0),)
    assert "smp has 4 slots" in ask(few, environment="smp", slots=5).hindrance


# -- queues ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("queues", "expected"),
    [
        (("main",), ("main",)),
        (("main", "long"), ("long", "main")),
        (("m*",), ("main",)),
        (("*@@allhosts",), ("long", "main")),
        (("main@*",), ("main",)),
        (("main@n1", "long"), ("long", "main")),
        ((), ("long", "main")),  # not that of a project which the job has not
    ],
)
def test_queues_by_name_and_pattern(queues: tuple[str, ...], expected: tuple[str, ...]) -> None:
    request = ask(rules=Rules(everywhere=frozenset({"@allhosts"})), queues=queues)
    assert (request.hindrance, request.shape.queues) == ("", expected)
    assert not request.shape.hosts
    assert not request.shape.features


def test_a_place_is_asked_for_besides_the_queue() -> None:
    assert ask(queues=("main@n1", "long@n2")).shape.hosts == ("n1", "n2")
    request = ask(rules=Rules(everywhere=frozenset({"@allhosts"})), queues=("*@@big", "main@@huge"))
    assert request.shape.features == (("@big", "@huge"),)
    assert not request.shape.hosts


def test_a_queue_that_resources_are_reserved_for_is_for_jobs_that_ask_for_it() -> None:
    rules = Rules(reserved_queues=frozenset({"long"}))
    assert ask(rules=rules, queues=()).shape.queues == ("main",)
    assert ask(rules=rules, queues=("long",)).shape.queues == ("long",)
    assert ask(rules=rules, queues=("*",)).shape.queues == ("long", "main")
    only = Rules(reserved_queues=frozenset({"long", "main"}))
    assert ask(rules=only, queues=()).shape.queues == ("long", "main")


def test_queues_have_their_own_ideas_of_jobs() -> None:
    assert (
        "at most 1000 MiB h_vmem"
        in ask(with_queue(most_mib={"h_vmem": 1000.0}), resources=(("h_vmem", "2G"),)).hindrance
    )
    assert not ask(with_queue(most_mib={"h_vmem": 2048.0}), resources=(("h_vmem", "2G"),)).hindrance
    assert not ask(with_queue(most_mib={"s_rss": 10.0}), resources=(("h_vmem", "2G"),)).hindrance
    assert "not for project p" in ask(with_queue(not_projects=frozenset({"p"})), project="p").hindrance
    assert not ask(with_queue(not_projects=frozenset({"p"}))).hindrance
    assert ask(resources=(("qname", "long"),), queues=()).shape.queues == ("long",)


def test_queues_let_in_users() -> None:
    lists = {"staff": frozenset({"alice"}), "groups": frozenset({"bob", "@students"})}
    closed = replace(with_queue(users=frozenset({"staff"})), access_lists=lists)
    assert not ask(closed, user="alice").hindrance
    assert "other users" in ask(closed, user="bob").hindrance
    unclear = replace(with_queue(users=frozenset({"groups"})), access_lists=lists)
    assert not ask(unclear, user="carol").hindrance  # she may be a student
    banned = replace(with_queue(not_users=frozenset({"staff", "groups"})), access_lists=lists)
    assert "not for user alice" in ask(banned, user="alice").hindrance
    assert not ask(banned, user="carol").hindrance


# -- attributes --------------------------------------------------------------------------------------------


def test_memory_is_counted_as_it_is_used_up() -> None:
    per_slot = ask(environment="smp", slots=4, resources=(("h_vmem", "1.5G"),))
    assert per_slot.shape.chunk == Capacity(4, 6144)
    spread = ask(environment="fill", slots=4, resources=(("h_vmem", "1G"), ("mem_free", "3G")))
    assert (spread.shape.chunk, spread.shape.memory_per_host_mib) == (Capacity(1, 1024), 2048)
    same = ask(resources=(("h_vmem", "2G"), ("mem_free", "1G")))
    assert same.shape.chunk == Capacity(1, 2048)
    decimal = ask(resources=(("h_vmem", "1g"),))
    assert decimal.shape.chunk.memory_mib == 954
    per_job = with_complex(Complex("h_vmem", "MEMORY", "<=", "YES", Consumed.PER_JOB, "0"))
    assert ask(per_job, environment="smp", slots=4, resources=(("h_vmem", "4G"),)).shape.chunk == Capacity(4, 4096)
    only_a_limit = with_complex(Complex("h_vmem", "MEMORY", "<=", "YES", Consumed.NOT, "0"))
    assert ask(only_a_limit, resources=(("h_vmem", "4G"),)).shape.chunk == Capacity(1, 0)


def test_gpus_times_and_whole_hosts() -> None:
    assert ask(environment="smp", slots=2, resources=(("gpu", "1"),)).shape.chunk.gpus == 2
    per_job = with_complex(Complex("gpu", "INT", "<=", "YES", Consumed.PER_JOB, "0"))
    assert ask(per_job, environment="per2", slots=4, resources=(("gpu", "4"),)).shape.chunk.gpus == 2
    assert ask(resources=(("h_rt", "3600"), ("s_rt", "0:50:00"))).shape.walltime_s == 3000
    whole = with_complex(Complex("exclusive", "BOOL", "EXCL", "YES", Consumed.PER_SLOT, "0"))
    assert ask(whole, resources=(("exclusive", "TRUE"),)).shape.exclusive
    assert not ask(whole, resources=(("exclusive", "FALSE"),)).shape.exclusive


def test_properties_and_what_every_host_has() -> None:
    request = ask(
        resources=(("fast", "TRUE"), ("bigmem", "FALSE"), ("lane1", "1"), ("arch", "lx-*"), ("num_proc", "8"))
    )
    assert (request.hindrance, request.shape.features) == ("", (("fast",), ("lane1",)))


@pytest.mark.parametrize(
    ("value", "hosts", "features"),
    [
        ("n1", ("n1",), ()),
        ("static*", ("static*",), ()),
        ("small-*", (), (("resource:small",),)),
        ("*", (), (("resource:small", "resource:big"),)),
        ("small-00000000", ("small-00000000",), ()),
        ("!n1", (), ()),
        ("!(n1|n2)", (), ()),
    ],
)
def test_hosts_by_name(value: str, hosts: tuple[str, ...], features: tuple[tuple[str, ...], ...]) -> None:
    rules = Rules(names={"small-00000000": "resource:small", "big-00000000": "resource:big"})
    shape = ask(rules=rules, resources=(("hostname", value),)).shape
    assert (shape.hosts, shape.features) == (hosts, features)


def test_what_the_cluster_shares() -> None:
    rules = Rules(given={"matlab": 2.0})
    assert ask(rules=rules, environment="smp", slots=3, resources=(("matlab", "1"),)).draws == (
        ("matlab", 3.0),
        ("pe:smp", 3.0),
    )
    per_job = with_complex(Complex("matlab", "INT", "<=", "YES", Consumed.PER_JOB, "0"))
    assert ask(per_job, rules, environment="smp", slots=3, resources=(("matlab", "1"),)).draws[0] == ("matlab", 1.0)
    fixed = with_complex(Complex("matlab", "INT", "<=", "YES", Consumed.NOT, "0"))
    assert "the cluster has 2" in ask(fixed, rules, resources=(("matlab", "3"),)).hindrance
    assert not ask(fixed, rules, resources=(("matlab", "2"),)).hindrance
    assert not ask(with_queue(gives=frozenset({"nowhere"})), resources=(("nowhere", "1"),)).hindrance


# -- the site ----------------------------------------------------------------------------------------------


def test_the_recorded_queues() -> None:
    queues = SITE.queues
    assert set(queues) == {"main", "long", "physics"}
    assert queues["main"].longest_s == 86400
    assert queues["physics"].projects == {"physics"}
    assert queues["main"].groups == {"@allhosts"}
    assert queues["main"].slots["small-1"] == 4
    assert queues["main"].slots["sgemaster"] == 0
    assert queues["main"].hosts == {"sgemaster"}
    assert not queues["main"].mentions
    assert SITE.queues_of_group("@allhosts") == ["long", "main"]
    assert SITE.queues_of_group("@physics") == ["physics"]


def test_queues_differ_by_host_and_group() -> None:
    text = (
        "qname q\nseq_no 5,[@a=1]\nhostlist @a n1\npe_list smp fill,[@a=mpi]\nslots 1,[n1=4],[@a=2]\n"
        "h_rt 1:00:00,[n1=INFINITY]\nh_vmem 1G,[n1=4G]\nprojects p1,[@a=p2]\nxprojects NONE,[n2=p3]\n"
        "user_lists NONE\ncomplex_values licence=1,[n1=scratch=5]\nprolog NONE,[n3=/bin/true]\n"
        "\nqname r\nseq_no 1\nhostlist NONE\nprojects NONE,[n1=p2]\nslots 8 \\\n   ,[n9=1]\n"
    )
    queues = parse_queues(text)
    assert list(queues) == ["r", "q"]
    one = queues["q"]
    assert one.environments == {"smp", "fill", "mpi"}
    assert one.slots == {"n1": 4}
    assert one.longest_s == 0
    assert one.most_mib == {"h_vmem": 4096.0}
    assert one.projects == {"p1", "p2"}
    assert not one.not_projects
    assert one.gives == {"licence", "scratch"}
    assert one.mentions == {"n1", "n2", "n3"}
    assert not queues["r"].projects
    assert queues["r"].slots == {"n9": 1}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smp", ParallelEnvironment("smp", one_host=True, slots=9999)),
        ("fill", ParallelEnvironment("fill", slots=9999)),
        ("rr", ParallelEnvironment("rr", slots=9999)),
        ("two", ParallelEnvironment("two", slots_per_host=2, slots=9999)),
    ],
)
def test_the_recorded_environments(name: str, expected: ParallelEnvironment) -> None:
    assert parse_environment(name, recorded(f"qconf-sp_{name}.txt")) == expected


def test_the_documented_command_prints_the_rule_alone() -> None:
    assert parse_environment("x", "$pe_slots\n") == ParallelEnvironment("x", one_host=True)
    assert parse_environment("x", "8\n").slots_per_host == 8
    for text in ("", "0", "$other", "error: no such"):
        with pytest.raises(ValueError, match="allocation rule"):
            parse_environment("x", text)


def test_other_lists() -> None:
    assert parse_complexes(recorded("qconf-sc.txt"))["vf"].name == "virtual_free"
    assert parse_complexes(recorded("ours_qconf-sc.txt"))["h_vmem"].consumed is Consumed.PER_SLOT
    with pytest.raises(ValueError, match="no attribute"):
        parse_complexes("#name shortcut\n")
    assert parse_group_tree("@all\n   @sub\n      n1\n   n2\n") == (
        frozenset({"@all", "@sub"}),
        frozenset({"n1", "n2"}),
    )
    assert "small-1" in parse_group(recorded("ours_qconf-shgrp.txt"))
    assert parse_group("group_name @g\nhostlist NONE\n") == frozenset()
    assert parse_access_list(recorded("ours_qconf-su.txt")) == frozenset()
    assert parse_access_list("name x\nentries alice,@staff, bob\n") == {"alice", "@staff", "bob"}
    values = parse_complex_values(recorded("ours_qconf-se.txt"))
    assert values["slots"] == "4"
    assert values["dynamiccluster"].endswith("dynamiccluster:contract:n1")
    assert parse_complex_values("hostname x\ncomplex_values NONE\n") == {}
