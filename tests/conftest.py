"""For all tests: property tests find the same examples on every run, and no single one is judged by its speed."""

from __future__ import annotations

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("scheduler_suite", "cloud_suite")
settings.register_profile("house", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("house")
