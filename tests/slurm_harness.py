"""Real Slurms for tests: each test that uses ``params=RELEASES`` runs beside each release that the test bed has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from dynamiccluster.testing import slurm_bed

OLD, NEW = slurm_bed.RELEASES
RELEASES = [OLD, pytest.param(NEW, marks=pytest.mark.xdist_group(f"slurm-{NEW}"))]
"""Values of a fixture's ``params``. The newer release's tests make a group of their own, which may run beside."""


@contextlib.contextmanager
def bed_or_skip(release: str, network: str, *options: str) -> Iterator[slurm_bed.SlurmBed]:
    """A bed with a Slurm of this release; the test is skipped where there can be none."""
    reason = slurm_bed.why_not(release)
    if reason:
        pytest.skip(reason)
    with slurm_bed.slurm_bed(network, "--release", release, *options) as made:
        yield made
