"""``type: xspot`` from the file to the policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamiccluster.config.load import Loaded, load
from dynamiccluster.config.problems import ConfigProblems
from dynamiccluster.config.tenancies import places
from dynamiccluster.config.to_policy import cloud_kind
from dynamiccluster.model.menu import Menu, OnDemandStrategy, SpotStrategy

CONFIG: dict[str, Any] = {"region_name": "us-east-1", "image_id": "ami-1", "on_demand_types": ["c5a:2", "m5.large"]}
TOML = """
[scheduler]
booting_timeout = 4
try_spot_period = 20
idle_time = 3
[aws]
ami = "Role/worker"
[worker]
on_demand_types = ["m5"]
spot_fleet_types = ["m5:1"]
spot_allocation_strategy = "lowest-price"
"""


def written(directory: Path, config: dict[str, Any], more: dict[str, Any] | None = None, **entry: Any) -> Path:
    menu = {"type": "xspot", "quantity": {"max": 9}, "config": config} | entry
    document = {
        "dynamic-cluster": {"cluster_id": "c"},
        "cluster": {"type": "slurm"},
        "cloud": {"menu": menu} | (more or {}),
    }
    path = directory / "c.yaml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path


def loaded(directory: Path, config: dict[str, Any], **entry: Any) -> Loaded:
    return load(written(directory, config, **entry))


def problems(directory: Path, config: dict[str, Any], **entry: Any) -> list[str]:
    with pytest.raises(ConfigProblems) as caught:
        load(written(directory, config, **entry))
    return [f"{problem.key}: {problem.problem}" for problem in caught.value.problems]


def test_a_menu_has_no_size_and_no_price_of_its_own(tmp_path: Path) -> None:
    resource = loaded(tmp_path, CONFIG).policy.resources["menu"]
    assert (resource.capacity.cores, resource.price_per_hour, resource.offering) == (0, 0.0, "")
    assert resource.menu == Menu(try_spot_s=-1.0, on_demand=True), "no spot types, so never spot"
    assert resource.tenancy == "aws:us-east-1"


def test_the_toml_file_is_read_and_the_yaml_wins(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(TOML, "utf-8")
    config = {"region_name": "us-east-1", "config_file": "config.toml", "try_spot_period": "1m"}
    found = loaded(tmp_path, config)
    resource, keys = found.policy.resources["menu"], found.settings.cloud["menu"].config
    assert keys.image_id == "Role/worker"
    assert keys.spot_fleet_types == ("m5:1",)
    assert resource.menu == Menu(SpotStrategy.LOWEST_PRICE, OnDemandStrategy.PRIORITIZED, 60.0, 60.0, on_demand=True)
    assert (resource.timers.boot_s, resource.timers.idle_s) == (240.0, 180.0)


def test_a_resources_own_timers_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(TOML, "utf-8")
    config = {"region_name": "us-east-1", "config_file": "config.toml"}
    timers = loaded(tmp_path, config, timers={"idle_s": 7}).policy.resources["menu"].timers
    assert (timers.boot_s, timers.idle_s) == (240.0, 7.0)


def test_without_a_file_the_installations_timers_hold(tmp_path: Path) -> None:
    timers = loaded(tmp_path, CONFIG).policy.resources["menu"].timers
    assert (timers.boot_s, timers.idle_s) == (600.0, 600.0)


@pytest.mark.parametrize(("given", "settles"), [(-1, 0.0), (0, 60.0), (30, 30.0)])
def test_the_delay_of_spot_nodes(tmp_path: Path, given: float, settles: float) -> None:
    menu = loaded(tmp_path, CONFIG | {"spot_delay_period": given}).policy.resources["menu"].menu
    assert menu is not None
    assert menu.spot_settle_s == settles


def test_what_the_file_says_in_vain_is_a_notice(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(TOML + '[license]\nkey = "very-secret"\n', "utf-8")
    found = loaded(tmp_path, {"region_name": "us-east-1", "config_file": "config.toml"})
    (notice,) = [one for one in found.notices if one.key == "cloud.menu.config.config_file"]
    assert "[license] key: has no effect" in notice.text
    assert "very-secret" not in str(found.notices)


def test_faults_of_the_file_are_problems_that_name_it(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[aws.instance_tags]\nName = xspot-worker\n", "utf-8")
    (problem,) = problems(tmp_path, {"region_name": "us-east-1", "config_file": "config.toml"})
    assert 'config.toml line 2: is not TOML: text needs quotes, Name = "..."' in problem


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, CONFIG | {"config_file": "nowhere.toml"})
    assert "nowhere.toml cannot be read: No such file" in problem


@pytest.mark.parametrize(
    ("config", "entry", "said"),
    [
        (CONFIG | {"on_demand_types": []}, {}, "names no machines"),
        (CONFIG | {"on_demand_types": ["c5a:10000"]}, {}, "is not TYPE or FAMILY"),
        (CONFIG | {"on_demand_types": ["c5a:1", "c5a:2"]}, {}, "twice"),
        (CONFIG | {"spot_allocation_strategy": "cheapest"}, {}, "spot_allocation_strategy"),
        (CONFIG, {"capacity": {"cores": 4}}, "the machines of a menu differ"),
        (CONFIG, {"price_per_hour": 1.0}, "the machines of a menu differ"),
        (CONFIG, {"offering": "o"}, "an offering of its own"),
        (CONFIG, {"provisioning": "scheduler", "queues": ["q"], "capacity": {"cores": 1}}, "menu"),
        (CONFIG | {"subnets": {"us-east-1a": "s"}, "availability_zones": ["us-east-1b"]}, {}, "has no subnet"),
        (CONFIG | {"instance_type": "m5.large"}, {}, "instance_type"),
    ],
)
def test_what_a_menu_may_not_say(tmp_path: Path, config: dict[str, Any], entry: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in problems(tmp_path, config, **entry))


def test_menus_and_single_machines_of_one_account_are_one_tenancy(tmp_path: Path) -> None:
    single = {
        "type": "aws",
        "quantity": {"max": 1},
        "config": {"region_name": "us-east-1", "image_id": "ami-1", "instance_type": "m5.large"},
    }
    found = load(written(tmp_path, CONFIG, {"single": single}))
    assert {resource.tenancy for resource in found.policy.resources.values()} == {"aws:us-east-1"}
    assert places(found.settings) == {"aws:us-east-1": {"type": "aws", "region_name": "us-east-1"}}
    assert {cloud_kind(item) for item in found.settings.cloud.values()} == {"aws"}


def test_the_example_loads_without_a_notice() -> None:
    found = load(Path(__file__).parents[2] / "config" / "xspot.yaml")
    assert not found.notices
    menu = found.policy.resources["menu"].menu
    assert menu is not None
    assert menu.try_spot_s == 60.0


FLEET: dict[str, Any] = CONFIG | {"spot_fleet_types": ["c5a"], "launch_by": "fleet"}


def test_launches_by_fleet(tmp_path: Path) -> None:
    for config, expected in (
        (FLEET, True),
        (FLEET | {"spot_allocation_strategy": "price-capacity-optimized"}, True),
        (FLEET | {"launch_by": None}, True),
        (FLEET | {"launch_by": None, "spot_allocation_strategy": "diversified"}, False),
        (FLEET | {"launch_by": None, "hyperthreading": False}, False),
        (FLEET | {"launch_by": "instances"}, False),
    ):
        menu = loaded(tmp_path, config).policy.resources["menu"].menu
        assert menu is not None
        assert menu.fleet is expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("spot_allocation_strategy", "diversified"),
        ("launch_template", {"name": "mine"}),
        ("hyperthreading", False),
    ],
)
def test_what_does_not_go_with_fleets_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    assert problems(tmp_path, FLEET | {key: value}) == [
        f"cloud.menu.config.launch_by: is fleet, which does not go with this {key}"
    ]
