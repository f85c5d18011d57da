"""The rounds assert, too: their failures show values as those of tests do."""

from __future__ import annotations

import pytest
from slurm_harness import left_out

pytest.register_assert_rewrite("rounds")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Drop what is not repeated beside each release of Slurm."""
    dropped = [item for item in items if left_out(item)]
    if dropped:
        config.hook.pytest_deselected(items=dropped)
        items[:] = [item for item in items if item not in dropped]
