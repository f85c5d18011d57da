"""``xwo-config``: pools of equal machines, out of XWO's simplified configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dynamiccluster.cli import exits
from dynamiccluster.cli.text import clean, clean_lines

_NO_CREDENTIALS = (
    "Asking EC2 needs credentials that may do ec2:DescribeInstanceTypes (aws configure, AWS_PROFILE); or give --types "
    "FILE with what `aws ec2 describe-instance-types` printed elsewhere"
)
_OFFLINE = "Without EC2: --types FILE, with what `aws ec2 describe-instance-types` printed elsewhere"


@click.command("xwo-config", epilog=exits.TEXT)
@click.argument("alone", metavar="[FILE]", type=click.Path(exists=True, dir_okay=False), required=False)
@click.option(
    "-c",
    "--config",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="XWO's configuration; FILE alone means the same.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["slurm.conf", "json", "cloud"]),
    default="slurm.conf",
    show_default=True,
    help="Nodes and partitions for Slurm; profiles and pools as XWO's REST API has them; or our own cloud: section.",
)
@click.option(
    "--types",
    "types_file",
    type=click.Path(exists=True, dir_okay=False),
    help="What `aws ec2 describe-instance-types` printed, or --save wrote, instead of asking EC2.",
)
@click.option("--save", type=click.Path(dir_okay=False), help="Keep what EC2 said of the machine types in this file.")
@click.option("--region", help="Region to ask. [default: that of AvailabilityZone]")
@click.option("--endpoint-url", hidden=True, help="Where EC2 is asked.")
def xwo_config(
    alone: str | None,
    config: str | None,
    form: str,
    types_file: str | None,
    save: str | None,
    region: str | None,
    endpoint_url: str | None,
) -> None:
    """Print what comes of the machine types in FILE (slurm: Xwo:), grouped by cores and memory. Nothing is changed."""
    from dynamiccluster.config import xwo
    from dynamiccluster.config.xwo_text import as_cloud, as_json, slurm_conf
    from dynamiccluster.errors import AuthError, BadConfigError, DynamicClusterError

    if bool(alone) == bool(config):
        raise click.UsageError("name one file: dynamiccluster xwo-config -c FILE")
    file = alone or config or ""
    try:
        wanted = xwo.read(_text(file))
        region = region or (wanted.AvailabilityZone or "").rstrip("abcdefghijklmnopqrstuvwxyz")
        if types_file:
            described = _described(_text(types_file))
        else:
            described = _asked(xwo.patterns(wanted), region, endpoint_url)
            if save:
                Path(save).write_text(json.dumps({"InstanceTypes": described}, default=str), "utf-8")
        made = xwo.grouped(wanted, xwo.machines_of(described))
    except BadConfigError as error:
        raise exits.Failure(f"{clean(file)}: {clean_lines(str(error))}", exits.BAD_CONFIG) from error
    except AuthError as error:
        raise exits.Failure(f"{clean(error)}. {_NO_CREDENTIALS}", exits.FORBIDDEN) from error
    except DynamicClusterError as error:
        raise exits.Failure(f"{clean(error)}. {_OFFLINE}", exits.FAILED) from error
    notices = list(made.notices)
    match form:
        case "slurm.conf":
            text = slurm_conf(made)
        case "json":
            text = json.dumps(as_json(made), indent=2) + "\n"
        case _:
            import yaml

            section, lost = as_cloud(made, region or "CHANGE-ME")
            notices += lost
            text = yaml.safe_dump({"cloud": section}, sort_keys=False)
    click.echo(clean_lines(text), nl=False)
    for notice in notices:
        click.echo(clean(notice), err=True)


def _described(text: str) -> list[dict[str, Any]]:
    """The list in the reply of DescribeInstanceTypes, or that list itself."""
    from dynamiccluster.errors import BadConfigError

    try:
        document = json.loads(text)
    except ValueError as error:
        raise BadConfigError(f"--types: not JSON: {error}") from None
    found = document.get("InstanceTypes") if isinstance(document, dict) else document
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadConfigError("--types: has no list InstanceTypes")
    return found


def _asked(patterns: list[str], region: str, endpoint_url: str | None) -> list[dict[str, Any]]:
    from dynamiccluster.clouds.aws.types import described_types
    from dynamiccluster.errors import BadConfigError

    if not region:
        raise BadConfigError("which region? Give --region, or AvailabilityZone in the file, or --types")
    return described_types(region, patterns, endpoint_url)


def _text(file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise exits.Failure(f"{clean(file)}: cannot be read as text", exits.BAD_CONFIG) from error
