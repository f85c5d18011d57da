"""The contract of clouds on site scripts, and what only they can do wrong."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from cloud_suite import RESOURCE, CloudSuite, Harness, specs
from pydantic import ValidationError

from dynamiccluster.clouds.command.adapter import CommandCloud, Parameters, Scripts
from dynamiccluster.clouds.userdata import UserData
from dynamiccluster.config.schema_cloud_command import MOST_LAUNCH_S, CommandConfig
from dynamiccluster.engine.actuator import TIME_LIMIT_S
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    CapacityError,
    DynamicClusterError,
    QuotaError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.kit.runner import SubprocessRunner
from dynamiccluster.model.action import ActionKind
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import InstanceState
from dynamiccluster.model.offer import NoticeKind
from dynamiccluster.testing.runner import Call, FakeRunner

SITE = Path(__file__).with_name("command_site.py")
VERBS = ("list", "launch", "terminate", "offers", "console")


class CommandHarness:
    def __init__(self, directory: Path, idempotent: bool) -> None:
        self.state = directory / "machines.json"

        def cloud(cluster_id: str) -> CommandCloud:
            known = {"small": Parameters({"repeatable": "yes"} if idempotent else {})}
            commands = [(sys.executable, "-S", str(SITE), str(self.state), verb) for verb in VERBS]
            scripts = Scripts(*commands)
            return CommandCloud(
                SubprocessRunner(),
                SystemClock(),
                cluster_id,
                "t",
                scripts,
                known,
                idempotent=idempotent,
            )

        self.cloud = cloud("ours")
        self.other = cloud("theirs")

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class TestCommand(CloudSuite):
    @pytest.fixture(params=[True, False], ids=["repeatable", "launches not repeatable"])
    def harness(self, request: pytest.FixtureRequest, tmp_path: Path) -> Harness:
        return CommandHarness(tmp_path, request.param)


def test_sizes_and_prices_come_with_the_list(tmp_path: Path) -> None:
    (offer,) = CommandHarness(tmp_path, idempotent=False).cloud.list_instances().offers
    assert (offer.resource, offer.capacity, offer.price_per_hour) == ("small", Capacity(8, 16000), 0.1)


def test_a_lost_answer_is_an_unknown_outcome_and_the_machine_is_found(tmp_path: Path) -> None:
    harness = CommandHarness(tmp_path, idempotent=False)
    harness.state.with_suffix(".fault").write_text("launch:")
    with pytest.raises(UnknownOutcomeError):
        harness.cloud.launch("launch-1", RESOURCE, specs("small-a"))
    (instance,) = harness.cloud.list_instances().instances
    assert (instance.launch_id, instance.node_id) == ("launch-1", "id-small-a")


# -- what scripts say wrong, on a runner that starts nothing -------------------------------------------


def cloud_that_hears(runner: FakeRunner, user_data: UserData | None = None) -> CommandCloud:
    scripts = Scripts(*((verb,) for verb in VERBS))
    return CommandCloud(runner, SystemClock(), "ours", "t", scripts, {"small": Parameters({}, user_data)})


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("transient", TransientError),
        ("throttled", ThrottledError),
        ("capacity", CapacityError),
        ("quota", QuotaError),
        ("auth", AuthError),
        ("bad-config", BadConfigError),
        ("unknown-outcome", UnknownOutcomeError),
    ],
)
@pytest.mark.parametrize("returncode", [0, 1])
def test_errors_are_what_the_script_says(word: str, kind: type[DynamicClusterError], returncode: int) -> None:
    runner = FakeRunner()
    runner.on(["launch"], json.dumps({"error": {"class": word, "message": "sorry"}}), returncode=returncode)
    with pytest.raises(kind, match="sorry"):
        cloud_that_hears(runner).launch("l", RESOURCE, specs("small-a"))


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"class": "timeout", "message": "sorry"}},
        {"error": {"class": "unknown_outcome", "message": "sorry"}},
        {"error": {"class": ["quota"], "message": "sorry"}},
        {"error": {"message": "sorry"}},
        {"error": "sorry"},
        {"error": {"class": "capacity", "message": "sorry"}, "instances": [{"id": "a"}]},
    ],
)
def test_only_a_plain_refusal_is_one(answer: dict[str, object]) -> None:
    """What is launched again after an error that nobody understands may be there twice."""
    runner = FakeRunner()
    runner.on(["launch"], json.dumps(answer), returncode=1)
    runner.on(["list"], json.dumps(answer), returncode=1)
    with pytest.raises(UnknownOutcomeError, match="sorry"):
        cloud_that_hears(runner).launch("l", RESOURCE, specs("small-a"))
    with pytest.raises(TransientError, match="sorry"):
        cloud_that_hears(runner).list_instances()


@pytest.mark.parametrize("kind", ["quota", "capacity"])
def test_a_refusal_beside_an_empty_list_is_one(kind: str) -> None:
    runner = FakeRunner()
    runner.on(["launch"], json.dumps({"error": {"class": kind, "message": "sorry"}, "instances": []}))
    with pytest.raises((QuotaError, CapacityError), match="sorry"):
        cloud_that_hears(runner).launch("l", RESOURCE, specs("small-a"))


@pytest.mark.parametrize(
    "text",
    ["", "oops", "[]", "{}", '{"instances": [{"id": 7}]}', '{"instances": 3}', '{"instances": [], "strangers": NaN}'],
)
def test_an_answer_that_says_nothing_is_lost_for_launches_and_a_failed_poll_for_lists(text: str) -> None:
    runner = FakeRunner()
    runner.on(["launch"], text)
    runner.on(["list"], text)
    runner.on(["offers"], '{"offers": []}')
    with pytest.raises(UnknownOutcomeError):
        cloud_that_hears(runner).launch("l", RESOURCE, specs("small-a"))
    with pytest.raises(TransientError):
        cloud_that_hears(runner).list_instances()


def test_one_odd_machine_makes_no_list_complete() -> None:
    runner = FakeRunner()
    runner.on(["list"], '{"instances": [{"id": "a", "state": "active"}, {"state": "active"}]}')
    with pytest.raises(TransientError, match="no `id`"):
        cloud_that_hears(runner).list_instances()


def test_foreign_words_counts_and_notices_are_understood() -> None:
    runner = FakeRunner()
    document = {
        "instances": [
            {"id": "a", "state": "rebooting", "cluster_id": "ours"},
            {"id": "b", "state": "active", "cluster_id": "theirs"},
            {"id": "c", "state": "gone"},
        ],
        "strangers": 5,
        "quota": {"max_cores": 100, "used_cores": 12},
        "notices": [{"id": "a", "kind": "reclaim", "due_at": 5.0}, {"id": "a", "kind": "flood"}],
    }
    runner.on(["list"], json.dumps(document))
    runner.on(["offers"], TransientError("later"))
    view = cloud_that_hears(runner).list_instances()
    assert [instance.state for instance in view.instances] == [InstanceState.UNKNOWN]
    assert (view.strangers, view.quota.used_instances) == (6, 7)
    assert (view.quota.max_cores, view.quota.used_cores, view.quota.max_instances) == (100, 12, None)
    assert [(notice.instance_id, notice.kind) for notice in view.notices] == [("a", NoticeKind.RECLAIM)]
    assert view.offers == ()


def test_scripts_are_told_everything_on_standard_input_and_nothing_on_the_command_line(tmp_path: Path) -> None:
    template = tmp_path / "user.sh"
    template.write_text("join {{ values.key }} {{ host_name }}")
    runner = FakeRunner()
    runner.on(["launch"], '{"instances": [{"id": "a"}]}')
    cloud_that_hears(runner, UserData(str(template), "ours", {"key": "s3cret"})).launch("l", RESOURCE, specs("small-a"))
    (call,) = runner.calls
    assert call.argv == ("launch",)
    told = json.loads(call.stdin or "")
    assert (told["protocol"], told["verb"], told["cluster_id"], told["tenancy"]) == (1, "launch", "ours", "t")
    assert told["nodes"] == [{"node_id": "id-small-a", "host_name": "small-a", "user_data": "join s3cret small-a"}]
    assert (told["resource"]["name"], told["resource"]["cores"]) == ("small", 2)


@pytest.mark.parametrize("ends", ["with an answer", "with an error"])
def test_one_launch_does_not_run_twice_at_once(ends: str) -> None:
    """The engine takes a launch of 180 s for lost, and repeats it where the script says that it may."""
    runner, asked = FakeRunner(), []

    def slow(call: Call) -> str:
        launch_id = json.loads(call.stdin or "")["launch_id"]
        asked.append(launch_id)
        if launch_id == "l1" and len(asked) == 1:
            with pytest.raises(UnknownOutcomeError, match="still runs"):
                cloud.launch("l1", RESOURCE, specs("small-a"))
            assert len(cloud.launch("l2", RESOURCE, specs("small-b"))) == 1
            if ends == "with an error":
                raise TransientError("sorry")
        return '{"instances": [{"id": "a"}]}'

    runner.on(["launch"], slow)
    cloud = cloud_that_hears(runner)
    if ends == "with an error":
        with pytest.raises(TransientError):
            cloud.launch("l1", RESOURCE, specs("small-a"))
    else:
        cloud.launch("l1", RESOURCE, specs("small-a"))
    assert asked == ["l1", "l2"]
    assert len(cloud.launch("l1", RESOURCE, specs("small-a"))) == 1


def test_a_launch_script_ends_before_the_engine_takes_it_for_lost() -> None:
    commands = dict.fromkeys(("list_command", "launch_command", "terminate_command"), "/bin/true")
    most = MOST_LAUNCH_S
    assert most < TIME_LIMIT_S[ActionKind.LAUNCH]
    assert CommandConfig.model_validate({**commands}).launch_timeout_s <= most
    assert CommandConfig.model_validate({**commands, "launch_timeout_s": most}).launch_timeout_s == most
    with pytest.raises(ValidationError, match="launch_timeout_s"):
        CommandConfig.model_validate({**commands, "launch_timeout_s": most + 1})


def test_a_missing_script_is_a_matter_of_configuration() -> None:
    with pytest.raises(BadConfigError):
        cloud_that_hears(FakeRunner()).launch("l", RESOURCE, specs("small-a"))


def test_nothing_to_terminate_asks_nobody() -> None:
    runner = FakeRunner()
    cloud_that_hears(runner).terminate([])
    assert not runner.calls
