"""Tags of machines that exist already, and what was last written there.

EC2 lists are "eventually consistent" (API reference, "Eventual consistency"): for seconds after a change they may show
what was before it. Whoever decides by tags alone then gives one machine to two nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynamiccluster.clouds.aws.calls import AwsCalls
from dynamiccluster.clouds.aws.instance_map import LAUNCH_TAG, PARKED_TAG, tags_in
from dynamiccluster.kit.clock import Clock

REMEMBERED_S = 3600.0
"""Far longer than any list lags behind."""

BLIND_S = 60.0
"""For so long after its start a service takes lists for late: what one before it wrote is not known here."""


class Written:
    """Of one tenancy. Lost when the service starts anew or reads another configuration: hence :meth:`blind`."""

    def __init__(self, calls: AwsCalls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._tags: dict[str, tuple[float, dict[str, str]]] = {}
        self._since = clock.monotonic()

    def blind(self) -> bool:
        """Whether tags may have been written that neither this knows nor lists show."""
        return self._clock.monotonic() - self._since < BLIND_S

    def write(self, instance_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """Set these tags, and know them from now on."""
        with self._calls.errors():
            self._calls.client("ec2").create_tags(Resources=list(instance_ids), Tags=pairs(tags))
        now = self._clock.monotonic()
        known = {one: entry for one, entry in self._tags.items() if now - entry[0] < REMEMBERED_S}
        for one in instance_ids:
            known[one] = (now, {**known.get(one, (now, {}))[1], **tags})
        self._tags = known

    def write_parked(self, instance_ids: Sequence[str], tags: Mapping[str, str]) -> None:
        """As :meth:`write`, before a stop. Whether a machine is parked is then left to the list: one that is marked and
        runs on was not stopped, and must not be taken for that while the list is late."""
        self.write(instance_ids, tags)
        for one in instance_ids:
            at, known = self._tags[one]
            self._tags[one] = (at, {key: value for key, value in known.items() if key != PARKED_TAG})

    def shown(self, described: Mapping[str, Any]) -> Mapping[str, Any]:
        """A machine of a list, with the tags that it really has."""
        at, tags = self._tags.get(str(described.get("InstanceId", "")), (0.0, {}))
        if not tags or self._clock.monotonic() - at >= REMEMBERED_S:
            return described
        return {**described, "Tags": pairs({**tags_in(described), **tags})}

    def of_launch(self, launch_id: str) -> list[str]:
        """Ids of the machines that were given to this launch, which a list may not yet say."""
        return [one for one, (_, tags) in self._tags.items() if tags.get(LAUNCH_TAG) == launch_id]


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as EC2 writes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
