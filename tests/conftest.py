"""For all tests: property tests find the same examples on every run, and no single one is judged by its speed."""

from __future__ import annotations

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("scheduler_suite", "cloud_suite")
settings.register_profile("house", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("house")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of real systems run in lanes beside each other: those of one module share a system, so also a lane."""
    for item in items:
        if item.get_closest_marker("system") and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
