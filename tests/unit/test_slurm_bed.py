"""On which machines a real Slurm may be brought up for tests."""

from __future__ import annotations

import pytest

from dynamiccluster.testing import slurm_bed


def test_only_where_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(slurm_bed.SWITCH, raising=False)
    assert slurm_bed.SWITCH in slurm_bed.why_not()


def test_never_beside_a_slurm_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(slurm_bed.SWITCH, "1")
    monkeypatch.setattr(slurm_bed.os, "geteuid", lambda: 0)
    monkeypatch.setattr(slurm_bed.pathlib.Path, "exists", lambda path: path.name == "debian_version")
    monkeypatch.setattr(slurm_bed.shutil, "which", lambda _name: "/usr/sbin/slurmctld")
    assert "has one already" in slurm_bed.why_not()
