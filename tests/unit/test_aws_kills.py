"""The process dies while it launches on EC2, and replies are lost: nothing is bought twice, nothing stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ec2_kills import launch_and_die
from ec2_site import Ec2Site, ec2_site
from engine_harness import on_virtual_time

LAUNCHES = 20
"""``scripts/soak`` has two hundred."""


@pytest.fixture
def site() -> Iterator[Ec2Site]:
    with ec2_site() as running:
        yield running


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
@on_virtual_time
async def test_instances_found_are_instances_recorded(site: Ec2Site, warm: bool) -> None:
    tally = await launch_and_die(site, LAUNCHES, seed=1, warm=warm)
    assert tally.launches >= LAUNCHES
    assert tally.deaths > 5
    assert tally.machines > LAUNCHES / 2


@on_virtual_time
async def test_so_they_are_of_fleets_also_if_a_repeat_makes_another_machine(
    site: Ec2Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.minds_tokens, site.hide_s = False, 15.0
    tally = await launch_and_die(site, LAUNCHES, seed=1, fleets=True)
    assert tally.launches >= LAUNCHES
    assert tally.deaths > 5
    assert site.calls["CreateFleet"] > LAUNCHES / 2
    assert "swept" in caplog.text, "there was one"
