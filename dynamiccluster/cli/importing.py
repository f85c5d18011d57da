"""``import``: the configuration of another autoscaler, made into ours."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dynamiccluster.cli import exits
from dynamiccluster.cli.text import clean, clean_lines


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--job",
    "jobs",
    type=click.Path(exists=True, dir_okay=False),
    multiple=True,
    help="A submit file whose +VMAMI, +VMInstanceType ... say which machines are wanted; may be repeated.",
)
@click.option("--cluster-id", default="cluster", show_default=True, help="Name of this installation in the clouds.")
@click.option(
    "--write",
    "directory",
    type=click.Path(file_okay=False),
    help="Write dynamiccluster.yaml and secrets/ there, readable by you alone, instead of printing.",
)
def import_(file: str, jobs: tuple[str, ...], cluster_id: str, directory: str | None) -> None:
    """Make a configuration from Cloud Scheduler's cloud_resources.conf.

    Secrets are never printed: they are referred to as files, which --write makes. What could not be carried over is
    said on standard error. Look at the result with `dynamiccluster check-config -c FILE`.
    """
    import yaml

    from dynamiccluster.config.cloud_resources import convert, parse_job
    from dynamiccluster.errors import BadConfigError

    secrets_dir = str(Path(directory or ".").absolute() / "secrets")
    try:
        made = convert(_text(file), [parse_job(_text(job)) for job in jobs], secrets_dir, cluster_id)
    except BadConfigError as error:
        raise exits.Failure(f"{clean(file)}: {clean(error)}", exits.BAD_CONFIG) from error
    text = yaml.safe_dump(made.document, sort_keys=False, allow_unicode=False)
    if directory is None:
        click.echo(clean_lines(text), nl=False)
        for name in made.secrets:
            click.echo(f"put the secret into {secrets_dir}/{clean(name)}, readable by the service alone", err=True)
    else:
        _write(Path(directory), text, made.secrets)
        click.echo(f"written: {clean(directory)}/dynamiccluster.yaml; secrets: {len(made.secrets)}, beside it")
    for notice in made.notices:
        click.echo(clean(notice), err=True)


def _text(file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise exits.Failure(f"{clean(file)}: cannot be read as text", exits.BAD_CONFIG) from error


def _write(directory: Path, text: str, secrets: dict[str, str]) -> None:
    """Nothing that is there already is overwritten: it may be somebody's work."""
    target = directory / "dynamiccluster.yaml"
    files = {target: text} | {directory / "secrets" / name: value + "\n" for name, value in secrets.items()}
    there = [str(path) for path in files if path.exists()]
    if there:
        raise exits.Failure(f"{clean(there[0])} is there already; remove it or choose another --write", exits.REFUSED)
    try:
        (directory / "secrets").mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, content in files.items():
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
                stream.write(content)
    except OSError as error:
        raise exits.Failure(f"cannot write into {clean(directory)}: {error.strerror}", exits.REFUSED) from error
