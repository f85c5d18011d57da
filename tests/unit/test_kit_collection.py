"""Collection is put off and always comes back, also from threads that overlap."""

from __future__ import annotations

import gc

import pytest

from dynamiccluster.kit.collection import collection_put_off


def fails_within() -> None:
    with collection_put_off():
        assert not gc.isenabled()
        raise KeyError


def test_it_is_put_off_and_comes_back_even_after_an_error() -> None:
    with pytest.raises(KeyError):
        fails_within()
    assert gc.isenabled()


def test_overlapping_blocks_leave_it_on() -> None:
    first, second = collection_put_off(), collection_put_off()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert gc.isenabled()
