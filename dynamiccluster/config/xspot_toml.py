"""X-Spot's ``config.toml``: each of its keys, and what becomes of it here. Pure text to values.

Keys, units and defaults as in the vendor's public "Config.toml User Guide" (Exostellar-Labs/docs, February 2024).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

DEFAULT_SPOT_TYPES = ("m5.2xlarge", "m5n.2xlarge")
"""What the guide says ``spot_fleet_types`` is when the file does not have it."""

_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_GO_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
MINUTE_S, SECOND_S = 60.0, 1.0


class Use(StrEnum):
    """What becomes of a key."""

    HONOURED = "honoured"
    IGNORED = "notice"  # accepted; a notice says that, and why it does nothing
    REFUSED = "refused"  # what it asks for would change what the rest of the file means


@dataclass(frozen=True, slots=True)
class Key:
    """One key. ``read`` checks a value and gives it as our key ``ours`` has it."""

    section: str
    name: str
    use: Use
    read: Callable[[Any], Any]
    ours: str = ""  # the key of ``config:`` that it stands for
    why: str = ""  # of a key that is not honoured
    quiet: tuple[Any, ...] = ()  # values that mean what happens here anyway


@dataclass
class Parsed:
    """``values``: by our keys. ``problems``: why the file cannot be used; never a value, which may be a secret."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def parse(text: str) -> Parsed:
    """What a ``config.toml`` says."""
    made = Parsed()
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        made.problems.append(_not_toml(text, str(error)))
        return made
    for section, name, value in _flat(document):
        line = _line_of(text, section, name)
        place = f"[{section}] {name}".encode("unicode_escape").decode("ascii")
        where = f"line {line}: {place}" if line else place
        known = _BY_NAME.get((section, name))
        if known is None:
            made.problems.append(f"{where}: {_unknown(section, name)}")
            continue
        try:
            read = known.read(value)
        except ValueError as error:
            made.problems.append(f"{where}: {error}")
            continue
        if known.use is Use.HONOURED:
            if read is not None:
                made.values[known.ours] = read
        elif read not in known.quiet:
            said = made.problems if known.use is Use.REFUSED else made.notices
            said.append(f"{where}: {known.why}")
    if not made.problems and "spot_fleet_types" not in made.values:
        made.values["spot_fleet_types"] = DEFAULT_SPOT_TYPES
        made.notices.append(
            f"[worker] spot_fleet_types: is not there, so it is X-Spot's default, {' and '.join(DEFAULT_SPOT_TYPES)}"
        )
    return made


def duration_s(value: Any, unit_s: float) -> float:
    """Seconds of a number in units of ``unit_s``, or of text as Go writes it (``1m30s``). Negative: as it was.

    :raises ValueError: it is neither.
    """
    if isinstance(value, bool):
        raise ValueError("true or false is not a time")  # noqa: TRY004 - pydantic collects ValueError only
    if isinstance(value, int | float):
        return -1.0 if value < 0 else float(value) * unit_s
    text = str(value).strip()
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return duration_s(float(text), unit_s)
    parts = _GO_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        unit = "minutes" if unit_s == MINUTE_S else "seconds"
        raise ValueError(f"is neither a number of {unit} nor a time like 1m30s")
    return sum(float(number) * _GO_UNITS[unit] for number, unit in parts)


# -- kinds of value --------------------------------------------------------------------------------------------------


def _flag(value: Any) -> bool:
    words = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in words:
        raise ValueError("is not true or false")
    return words[str(value).lower()]


def _threads(value: Any) -> bool:
    """``hyperthreading_disabled``, the other way round."""
    return not _flag(value)


def _text(value: Any) -> str | None:
    """Text; "" stands for "as if it were not there", as the guide has it."""
    if not isinstance(value, str):
        raise ValueError("is not text")  # noqa: TRY004 - as above
    return value or None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")  # noqa: TRY004 - as above
    return float(value)


def _percent(value: Any) -> float:
    found = _number(float(value.rstrip("%")) if isinstance(value, str) and _is_percent(value) else value)
    if not 0 <= found <= 100:
        raise ValueError("is not from 0 to 100 percent")
    return found


def _is_percent(value: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?%?", value) is not None


def _texts(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError('is not a list of texts: ["one", "two"]')
    return tuple(value)


def _filled(value: Any) -> tuple[str, ...] | None:
    return _texts(value) or None


def _tags(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError('is not a table of texts: key = "value"')
    return dict(value)


def _any(value: Any) -> Any:
    return value


def _span(unit_s: float) -> Callable[[Any], float]:
    return lambda value: duration_s(value, unit_s)


# -- the table -------------------------------------------------------------------------------------------------------

_NO_MIGRATION = "jobs are not migrated from node to node here"
_NO_CONTROLLER = "there is no X-Spot controller here; the service's own log and port are in its own configuration"
_NO_ADVISOR = "there is no spot advisor here"
_NO_CONTAINERS = "jobs run on the nodes themselves, not in containers of X-Spot"
_NO_HYPERVISOR = "there is no hypervisor on the nodes"


def _ignored(section: str, names: str, read: Callable[[Any], Any], why: str, *quiet: Any) -> Iterator[Key]:
    for name in names.split():
        yield Key(section, name, Use.IGNORED, read, why=f"has no effect: {why}", quiet=quiet)


def _honoured(section: str, name: str, read: Callable[[Any], Any], ours: str = "") -> Key:
    return Key(section, name, Use.HONOURED, read, ours or name)


KEYS: tuple[Key, ...] = (
    *_ignored("scheduler", "scheduler_enabled", _flag, _NO_MIGRATION, False),
    *_ignored("scheduler", "evacuation_threshold", _span(MINUTE_S), _NO_MIGRATION),
    _honoured("scheduler", "booting_timeout", _span(MINUTE_S)),
    _honoured("scheduler", "try_spot_period", _span(SECOND_S)),
    _honoured("scheduler", "spot_delay_period", _span(SECOND_S)),
    _honoured("scheduler", "idle_time", _span(MINUTE_S)),
    *_ignored("scheduler", "port", _number, _NO_CONTROLLER),
    *_ignored("scheduler", "log_file log_level", _text, _NO_CONTROLLER),
    *_ignored("scheduler", "dashboard_frequency", _number, _NO_CONTROLLER),
    *_ignored("scheduler", "advisor_service", _text, _NO_ADVISOR, "off", None),
    *_ignored("scheduler", "advisor_level http_proxy", _text, _NO_ADVISOR, None),
    *_ignored("scheduler", "advisor_frequency", _number, _NO_ADVISOR),
    _honoured("scheduler", "discount_aws", _percent),
    _honoured("scheduler", "hyperthreading_disabled", _threads, "hyperthreading"),
    Key(
        "aws",
        "ssm_root",
        Use.REFUSED,
        _text,
        why="values of the parameter store would replace those of this file, and it is not asked here: write them into "
        "this file or into config:, and leave ssm_root empty",
        quiet=(None,),
    ),
    *_ignored("aws", "ssm_region", _text, "the parameter store is not asked", None),
    _honoured("aws", "ami", _text, "image_id"),
    _honoured("aws", "security_groups", _filled),
    _honoured("aws", "key_name", _text),
    _honoured("aws", "subnet_id", _text),
    *_ignored(
        "aws",
        "inherit_instance_tags inherit_volume_tags",
        _flag,
        "there is no controller whose tags could be taken; write them into this file",
        False,
    ),
    _honoured("aws", "instance_tags", _tags, "tags"),
    _honoured("aws", "volume_tags", _tags),
    _honoured("worker", "on_demand_types", _texts),
    _honoured("worker", "spot_fleet_types", _texts),
    _honoured("worker", "spot_allocation_strategy", _text),
    _honoured("worker", "on_demand_allocation_strategy", _text),
    *_ignored("worker", "dom0_memory", _number, _NO_HYPERVISOR, 0.0),
    *_ignored("worker", "default_container_cpu default_container_mem", _number, _NO_CONTAINERS),
    *_ignored("network", "overlay_prefix", _text, _NO_CONTAINERS),
    *_ignored("network", "mtu", _number, _NO_CONTAINERS),
    *_ignored("exo", "worker_grpc_port", _number, _NO_CONTROLLER),
    *_ignored("exo", "shared_mount_source", _text, "mount file systems in the user data", "none", None),
    *_ignored("exo", "shared_mount_type shared_mount_options", _text, "mount file systems in the user data", None),
    *_ignored("exo", "enable_balloon", _flag, _NO_HYPERVISOR, False),
    *_ignored("exo.master", "log_file log_level shared_mount_point", _text, _NO_CONTROLLER),
    *_ignored("exo.master", "crash_timeout", _span(MINUTE_S), "timers.down_s says when a node that is down goes"),
    *_ignored("exo.worker", "log_file log_level shared_mount_point", _text, _NO_CONTAINERS),
    *_ignored("exo.worker", "enable_debug enable_vifroute cpu_pin scratch_caching", _flag, _NO_HYPERVISOR, False),
    *_ignored("exo.worker", "virt_mode", _text, _NO_HYPERVISOR),
    *_ignored("exo.worker", "cpuid", _any, _NO_HYPERVISOR, []),
    *_ignored("exo.worker", "scratch_type", _text, _NO_HYPERVISOR, "none", None),
    *_ignored("license", "key", _text, "no licence is needed", None),
)
_BY_NAME: Mapping[tuple[str, str], Key] = {(key.section, key.name): key for key in KEYS}
_SECTIONS = frozenset(key.section for key in KEYS)
_TABLES = frozenset(f"{key.section}.{key.name}" for key in KEYS if key.read is _tags)


# -- the file --------------------------------------------------------------------------------------------------------


def _flat(table: Mapping[str, Any], section: str = "") -> Iterator[tuple[str, str, Any]]:
    """Section, key and value of everything in the file; tables of tags are one value."""
    for name, value in table.items():
        path = f"{section}.{name}" if section else name
        if isinstance(value, dict) and path not in _TABLES:
            yield from _flat(value, path)
        else:
            yield section, name, value


def _unknown(section: str, name: str) -> str:
    if section not in _SECTIONS:
        near = difflib.get_close_matches(section, _SECTIONS, 1)
        return "X-Spot has no such section" + (f"; did you mean [{near[0]}]?" if near else "")
    names = [key.name for key in KEYS if key.section == section]
    near = difflib.get_close_matches(name, names, 1)
    elsewhere = [key.section for key in KEYS if key.name == name]
    hint = f"; did you mean {near[0]}?" if near else f"; it belongs to [{elsewhere[0]}]" if elsewhere else ""
    return f"is not a key of X-Spot{hint}"


def _line_of(text: str, section: str, name: str) -> int:
    """The line of a key, from 1; 0 if it is written in some other way than ``[section]`` and ``name =``."""
    here = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
        if header:
            here = header.group(1)
            if here == f"{section}.{name}":
                return number
        elif here == section and re.match(rf'\s*"?{re.escape(name)}"?\s*=', line):
            return number
    return 0


def _not_toml(text: str, said: str) -> str:
    """What is wrong with the file, and the remedy for what the vendor's own guides print (text without quotes)."""
    place = re.search(r"\(at line (\d+), column \d+\)", said)
    if place is None:
        return f"is not TOML: {said}"
    number = int(place.group(1))
    lines = text.splitlines()
    bare = re.match(r'\s*([\w."-]+)\s*=\s*[^"\'\[{\s\d#]', lines[number - 1]) if number <= len(lines) else None
    if bare:
        return f'line {number}: is not TOML: text needs quotes, {bare.group(1)} = "..."'
    reason = said.partition(" (at line")[0]
    return f"line {number}: is not TOML: {reason[:1].lower()}{reason[1:]}"
