"""Cloud Scheduler's ``cloud_resources.conf`` and its job files, made into our own configuration. Pure text to document.

Keys as in Cloud Scheduler 1's public documentation. There a job names its image and machine type; here a resource has
one of each, so that every kind of job (``--job FILE``) makes one resource per cloud, with the words its jobs ask for.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dynamiccluster.errors import BadConfigError

TO_FILL_IN = "CHANGE-ME"
"""What stands for a value that neither file tells."""

ATTRIBUTES = ("VMType", "VMAMI", "VMImage", "VMInstanceType", "TargetClouds", "VMNetwork")
"""Attributes of a job that choose the resource. ``NAME=value`` is the word (feature) a resource must have for it."""

_TYPES = {"amazonec2": "aws", "openstack": "openstack", "openstacknative": "openstack"}
_SIZES = ("VMCPUCores", "VMMem", "VMKeepAlive", "VMMaximumPrice")
_ASKED = {name.lower(): name for name in (*ATTRIBUTES, *_SIZES)}
_LINE = re.compile(r"^\s*\+(\w+)\s*=\s*(.*?)\s*$", re.MULTILINE)
_PLAIN = re.compile(r"[^A-Za-z0-9-]+")

_CARRIED: Mapping[str, Mapping[str, str]] = {
    "openstack": {
        "username": "username",
        "tenant_name": "project",
        "auth_url": "auth_url",
        "key_name": "key_name",
        "placement_zone": "availability_zone",
        "user_domain_name": "user_domain_name",
        "project_domain_name": "project_domain_name",
    },
    "aws": {"key_name": "key_name", "placement_zone": "availability_zone"},
}
_SECRETS = {"openstack": ("password",), "aws": ("access_key_id", "secret_access_key")}
_WHO = {
    "openstack": ("username", "password", "project", "auth_url", "user_domain_name", "project_domain_name"),
    "aws": ("access_key_id", "secret_access_key"),
}
"""Keys of a tenancy, which all of its resources agree on."""

_UNDERSTOOD = {"cloud_type", "host", "enabled", "vm_slots", "priority", "vm_keep_alive", "boot_timeout", "regions"}
_UNDERSTOOD |= {"security_group", "max_vm_mem"}


@dataclass
class Imported:
    """``document`` for YAML; ``secrets``: file name -> text; ``notices``: what a person must know or do."""

    document: dict[str, Any]
    secrets: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    first: dict[tuple[str | None, ...], str] = field(default_factory=dict)  # account -> the cloud that named it first
    files: dict[tuple[str, str], str] = field(default_factory=dict)  # cloud and key -> the file with its secret


def parse_job(text: str) -> dict[str, str]:
    """The attributes of a submit file (``+VMAMI = "..."``) that choose and size a machine, in their usual spelling."""
    found = {}
    for name, value in _LINE.findall(text):
        known = _ASKED.get(name.lower())
        if known:
            found[known] = value.strip('"')
    return found


def convert(text: str, jobs: Iterable[Mapping[str, str]], secrets_dir: str, cluster_id: str) -> Imported:
    """Our configuration of these clouds for these kinds of job.

    ``text``: the content of ``cloud_resources.conf``. ``jobs``: from :func:`parse_job`. ``secrets_dir``: where the
    files with the secrets will be.

    :raises BadConfigError: the text is no such file.
    """
    parser = configparser.RawConfigParser(strict=True)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise BadConfigError(_without_text(error)) from None
    if not parser.sections():
        raise BadConfigError("there is no [cloud] in it")
    clouds = {name: dict(parser.items(name)) for name in parser.sections()}
    made = Imported({"dynamic-cluster": {"cluster_id": cluster_id}, "cluster": {"type": "htcondor"}, "cloud": {}})
    kinds = list({tuple(sorted(job.items())): dict(job) for job in jobs}.values()) or [{}]
    for name, keys in clouds.items():
        _cloud(made, name, keys, [kind for kind in kinds if _may_use(kind, name)], clouds, secrets_dir)
    if not made.document["cloud"]:
        raise BadConfigError("none of its clouds is of a type that we have: " + ", ".join(sorted(set(_TYPES))))
    return made


def _cloud(
    made: Imported,
    name: str,
    keys: dict[str, str],
    kinds: list[dict[str, str]],
    clouds: Mapping[str, object],
    secrets_dir: str,
) -> None:
    given = keys.get("cloud_type", "")
    kind = _TYPES.get(given.lower())
    if kind is None:
        made.notices.append(f"[{name}] is left out: there is no cloud of type {given or '(none)'!r} here")
        return
    known = _UNDERSTOOD | set(_CARRIED[kind]) | set(_SECRETS[kind])
    for key in sorted(set(keys) - known):
        made.notices.append(f"[{name}] {key}: not carried over")
    if not kinds:
        made.notices.append(f"[{name}] is left out: no job targets it")
        return
    config = _config(made, name, keys, kind, secrets_dir)
    tenancy = _tenancy(made, name, keys, kind, config)
    slots = _number(made, name, keys, "vm_slots", 0)
    if keys.get("enabled", "true").lower() in ("false", "no", "0"):
        made.notices.append(f"[{name}] was not enabled: its maximum is 0; set quantity: max: {slots} to use it")
        slots = 0
    for job in kinds:
        wanted = {attribute: _for_cloud(value, name, clouds) for attribute, value in job.items()}
        entry: dict[str, Any] = {
            "type": kind,
            "tenancy": tenancy,
            "priority": _number(made, name, keys, "priority", 0),
            "quantity": {"min": 0, "max": slots},
            "features": _words(wanted, name),
            "config": config | _machine(made, name, wanted, kind),
        }
        sizes = {"cores": _integer(wanted.get("VMCPUCores")), "memory_mib": _integer(wanted.get("VMMem"))}
        if any(sizes.values()):
            entry["capacity"] = {key: value for key, value in sizes.items() if value}
        timers = _timers(made, name, keys, wanted)
        if timers:
            entry["timers"] = timers
        made.document["cloud"][_free_name(made, name, wanted, single=len(kinds) == 1)] = entry


def _config(made: Imported, name: str, keys: dict[str, str], kind: str, secrets_dir: str) -> dict[str, Any]:
    config: dict[str, Any] = {ours: keys[theirs] for theirs, ours in _CARRIED[kind].items() if keys.get(theirs)}
    regions = [word.strip() for word in keys.get("regions", "").split(",") if word.strip()]
    if regions:
        config["region_name"] = regions[0]
        if len(regions) > 1:
            made.notices.append(f"[{name}] regions: only {regions[0]} is used; make an entry for each of the others")
    elif kind == "aws":
        config["region_name"] = TO_FILL_IN
        made.notices.append(f"[{name}] regions: say in which region (config: region_name)")
    groups = [word.strip() for word in keys.get("security_group", "").split(",") if word.strip()]
    if groups:
        config["security_groups"] = groups
    for secret in _SECRETS[kind]:
        if keys.get(secret):
            file = _file(made, name, secret)
            made.secrets[file] = keys[secret]
            config[secret] = {"from_file": f"{secrets_dir}/{file}"}
    return config


def _tenancy(made: Imported, name: str, keys: Mapping[str, str], kind: str, config: dict[str, Any]) -> str:
    """The cloud that named this account first, whose credentials are used for both.

    Of two tenancies of one account each would see, count and end the machines of the other.
    """
    account: tuple[str | None, ...]
    if kind == "aws":
        account = (kind, config["region_name"], keys.get("access_key_id"))
    else:
        whose = keys.get("project_domain_name") if keys.get("tenant_name") else keys.get("username")
        where = keys.get("auth_url", "").rstrip("/")
        account = (kind, config.get("region_name"), where, keys.get("tenant_name"), whose)
    tenancy = made.first.setdefault(account, name)
    if tenancy == name:
        return name
    theirs = next(entry["config"] for entry in made.document["cloud"].values() if entry["tenancy"] == tenancy)
    other = []
    for key in _WHO[kind]:
        mine, first = config.pop(key, None), theirs.get(key)
        if key in _SECRETS[kind]:
            mine, first = made.secrets.pop(_file(made, name, key), None), made.secrets.get(_file(made, tenancy, key))
        if mine != first:
            other.append(key)
        if key in theirs:
            config[key] = theirs[key]
    if other:
        made.notices.append(f"[{name}] {', '.join(other)}: those of [{tenancy}] are used, as both are one account")
    return tenancy


def _file(made: Imported, name: str, secret: str) -> str:
    """For a secret of a cloud, always the same, and no other's."""
    base = free = _PLAIN.sub("-", name)
    serial = 1
    while made.files.get((name, secret), "") != f"{free}.{secret}" and f"{free}.{secret}" in made.files.values():
        serial += 1
        free = f"{base}-{serial}"
    return made.files.setdefault((name, secret), f"{free}.{secret}")


def _machine(made: Imported, name: str, wanted: Mapping[str, str], kind: str) -> dict[str, Any]:
    """Image and type, which there come with the job."""
    image, size = wanted.get("VMAMI") or wanted.get("VMImage"), wanted.get("VMInstanceType")
    if not image:
        made.notices.append(f"[{name}] which image? Jobs say so there (+VMAMI): give --job FILE, or fill it in")
    if not size:
        made.notices.append(f"[{name}] which type of machine? (+VMInstanceType): give --job FILE, or fill it in")
    names = ("image_uuid", "flavor") if kind == "openstack" else ("image_id", "instance_type")
    found: dict[str, Any] = dict(zip(names, (image or TO_FILL_IN, size or TO_FILL_IN), strict=True))
    price = wanted.get("VMMaximumPrice", "")
    if kind == "aws" and re.fullmatch(r"\d+(\.\d+)?", price):
        found["spot_bid"] = float(price) / 100  # cents an hour
    return found


def _timers(made: Imported, name: str, keys: dict[str, str], wanted: Mapping[str, str]) -> dict[str, int]:
    minutes = _integer(wanted.get("VMKeepAlive")) or _number(made, name, keys, "vm_keep_alive", 0)
    boot_s = _number(made, name, keys, "boot_timeout", 0)
    found = {"idle_s": minutes * 60, "launch_s": boot_s}
    return {key: value for key, value in found.items() if value}


def _words(wanted: Mapping[str, str], name: str) -> list[str]:
    chosen = {key: value for key, value in wanted.items() if key in ATTRIBUTES and value}
    return sorted(f"{key}={value}" for key, value in (chosen | {"TargetClouds": name}).items())


def _may_use(job: Mapping[str, str], name: str) -> bool:
    targets = [word.strip() for word in job.get("TargetClouds", "").split(",") if word.strip()]
    return not targets or name in targets


def _for_cloud(value: str, name: str, clouds: Mapping[str, object]) -> str:
    """The part of ``cloud:value,cloud2:value,default`` that is for this cloud."""
    default = ""
    for part in (word.strip() for word in value.split(",")):
        cloud, colon, rest = part.partition(":")
        if colon and cloud in clouds:
            if cloud == name:
                return rest
        else:
            default = default or part
    return default


def _free_name(made: Imported, name: str, wanted: Mapping[str, str], *, single: bool) -> str:
    base = _PLAIN.sub("-", name).strip("-") or "cloud"
    if not single:
        base += "-" + (_PLAIN.sub("-", wanted.get("VMType") or wanted.get("VMInstanceType", "")).strip("-") or "other")
    free, serial = base, 1
    while free in made.document["cloud"]:
        serial += 1
        free = f"{base}-{serial}"
    return free


def _number(made: Imported, name: str, keys: Mapping[str, str], key: str, default: int) -> int:
    text = keys.get(key, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"\d{1,9}", text):
        notice = f"[{name}] {key}: {text!r} is not a number; {default} is used"
        if notice not in made.notices:
            made.notices.append(notice)
        return default
    return int(text)


def _integer(text: str | None) -> int:
    return int(text) if text and re.fullmatch(r"\d{1,9}", text) else 0


def _without_text(error: configparser.Error) -> str:
    """What is wrong and where, without the line itself: it may hold a secret."""
    line = getattr(error, "lineno", None) or next((number for number, _ in getattr(error, "errors", [])), None)
    where = f"line {line}: " if line else ""
    match error:
        case configparser.MissingSectionHeaderError():
            return f"{where}keys before the first [cloud]"
        case configparser.DuplicateSectionError():
            return f"{where}[{error.section}] is there twice"
        case configparser.DuplicateOptionError():
            return f"{where}[{error.section}] has {error.option} twice"
        case _:
            return f"{where}not KEY: VALUE"
