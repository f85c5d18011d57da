"""On which machines a real Slurm may be brought up for tests."""

from __future__ import annotations

import pytest

from dynamiccluster.testing import bed, slurm_bed


def test_only_where_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(bed.SWITCH, raising=False)
    assert bed.SWITCH in slurm_bed.why_not()


def test_never_beside_a_slurm_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(bed.SWITCH, "1")
    monkeypatch.setattr(bed.os, "geteuid", lambda: 0)
    monkeypatch.setattr(bed.pathlib.Path, "exists", lambda path: path.name == "debian_version")
    monkeypatch.setattr(bed.shutil, "which", lambda _name: "/usr/sbin/slurmctld")
    assert "has one already" in slurm_bed.why_not()
