"""Real Slurms for tests: each test that uses ``params=RELEASES`` runs beside each release that the test bed has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from dynamiccluster.testing import slurm_bed

OLD, NEW = slurm_bed.RELEASES
_BESIDE = pytest.mark.xdist_group(f"slurm-{NEW}")
RELEASES = [OLD, pytest.param(NEW, marks=_BESIDE)]
"""Values of a fixture's ``params``. The newer release's tests make a group of their own, which may run beside."""


@contextlib.contextmanager
def bed_or_skip(release: str, network: str, *options: str) -> Iterator[slurm_bed.SlurmBed]:
    """A bed with a Slurm of this release; the test is skipped where there can be none."""
    reason = slurm_bed.why_not(release)
    if reason:
        pytest.skip(reason)
    with slurm_bed.slurm_bed(network, "--release", release, *options) as made:
        yield made


def on_both(names: str, rows: Iterable[Any], *, newer: Iterable[Any]) -> pytest.MarkDecorator:
    """The test runs with each of these rows beside the older release, and with those of ``newer`` beside the newer.

    It saves the time of repeating what no release does otherwise. Sets the fixture ``bed``.
    """
    cases = [(OLD, row, ()) for row in rows] + [(NEW, row, (_BESIDE,)) for row in newer]
    tuples = [(release, row if isinstance(row, tuple) else (row,), marks) for release, row, marks in cases]
    params = [pytest.param(release, *values, marks=marks) for release, values, marks in tuples]
    return pytest.mark.parametrize(f"bed, {names}", params, indirect=["bed"])
