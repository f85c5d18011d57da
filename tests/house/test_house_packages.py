"""What is installed without setuptools agrees with setup.cfg, and packages leave nothing out."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def setup() -> configparser.ConfigParser:
    found = configparser.ConfigParser()
    found.read(ROOT / "setup.cfg")
    return found


def test_requirements_are_those_of_the_package() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = setup()["options"]["install_requires"].split("\n")
    assert [line for line in lines if not line.startswith(("#", "-c"))] == [line for line in wanted if line]
    assert "-c constraints.txt" in lines
    assert (ROOT / "reqirements.txt").resolve() == ROOT / "requirements.txt"  # the guide's misprint


def test_each_program_is_in_the_packages() -> None:
    scripts = setup()["options.entry_points"]["console_scripts"].strip().splitlines()
    programs = {name: path.partition(".cli.")[2] for name, path in (line.split(" = ") for line in scripts)}
    built = re.findall(r"^program (\S+) (\S+) (\S+)$", (ROOT / "rpm" / "build").read_text(), re.MULTILINE)
    assert {name: f"{module}:{function}" for name, module, function in built} == programs


def test_the_spec_lists_what_is_staged() -> None:
    staged = re.findall(r"^put \d+ \S+ (\S+)$", (ROOT / "rpm" / "build").read_text(), re.MULTILINE)
    listed = re.findall(r" ?(/(?:usr|etc|var)/\S+)$", (ROOT / "rpm" / "dynamiccluster.spec").read_text(), re.MULTILINE)
    patterns = [re.compile(re.escape(path).replace(r"\*", "[^/]*") + "(/.*)?$") for path in listed]
    assert staged
    assert [path for path in staged if not any(pattern.match(path) for pattern in patterns)] == []
