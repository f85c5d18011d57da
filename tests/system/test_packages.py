"""Packages, built and lived with: installed, started, upgraded, erased. And the guide's own way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from service_process import ROOT, configuration, free_port

sys.path.insert(0, str(ROOT / "scripts" / "testbeds"))
import packages  # type: ignore[import-not-found]  # a script's neighbour, not a package

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

NAMESPACES = ("unshare", "--mount", "--pid", "--net", "--uts", "--fork", "--kill-child")


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    if os.environ.get("DYNAMICCLUSTER_TESTBEDS") != "1":
        pytest.skip("real systems are tested with scripts/test --testbeds")
    if os.geteuid() != 0 or not shutil.which("dpkg"):
        pytest.skip("only root on Debian can install packages into a scratch root")
    with packages.alone():
        missing = [name for name in ("rpm", "python3-pip", "python3-venv", "man-db") if not packages.installed(name)]
        assert not missing or packages.install(missing), f"{missing} could not be installed"


def run(*words: str, **more: str) -> str:
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=os.environ | more
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded cluster at the places of a package."""
    folder = tmp_path_factory.mktemp("config")
    document = configuration(folder, port=8001)
    general = document["dynamic-cluster"]
    general["admin-server"]["socket"] = "/run/dynamiccluster/api.sock"
    general["store"]["path"] = "/var/lib/dynamiccluster/state.db"
    document["logging"]["log_location"] = "/var/log/dynamiccluster/dynamiccluster.log"
    path = folder / "edited.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two versions of each kind; building takes a minute, the libraries most of it."""
    folder = tmp_path_factory.mktemp("built")
    words = ("--rpm", "--deb", "--version", "9.1", "--version", "9.2", str(folder))
    return [Path(line) for line in run(str(ROOT / "rpm" / "build"), *words).splitlines()]


@pytest.mark.parametrize("kind", ["rpm", "deb"])
def test_a_package_is_installed_started_upgraded_and_erased(kind: str, built: list[Path], config: Path) -> None:
    first, second = (str(path) for path in built if path.suffix == f".{kind}")
    script = str(ROOT / "tests" / "system" / "package_life.sh")
    lived = run(*NAMESPACES, script, kind, first, second, str(config))
    steps = [line.removeprefix("STEP ") for line in lived.splitlines() if line.startswith("STEP ")]
    assert steps == ["install", "start", "upgrade", "erase", "over"]


def test_packages_hold_the_dashboard_where_it_can_be_built(built: list[Path]) -> None:
    deb = next(path for path in built if path.suffix == ".deb")
    listed = run("dpkg-deb", "--contents", str(deb))
    assert ("/usr/lib/dynamiccluster/dynamiccluster/api/static/index.html" in listed) == bool(shutil.which("npm"))


def test_a_wheel_holds_the_dashboard_and_installs_without_node(checkout: Path, tmp_path: Path) -> None:
    pip = str(checkout / ".venv" / "bin" / "pip")
    nowhere = "/usr/bin:/bin"  # Debian's programs, and no npm of anybody's
    run(pip, "wheel", "-q", "--no-deps", "-w", str(tmp_path), str(checkout), PATH=nowhere)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    page = "dynamiccluster/api/static/index.html"
    assert (page in names) == (checkout / page).exists()  # as it was built before
    assert "dynamiccluster/api/templates/status.html" in names
    run(pip, "install", "-q", "--no-deps", str(wheel), PATH=nowhere)
    run(str(checkout / ".venv" / "bin" / "python"), "-c", "import dynamiccluster", PATH=nowhere)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout as the guide has it, and a Python with nothing in it."""
    folder = tmp_path / "opt" / "dynamiccluster"
    shutil.copytree(
        ROOT,
        folder,
        symlinks=True,
        ignore=shutil.ignore_patterns(
            ".venv*", ".git", "node_modules", "*_cache", "__pycache__", "build", "*.egg-info"
        ),
    )
    run("/usr/bin/python3", "-m", "venv", str(folder / ".venv"))
    return folder


def test_the_source_install_of_the_guide_works_as_written(checkout: Path, tmp_path: Path) -> None:
    pip = str(checkout / ".venv" / "bin" / "pip")
    run(pip, "install", "-q", "--disable-pip-version-check", "-r", str(checkout / "reqirements.txt"))  # its misprint
    script = tmp_path / "initd"
    shutil.copy(checkout / "scripts" / "initd-script", script)
    document = configuration(tmp_path, port=free_port())
    path = tmp_path / "dynamiccluster.yaml"
    path.write_text(yaml.safe_dump(document))
    settings = tmp_path / "settings"
    settings.write_text(f"PROGRAM={checkout}/scripts/dynamiccluster\nCONFIG={path}\nPIDFILE={tmp_path}/run/dc.pid\n")
    run(str(script), "start", DYNAMICCLUSTER_DEFAULTS=str(settings))
    try:
        assert "is running" in run(str(script), "status", DYNAMICCLUSTER_DEFAULTS=str(settings))
    finally:
        run(str(script), "stop", DYNAMICCLUSTER_DEFAULTS=str(settings))
