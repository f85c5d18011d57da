"""The keys of the ``cloud:`` section for menus: resources that are one of many EC2 machine types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from dynamiccluster.config.fields import FilePath, Money, Says, Seconds, Text, Texts, base_directory
from dynamiccluster.config.schema_cloud_aws import Ec2Config
from dynamiccluster.config.schema_cloud_common import ResourceSection
from dynamiccluster.config.schema_cluster_common import lower
from dynamiccluster.config.xspot_toml import MINUTE_S, SECOND_S, Parsed, duration_s, parse
from dynamiccluster.model.menu import CAPACITY_AWARE, OnDemandStrategy, SpotStrategy

_KIND = re.compile(r"([a-z][a-z0-9-]*)(?:\.([a-z0-9-]+))?(?::(\d{1,4}))?")


def kind_of(text: str) -> tuple[str, int]:
    """``c5a``, ``c5a.large`` or either with ``:PRIORITY``: a pattern of type names (``c5a.*``), and the priority.

    :raises ValueError: it is none of them.
    """
    found = _KIND.fullmatch(text)
    if not found:
        raise ValueError("is not TYPE or FAMILY with an optional :PRIORITY of 0 to 9999")
    return f"{found[1]}.{found[2] or '*'}", int(found[3] or 0)


def _kinds(value: tuple[str, ...]) -> tuple[str, ...]:
    patterns = [kind_of(text)[0] for text in value]
    if len(set(patterns)) < len(patterns):
        raise ValueError("names a type or family twice")
    return value


Kinds = Annotated[
    Texts, AfterValidator(_kinds), Says("a list of machine types or families, each with an optional :PRIORITY")
]


def _minutes(value: Any) -> Any:
    return value if value is None else duration_s(value, MINUTE_S)


def _seconds(value: Any) -> Any:
    return value if value is None else duration_s(value, SECOND_S)


Minutes = Annotated[Seconds, BeforeValidator(_minutes), Says("minutes, or a time like 90s")]
SecondsOrNever = Annotated[float, BeforeValidator(_seconds), Says("seconds, or a time like 1m30s; -1 for never")]


class XspotConfig(Ec2Config):
    """A menu of Amazon EC2's machines: for each demand the type, zone and market are chosen that suit it best.

    Keys of X-Spot's `config.toml` are read from it where `config_file` names it; what stands here wins.
    """

    config_file: FilePath | None = Field(
        None,
        description="X-Spot's `config.toml`. Each of its keys is honoured, or a notice says why it has no effect "
        "(docs/clouds/xspot.md).",
        examples=["/etc/xspot/config.toml"],
    )
    image_id: Text = Field(
        description="The AMI: its id, its name, or a tag as `KEY/VALUE`; of several the newest. `ami` in config.toml.",
        examples=["ami-0123456789abcdef0"],
    )
    on_demand_types: Kinds = Field(
        (),
        description="Machine types, or whole families, to launch on demand. `:PRIORITY` (0 to 9999, the bigger the "
        "better) says which are preferred.",
        examples=[["c5a:3", "m5a.2xlarge:2"]],
    )
    spot_fleet_types: Kinds = Field(
        (), description="The same for spot instances, which are tried first.", examples=[["c5a", "m5a", "r5a"]]
    )
    spot_allocation_strategy: SpotStrategy = Field(
        SpotStrategy.CAPACITY_OPTIMIZED, description="Which of the spot offers that suit is taken."
    )
    on_demand_allocation_strategy: OnDemandStrategy = Field(
        OnDemandStrategy.PRIORITIZED, description="Which of the on-demand offers that suit is taken."
    )
    try_spot_period: SecondsOrNever = Field(
        15.0, description="Seconds for which spot is tried before waiting jobs get on-demand nodes. -1: never spot."
    )
    spot_delay_period: SecondsOrNever = Field(
        60.0,
        description="Age in seconds from which a spot node counts as stable; one that is taken away earlier speaks "
        "against its offer. 0: the default. -1: from the start.",
    )
    booting_timeout: Minutes | None = Field(
        None,
        description="Minutes until a machine that does not run is given up and another one tried. `timers: boot_s` "
        "of the resource wins. Default with a config.toml: 5.",
        examples=[5],
    )
    idle_time: Minutes | None = Field(
        None,
        description="Minutes after which an idle node is removed. `timers: idle_s` of the resource wins. Default with "
        "a config.toml: 2.",
        examples=[2],
    )
    launch_by: Literal["fleet", "instances"] | None = Field(
        None,
        description="How spot instances are asked for. `fleet`: several offers that do as well are named in one "
        "request (CreateFleet), of which EC2 takes what the strategy wants; with a strategy that minds capacity, and "
        "without `launch_template` and `hyperthreading: false`. `instances`: one offer at a time (RunInstances). "
        "Default: `fleet` where it can be and is permitted.",
        examples=["fleet"],
    )
    availability_zones: Texts = Field(
        (), description="Only these zones. Default: those of the subnets, else all.", examples=[["us-east-1b"]]
    )
    spot_bid: Money | None = Field(
        None, description="The most to pay per hour for a spot instance. Default: its on-demand price.", examples=[0.4]
    )
    prices: dict[Text, Money] = Field(
        default_factory=dict,
        description="On-demand prices per hour, by machine type. They win over `pricing_file`; else AWS is asked.",
        examples=[{"m5.xlarge": 0.192}],
    )
    pricing_file: FilePath | None = Field(
        None,
        description='On-demand prices as JSON, as X-Spot keeps them: `{"m5.xlarge": {"ondemand": 0.192}}`.',
        examples=["/etc/xspot/aws-pricing/us-east-1.json"],
    )
    discount_aws: Annotated[float, Field(ge=0, le=100), Says("percent, 0 to 100")] = Field(
        0.0, description="Percent that AWS takes off the on-demand prices of its list, and of `pricing_file`."
    )
    volume_tags: dict[Text, Text] = Field(
        default_factory=dict, description="More tags, of volumes alone.", examples=[{"backup": "no"}]
    )

    @model_validator(mode="before")
    @classmethod
    def _with_toml(cls, data: Any, info: ValidationInfo) -> Any:
        """The values of the file, under those that stand in the configuration itself."""
        if not isinstance(data, dict) or not isinstance(data.get("config_file"), str):
            return data
        parsed = read_toml(str(base_directory(info) / data["config_file"]))
        if parsed.problems:
            file = Path(data["config_file"]).name
            raise ValueError("; ".join(f"{file} {problem}" for problem in parsed.problems))
        return _as_keys(parsed.values) | data

    @model_validator(mode="after")
    def _not_empty(self) -> XspotConfig:
        if not self.on_demand_types and not self.spot_fleet_types:
            raise ValueError("names no machines: on_demand_types, spot_fleet_types or both")
        return self


_IN_MINUTES_S = {"booting_timeout": 300.0, "idle_time": 120.0}
"""Keys that a plain number gives in minutes, and the file's defaults for them in seconds."""


def _as_keys(values: dict[str, Any]) -> dict[str, Any]:
    """Values in seconds as the keys of ``config:`` have them."""
    return values | {key: f"{values.get(key, default_s)}s" for key, default_s in _IN_MINUTES_S.items()}


def read_toml(file: str) -> Parsed:
    """The file's values; that it cannot be read is one of its problems."""
    try:
        return parse(Path(file).read_text("utf-8"))
    except OSError as error:
        return Parsed(problems=[f"cannot be read: {error.strerror or 'no such file'}"])
    except ValueError:
        return Parsed(problems=["is not UTF-8 text"])


class XspotResource(ResourceSection):
    """One of many types of instance of Amazon EC2, chosen for each demand."""

    type: Annotated[Literal["xspot"], BeforeValidator(lower)] = Field(description="The type of the cloud.")
    config: XspotConfig = Field(description="Its keys.")


def xspot_findings(item: XspotResource) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What such a resource may not have: place below it, what is wrong, what was expected."""
    if item.capacity.cores or item.capacity.memory_mib or item.capacity.gpus:
        yield ("capacity",), "is given, but the machines of a menu differ: EC2 tells the size of each", "no such key"
    if item.price_per_hour:
        yield ("price_per_hour",), "is given, but the machines of a menu differ: see prices", "no such key"
    if item.offering:
        yield ("offering",), "is given, but each machine type of a menu is an offering of its own", "no such key"
    if item.config.launch_by == "fleet":
        for key, wanted in no_fleet_for(item.config):
            yield ("config", "launch_by"), f"is fleet, which does not go with this {key}", wanted
    if set(item.config.availability_zones) - set(item.config.subnets) and item.config.subnets:
        yield ("config", "availability_zones"), "names a zone that has no subnet", "zones of `subnets`"


def no_fleet_for(config: XspotConfig) -> Iterator[tuple[str, str]]:
    """Each key for whose sake spot instances cannot be asked for by a fleet, and what it would have to be."""
    if config.spot_allocation_strategy not in CAPACITY_AWARE:
        yield "spot_allocation_strategy", f"one of {', '.join(sorted(CAPACITY_AWARE))}"
    if config.launch_template is not None:
        yield "launch_template", "none: a fleet has one of the service's own"
    if not config.hyperthreading:
        yield "hyperthreading", "true: the cores of each type would have to be named"


def xspot_remarks(config: XspotConfig) -> Iterator[tuple[str, str]]:
    """Key, and what its operator should know about it: what of the file has no effect is among it."""
    if config.config_file:
        for notice in read_toml(config.config_file).notices:
            yield "config_file", f"{Path(config.config_file).name} {notice}"
        theirs = {"security_groups": True, "key_name": True, "subnet_id": not config.subnets}
        for key in [key for key, needed in theirs.items() if needed and not getattr(config, key)]:
            yield key, "is not given: X-Spot would take its controller's, here it is the account's default"
    if config.try_spot_period < 0 and not config.on_demand_types:
        yield "try_spot_period", "switches spot off, and there are no on_demand_types: nothing can be launched"
    if config.pricing_file and not Path(config.pricing_file).is_file():
        yield "pricing_file", "is not a file on this machine"
