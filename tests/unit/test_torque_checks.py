"""``check-cluster`` on Torque: every command is tried, and nothing is changed by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torque_harness import TorqueHarness

from dynamiccluster.cli.check_cluster import tried
from dynamiccluster.config.schema_cluster_torque import TorqueConfig
from dynamiccluster.model.check import CheckState
from dynamiccluster.schedulers.torque.checks import checks


def config(**changes: Any) -> dict[str, Any]:
    return TorqueConfig(**changes).model_dump()


def results(torque: TorqueHarness, **changes: Any) -> dict[str, set[CheckState]]:
    found: dict[str, set[CheckState]] = {}
    for check in checks(config(**changes)):
        if not check.look_only:
            result = tried(check, torque.root, 10.0, 10.0)
            found.setdefault(check.key.rpartition(".")[2], set()).add(result.state)
    return found


def test_every_command_has_its_trial_and_none_changes_anything(tmp_path: Path) -> None:
    torque = TorqueHarness(tmp_path)
    torque.wait(15)
    torque.scheduler.poll()
    before = torque.place.read("state.json")
    assert set().union(*results(torque).values()) == {CheckState.OK}
    after = torque.place.read("state.json")
    assert before is not None
    assert after is not None
    assert {key: after[key] for key in ("nodes", "jobs", "queues")} == {
        key: before[key] for key in ("nodes", "jobs", "queues")
    }
    keys = {check.key.rpartition(".")[2] for check in checks(config())}
    assert keys == {key for key in config() if key.endswith("_command") and not key.startswith("post_")}


def test_a_user_who_may_not_is_told(tmp_path: Path) -> None:
    torque = TorqueHarness(tmp_path)
    torque.root.user = "alice"
    found = results(torque)
    assert found["set_node_command"] == {CheckState.DENIED}


def test_a_server_that_is_down_fails_and_a_missing_maui_need_not(tmp_path: Path) -> None:
    torque = TorqueHarness(tmp_path, "4.2.10.h2", "pbs_sched")
    torque.place.set_faults({"server": "down"})
    found = results(torque)
    assert found["qstat_command"] == {CheckState.FAILED}
    assert found["diagnose_p_command"] == {CheckState.MISSING}
    optional = {check.key.rpartition(".")[2] for check in checks(config()) if check.optional}
    assert {"diagnose_p_command", "showres_command", "setres_command", "check_job_command"} <= optional
    assert not {"qstat_command", "pbsnodes_command", "set_node_command"} & optional


def test_openpbs_is_tried_in_its_own_words() -> None:
    argvs = {check.argv for check in checks(config(dialect="openpbs"))}
    assert ("/usr/bin/qstat", "-t", "-f", "-F", "json") in argvs
    assert not any("diagnose" in argv[0] for argv in argvs)


@pytest.mark.parametrize("key", ["showres_command", "releaseres_command"])
def test_the_guides_commands_are_tried_as_they_are_used(key: str) -> None:
    guide = {
        "showres_command": "showres -n | grep {0}",
        "releaseres_command": "releaseres `showres -n | grep {0} | awk '{{print $3}}'`",
    }
    (check,) = [check for check in checks(config(**guide)) if check.key.endswith(key)]
    assert check.argv[0] == key.partition("_")[0]
