"""The rounds assert, too: their failures show values as those of tests do."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("rounds")
