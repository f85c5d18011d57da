"""X-Spot's ``config.toml``: every key of the vendor's guide is honoured, or said to be without effect, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynamiccluster.config.xspot_toml import DEFAULT_SPOT_TYPES, KEYS, Use, duration_s, parse

DOCS = Path(__file__).parents[2] / "docs"

HONOURED: list[tuple[str, str, str, str, Any]] = [
    ("scheduler", "booting_timeout", "5", "booting_timeout", 300.0),
    ("scheduler", "booting_timeout", '"90s"', "booting_timeout", 90.0),
    ("scheduler", "try_spot_period", "15", "try_spot_period", 15.0),
    ("scheduler", "try_spot_period", "-1", "try_spot_period", -1.0),
    ("scheduler", "spot_delay_period", "60", "spot_delay_period", 60.0),
    ("scheduler", "idle_time", "2", "idle_time", 120.0),
    ("scheduler", "discount_aws", "7", "discount_aws", 7.0),
    ("scheduler", "discount_aws", '"12%"', "discount_aws", 12.0),
    ("scheduler", "hyperthreading_disabled", "true", "hyperthreading", False),
    ("scheduler", "hyperthreading_disabled", '"off"', "hyperthreading", True),
    ("aws", "ami", '"ami-1"', "image_id", "ami-1"),
    ("aws", "security_groups", '["sg-1", "sg-2"]', "security_groups", ("sg-1", "sg-2")),
    ("aws", "key_name", '"admin"', "key_name", "admin"),
    ("aws", "subnet_id", '"subnet-1"', "subnet_id", "subnet-1"),
    ("aws", "instance_tags", '{Name = "worker"}', "tags", {"Name": "worker"}),
    ("aws", "volume_tags", '{backup = "no"}', "volume_tags", {"backup": "no"}),
    ("worker", "on_demand_types", '["m5:1"]', "on_demand_types", ("m5:1",)),
    ("worker", "spot_fleet_types", '["r5.large"]', "spot_fleet_types", ("r5.large",)),
    ("worker", "spot_allocation_strategy", '"diversified"', "spot_allocation_strategy", "diversified"),
    ("worker", "on_demand_allocation_strategy", '"lowest-price"', "on_demand_allocation_strategy", "lowest-price"),
]

WITHOUT_EFFECT: list[tuple[str, str, str]] = [
    ("scheduler", "scheduler_enabled", "true"),
    ("scheduler", "evacuation_threshold", "35"),
    ("scheduler", "port", "24002"),
    ("scheduler", "log_file", '"stdout"'),
    ("scheduler", "log_level", '"info"'),
    ("scheduler", "advisor_service", '"https://advisor.example.org"'),
    ("scheduler", "advisor_level", '"default"'),
    ("scheduler", "advisor_frequency", "300"),
    ("scheduler", "http_proxy", '"http://proxy.example.org:3128"'),
    ("scheduler", "dashboard_frequency", "1"),
    ("aws", "ssm_region", '"us-east-1"'),
    ("aws", "inherit_instance_tags", "true"),
    ("aws", "inherit_volume_tags", "true"),
    ("worker", "dom0_memory", "2048"),
    ("worker", "default_container_cpu", "1"),
    ("worker", "default_container_mem", "2048"),
    ("network", "overlay_prefix", '"192.168.137."'),
    ("network", "mtu", "8900"),
    ("exo", "worker_grpc_port", "1235"),
    ("exo", "shared_mount_source", '"localhost"'),
    ("exo", "shared_mount_type", '"nfs"'),
    ("exo", "shared_mount_options", '"hard"'),
    ("exo", "enable_balloon", "true"),
    ("exo.master", "log_file", '"stdout"'),
    ("exo.master", "log_level", '"debug"'),
    ("exo.master", "shared_mount_point", '"/run/xspot/share"'),
    ("exo.master", "crash_timeout", "2"),
    ("exo.worker", "log_file", '"stdout"'),
    ("exo.worker", "log_level", '"debug"'),
    ("exo.worker", "shared_mount_point", '"/run/xspot/share"'),
    ("exo.worker", "enable_debug", "true"),
    ("exo.worker", "enable_vifroute", "true"),
    ("exo.worker", "virt_mode", '"auto"'),
    ("exo.worker", "cpu_pin", "true"),
    ("exo.worker", "cpuid", '"host,htt=0"'),
    ("exo.worker", "scratch_type", '"ebs"'),
    ("exo.worker", "scratch_caching", "true"),
    ("license", "key", '"x-spot-metering"'),
]

REFUSED = [("aws", "ssm_root", '"/xspot"')]


def text(section: str, name: str, value: str) -> str:
    return f"[{section}]\n{name} = {value}\n"


def test_these_tables_have_every_key_that_the_code_knows() -> None:
    assert {(key.section, key.name) for key in KEYS if key.use is Use.HONOURED} == {row[:2] for row in HONOURED}
    assert {(key.section, key.name) for key in KEYS if key.use is Use.IGNORED} == {row[:2] for row in WITHOUT_EFFECT}
    assert {(key.section, key.name) for key in KEYS if key.use is Use.REFUSED} == {row[:2] for row in REFUSED}


@pytest.mark.parametrize(("section", "name", "written", "ours", "value"), HONOURED)
def test_a_key_that_is_honoured(section: str, name: str, written: str, ours: str, value: Any) -> None:
    made = parse(text(section, name, written))
    assert made.values[ours] == value
    assert not made.problems
    assert not any(f"[{section}] {name}:" in notice and "no effect" in notice for notice in made.notices)


@pytest.mark.parametrize(("section", "name", "written"), WITHOUT_EFFECT)
def test_a_key_without_effect_is_named_in_a_notice(section: str, name: str, written: str) -> None:
    made = parse(text(section, name, written))
    (notice, *_) = made.notices
    assert notice.startswith(f"line 2: [{section}] {name}: has no effect: ")
    assert not made.problems
    assert written.strip('"') not in notice or written in ("true", "1", "2")


@pytest.mark.parametrize(("section", "name", "written"), REFUSED)
def test_a_key_that_would_change_what_the_file_means_is_refused(section: str, name: str, written: str) -> None:
    (problem,) = parse(text(section, name, written)).problems
    assert problem.startswith(f"line 2: [{section}] {name}: ")


@pytest.mark.parametrize(
    "written",
    [
        "[scheduler]\nscheduler_enabled = false",
        '[scheduler]\nadvisor_service = "off"',
        '[aws]\nssm_root = ""\nsubnet_id = ""\nkey_name = ""\nsecurity_groups = []',
        "[exo]\nenable_balloon = false",
    ],
)
def test_what_means_what_happens_anyway_needs_no_notice(written: str) -> None:
    made = parse(written)
    assert not made.problems
    assert len(made.notices) == 1, "only that spot_fleet_types has its default"
    assert set(made.values) == {"spot_fleet_types"}


def test_spot_types_have_the_default_of_the_guide_and_a_notice_says_so() -> None:
    made = parse("")
    assert made.values["spot_fleet_types"] == DEFAULT_SPOT_TYPES
    assert "spot_fleet_types" in made.notices[0]


def test_text_without_quotes_as_the_vendor_prints_it_gets_a_remedy() -> None:
    (problem,) = parse('[aws]\nami = "ami-1"\n\n[aws.instance_tags]\nName = xspot-worker\n').problems
    assert problem == 'line 5: is not TOML: text needs quotes, Name = "..."'


def test_other_faults_of_the_text_name_their_line_and_no_value() -> None:
    (problem,) = parse('[license]\nkey = "secret-key\n').problems
    assert problem.startswith("line 2: is not TOML: ")
    assert "secret" not in problem


def test_unknown_keys_and_sections_are_refused_with_what_was_probably_meant() -> None:
    made = parse("[scheduler]\nidle_tiem = 2\n[wroker]\nmtu = 1\n[aws]\nmtu = 9\n")
    assert made.problems == [
        "line 2: [scheduler] idle_tiem: is not a key of X-Spot; did you mean idle_time?",
        "line 4: [wroker] mtu: X-Spot has no such section; did you mean [worker]?",
        "line 6: [aws] mtu: is not a key of X-Spot; it belongs to [network]",
    ]


@pytest.mark.parametrize(
    ("section", "name", "written"),
    [
        ("scheduler", "idle_time", '"soon"'),
        ("scheduler", "idle_time", "true"),
        ("scheduler", "discount_aws", "101"),
        ("scheduler", "discount_aws", '"x%"'),
        ("scheduler", "hyperthreading_disabled", '"perhaps"'),
        ("scheduler", "port", '"24002"'),
        ("aws", "ami", "7"),
        ("aws", "security_groups", '"sg-1"'),
        ("aws", "instance_tags", "{Name = 7}"),
        ("worker", "on_demand_types", "[1]"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(section: str, name: str, written: str) -> None:
    (problem,) = parse(text(section, name, written)).problems
    assert problem.startswith(f"line 2: [{section}] {name}: ")


@pytest.mark.parametrize(
    ("value", "unit_s", "seconds"),
    [(5, 60, 300), (0.5, 60, 30), ("5", 60, 300), ("1h30m", 60, 5400), ("250ms", 1, 0.25), (-1, 60, -1), ("-1", 1, -1)],
)
def test_times(value: Any, unit_s: float, seconds: float) -> None:
    assert duration_s(value, unit_s) == seconds


def test_hostile_names_stay_on_their_line() -> None:
    (problem,) = parse('[scheduler]\n"a\\nb" = 1\n').problems
    assert "\n" not in problem


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.section}.{key.name}")
def test_each_key_has_its_row_in_the_docs(key: Any) -> None:
    lines = (DOCS / "clouds" / "xspot.md").read_text("utf-8").splitlines()
    (row,) = [
        line for line in lines if line.startswith("|") and f"`[{key.section}]`" in line and f"`{key.name}`" in line
    ]
    assert row.split("|")[3].strip() == key.use
