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

    It saves the time of repeating what no release does otherwise. For tests with a fixture ``bed`` whose params are
    :data:`RELEASES`; :func:`left_out` says which items there are then too many. Naming the releases in the rows would
    make pytest set up a bed for each row.
    """
    wanted = list(newer)
    params = [
        pytest.param(*_values(row), marks=() if row in wanted else pytest.mark.older_release_only) for row in rows
    ]
    return pytest.mark.parametrize(names, params)


def _values(row: Any) -> tuple[Any, ...]:
    return row if isinstance(row, tuple) else (row,)


def left_out(item: pytest.Item) -> bool:
    """Whether this is a row of :func:`on_both` that is not repeated beside the newer release."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return params.get("bed") == NEW and item.get_closest_marker("older_release_only") is not None
