"""Ads of our own making, as texts for ``condor_advertise``. Pure.

HTCondor knows a machine only once its startd reports in. What we announce before stands in the collector as an ad of
type :data:`~.hosts_parse.NOTE`: it is listed with the machines, matches no job, and goes when it is withdrawn, when
the collector restarts (the engine then adds the host again), or after an hour. A machine that has reported in hides it.
"""

from __future__ import annotations

from dynamiccluster.schedulers.htcondor.ads_parse import quoted
from dynamiccluster.schedulers.htcondor.hosts_parse import NOTE

_LIFETIME_S = 3600
"""Longer than most launches take (the engine announces the others again); nobody may be left to withdraw it."""


def announcement(host_name: str, address: str) -> str:
    """The ad of a machine on its way."""
    sinful = f"[{address}]" if ":" in address else address
    return _ad(
        MyType=quoted(NOTE),
        Name=quoted(host_name),
        Machine=quoted(host_name),
        MyAddress=quoted(f"<{sinful}:0>" if address else ""),
        ClassAdLifetime=str(_LIFETIME_S),
    )


def withdrawal(host_name: str) -> str:
    """A query for :func:`announcement`, which the collector answers by forgetting it."""
    return _ad(
        MyType=quoted("Query"),
        TargetType=quoted(NOTE),
        Requirements=f"MyType == {quoted(NOTE)} && Name == {quoted(host_name)}",
    )


def obituary(machine: str, kind: str) -> str:
    """A query for a machine's ads of one kind, which the collector answers by forgetting them."""
    return _ad(
        MyType=quoted("Query"),
        TargetType=quoted(kind),
        Requirements=f"Machine == {quoted(machine)}",  # with TARGET. before it nothing is forgotten (23.9.6)
    )


def _ad(**attributes: str) -> str:
    return "".join(f"{name} = {value}\n" for name, value in attributes.items())
