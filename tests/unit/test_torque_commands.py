"""The operator's commands: what is put into them, which shell sees what, and the guide's that do harm."""

from __future__ import annotations

import pytest

from dynamiccluster.config.schema_cluster_torque import TorqueConfig, torque_remarks
from dynamiccluster.errors import BadConfigError
from dynamiccluster.schedulers.torque.commands import (
    Commands,
    bulk_showres,
    filled,
    program,
    qstat_with,
    releaseres_program,
)

NEEDED = (("-x",), ("-t",))
GUIDE = {
    "qstat_command": "/usr/bin/qstat -x -t",
    "pbsnodes_command": "/usr/bin/pbsnodes {0} {1}",
    "add_node_command": '/usr/bin/qmgr -c "create node {0}"',
    "check_node_command": "/usr/bin/checknode {0}",
    "remove_node_command": '/usr/bin/qmgr -c "delete node {0}"',
    "set_node_command": '/usr/bin/qmgr -c "set node {0} {1} {2} {3}"',
    "diagnose_p_command": "/usr/bin/diagnose -p",
    "showres_command": "/usr/bin/showres -n | grep {0}",
    "setres_command": "/usr/bin/setres {0} {1} {2}",
    "releaseres_command": "/usr/bin/releaseres `/usr/bin/showres -n | grep User | grep {0} | grep {1} "
    "| awk '{{print $3}}' `",
    "delete_job_command": "/usr/bin/qdel -p {0}",
    "signal_job_command": "/usr/bin/qsig -s {0} {1}",
}
"""As the guide prints them."""


def test_the_guides_commands_are_accepted_and_its_harmful_ones_told() -> None:
    config = TorqueConfig(**GUIDE)  # type: ignore[arg-type]
    assert {key for key, _ in torque_remarks(config)} == {"showres_command", "releaseres_command"}
    assert list(torque_remarks(TorqueConfig())) == []
    Commands(**{key.removesuffix("_command"): text for key, text in GUIDE.items()})


def test_options_that_are_missing_are_added_and_told() -> None:
    config = TorqueConfig(qstat_command="/opt/bin/qstat -f")
    assert [key for key, _ in torque_remarks(config)] == ["qstat_command"]
    assert qstat_with(config.qstat_command, NEEDED) == ["/opt/bin/qstat", "-f", "-x", "-t"]
    assert qstat_with("qstat -xt", NEEDED) == ["qstat", "-xt"]
    assert qstat_with("qstat -x -t", (("-f",), ("-t",), ("-F", "json")), ["-x"]) == ["qstat", "-t", "-f", "-F", "json"]
    assert [key for key, _ in torque_remarks(TorqueConfig(qstat_command="qstat -x -t | cat"))] == ["qstat_command"]
    assert qstat_with("qstat -x -t | cat", NEEDED) == ["/bin/sh", "-c", "qstat -x -t | cat"]


def test_openpbs_has_another_meaning_for_x() -> None:
    config = TorqueConfig(dialect="openpbs", qstat_command="qstat -x")
    assert "last weeks" in next(text for _, text in torque_remarks(config))
    assert list(torque_remarks(TorqueConfig(dialect="openpbs"))) == []


def test_holds_and_shells_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="no pipe"):
        TorqueConfig(pbsnodes_command="pbsnodes {0} {1} | cat")


def test_a_word_that_is_a_placeholder_becomes_as_many_words_as_needed() -> None:
    assert filled("pbsnodes {0} {1}", ("-o", "-N", "a:b c"), "n1") == ["pbsnodes", "-o", "-N", "a:b c", "n1"]
    assert filled("pbsnodes {0} {1}", ("-N", ""), "n1") == ["pbsnodes", "-N", "", "n1"]
    assert filled("pbsnodes {0} {1}", ("-x",), "") == ["pbsnodes", "-x"]
    assert filled("qrerun {0} {1}", "", "4[7].head") == ["qrerun", "4[7].head"]


def test_words_of_qmgr_are_one_argument() -> None:
    argv = filled('qmgr -c "set node {0} {1} {2} {3}"', "n1", "properties", ("+=",), "big")
    assert argv == ["qmgr", "-c", "set node n1 properties += big"]
    assert filled('ssh head "qmgr -c {0} | cat"', "n1")[:2] == ["/bin/sh", "-c"]


def test_a_shell_is_given_operators_and_plain_words_only() -> None:
    shell = "qmgr -c 'set node {0} {1} {2} {3}' | tee /tmp/log"
    assert filled(shell, "n1", "np", ("=",), "4") == [
        "/bin/sh",
        "-c",
        "qmgr -c 'set node n1 np = 4' | tee /tmp/log",
    ]
    for bad in ("$(reboot)", "a b", "a;b", "a'b", "a|b"):
        with pytest.raises(BadConfigError):
            filled(shell, bad, "np", ("=",), "4")
        with pytest.raises(BadConfigError):
            filled(shell, "n1", "np", (bad,), "4")
        with pytest.raises(BadConfigError):
            filled("qmgr -c 'delete node {0}'", bad)
    with pytest.raises(BadConfigError, match="no value"):
        filled("x {2}", "a", "b")


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("/usr/bin/qstat -x -t", ["/usr/bin/qstat"]),
        ("sudo -n -u pbs /usr/bin/qstat -x -t", ["sudo", "-n", "-u", "pbs", "/usr/bin/qstat"]),
        ("qstat", ["qstat"]),
        ("qstat -x | cat", None),
    ],
)
def test_the_program_of_a_command(template: str, wanted: list[str] | None) -> None:
    assert program(template) == wanted


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ("/usr/bin/showres -n | grep {0}", ["/usr/bin/showres", "-n"]),
        ("/usr/bin/showres -n", ["/usr/bin/showres", "-n"]),
        ("/site/showres {0}", None),
        ("cat `ls` | grep {0}", None),
    ],
)
def test_the_bulk_form_of_showres(template: str, wanted: list[str] | None) -> None:
    assert bulk_showres(template) == wanted


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        (GUIDE["releaseres_command"], ["/usr/bin/releaseres"]),
        ("/usr/bin/releaseres", ["/usr/bin/releaseres"]),
        ("sudo -n releaseres", ["sudo", "-n", "releaseres"]),
        ("/site/release {0} {1}", None),
        ("release {0} | logger", None),
    ],
)
def test_the_command_that_ends_reservations(template: str, wanted: list[str] | None) -> None:
    assert releaseres_program(template) == wanted


def test_a_command_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(BadConfigError):
        Commands(qstat="qstat 'x")
    with pytest.raises(BadConfigError):
        Commands(add_node="")
