"""Worlds have menus, and machines that are taken away."""

from __future__ import annotations

import random

from dynamiccluster.testing.faults import FaultKind, random_schedule
from dynamiccluster.testing.setting import random_setting


def test_some_resources_of_random_settings_are_menus() -> None:
    settings = [random_setting(random.Random(seed)) for seed in range(1, 21)]
    menus = [
        (setting, resource)
        for setting in settings
        for one in setting.installations
        for resource in one.policy.resources.values()
        if resource.menu
    ]
    assert len(menus) > 10
    for setting, resource in menus:
        offers = [offer for tenancy in setting.tenancies for offer in tenancy.offers if offer.resource == resource.name]
        assert {offer.market for offer in offers} == {"spot", "on-demand"}
        assert setting.largest(resource).capacity.cores == max(offer.capacity.cores for offer in offers)


def test_machines_are_taken_away_on_random_days() -> None:
    schedule = random_schedule(random.Random(3), 86400.0, ["c1"], ["t1"], ["r1"])
    assert sum(fault.kind is FaultKind.RECLAIM for fault in schedule) == 6
