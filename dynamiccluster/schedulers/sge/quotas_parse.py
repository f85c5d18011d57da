"""Resource quotas that are used at the moment, from ``qquota -u '*' -xml``. Pure.

A quota that counts for each user or project by itself is listed once for each who has used any of it, so one that is
used up is always there; one that nobody has touched yet is not. Quotas per host say nothing about hosts to come and are
left out. Seen with 8.1.9; ``sge_resource_quota(5)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dynamiccluster.schedulers.sge.records_parse import fields, mib, plain, quoted, records, require_whole

_SCOPES = ("users", "projects", "queues", "pes")
_EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Quota:
    """What is left of one resource for some jobs; "" and () mean all of them."""

    rule: str
    resource: str
    left: float
    users: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()

    def binds(self, user: str, project: str, queues: Sequence[str], environment: str) -> bool:
        """Whether such a job can only run under this quota, in whichever of its queues."""
        return (
            _names(self.users, user)
            and _names(self.projects, project)
            and _names(self.environments, environment)
            and (not self.queues or (bool(queues) and all(_names(self.queues, queue) for queue in queues)))
        )


def parse_quotas(text: str) -> tuple[Quota, ...]:
    """The quotas in ``text``.

    :raises ValueError: the text was cut off, or is no such list; or a number is none.
    """
    require_whole(text, "qquota_result")
    found: list[Quota] = []
    for record in records(text, "qquota_rule"):
        attributes, _, body = record.partition(">")
        scopes: dict[str, list[str]] = {}
        for tag, _, value in fields(body):
            scopes.setdefault(tag, []).append(plain(value))
        if scopes.keys() - set(_SCOPES):  # for single hosts, or in words that we do not know
            continue
        if any(name.startswith(("@", "!")) for names in scopes.values() for name in names):
            continue  # groups and exceptions: whom they mean cannot be seen
        users, projects, queues, environments = (tuple(scopes.get(scope, ())) for scope in _SCOPES)
        rule = quoted(attributes, "name")
        for limit in body.split("<limit ")[1:]:
            resource, most, used = (quoted(limit, key) for key in ("resource", "limit", "value"))
            found.append(
                Quota(rule, resource, mib_or_number(most) - mib_or_number(used), users, projects, queues, environments)
            )
    return tuple(found)


def mib_or_number(text: str) -> float:
    """``4``, or ``8G`` in MiB.

    :raises ValueError: it is neither.
    """
    return float(text) if text[-1:].isdigit() else mib(text)


def _names(scope: tuple[str, ...], name: str) -> bool:
    return not scope or name in scope or (_EVERYBODY in scope and bool(name))
