"""The mutants: each breaks one rule that a promise rests on. ``old`` must occur exactly once in its file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    file: str  # below dynamiccluster/
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    name: str
    edits: tuple[Edit, ...]


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(name, (Edit(file, old, new),))


MUTANTS = (
    _one(
        "later view dropped",
        "decide/facts.py",
        "if node.state not in _HOST_SPEAKS or hosts.started_at <= node.acted_at or node.dead:",
        "if node.state not in _HOST_SPEAKS or node.dead:",
    ),
    _one("hold not awaited", "decide/lifecycle.py", "E.SHRINK: S.HOLDING,", "E.SHRINK: S.REMOVING,"),
    Mutant(
        "token not committed before call",
        (
            Edit(
                "engine/loop.py",
                "        self._actuator.carry_out(plan.actions)\n        answer_all",
                "        answer_all",
            ),
            Edit(
                "engine/loop.py",
                "            version = await self._commit(snapshot, plan, now)\n",
                "            self._actuator.carry_out(plan.actions)\n"
                "            await asyncio.sleep(5.0)\n"
                "            version = await self._commit(snapshot, plan, now)\n",
            ),
        ),
    ),
    _one(
        "in-flight not counted against max",
        "decide/limits.py",
        "        if node.state not in COUNTED:\n            continue\n        known = policy",
        "        if node.state not in COUNTED or node.state in COMING:\n            continue\n        known = policy",
    ),
    _one(
        "failed poll treated as empty queue",
        "engine/poller.py",
        "                self._failed(error)\n",
        "                self._failed(error)\n"
        "                if self.status.source == 'scheduler':\n"
        "                    self._on_view(SchedulerView(self._clock.now(), self._clock.now()))\n",
    ),
    _one(
        "late machines of abandoned launches not swept",
        "decide/orphans.py",
        "        _sweep(draft, view, instance)\n",
        "        return\n",
    ),
    _one(
        "strangers not counted in quota",
        "decide/limits.py",
        "quota.max_instances - quota.used_instances - unseen_nodes",
        "quota.max_instances - (quota.used_instances - view.strangers) - unseen_nodes",
    ),
    _one(
        "observed clock counts downtime",
        "decide/draft.py",
        "clock.total_s + min(max(at - clock.last_at, 0.0), cap_s)",
        "clock.total_s + max(at - clock.last_at, 0.0)",
    ),
    _one(
        "breaker never opens",
        "decide/breaker.py",
        "due = at_once or known.state is BreakerState.HALF_OPEN or count >= rules.breaker_failures",
        "due = at_once",
    ),
    _one(
        "lost launch forgotten at once",
        "decide/results.py",
        '        after = apply(draft, node.node_id, NodeEvent.LAUNCH_UNKNOWN, f"the launch reply was lost: '
        '{result.message}")\n'
        "        draft.put(replace(after, attempts=attempts, acted_at=result.finished_at))\n",
        '        _nothing_came(draft, node, "no reply")\n',
    ),
    _one(
        "machines of a lost store not adopted",
        "decide/orphans.py",
        "        _adopt(draft, view, instance)\n        del draft.misses[key]\n",
        "        return\n",
    ),
    _one(
        "terminate asked once only",
        "decide/lifecycle.py",
        "        E.DEADLINE: S.TERMINATING,",
        "        # never again",
    ),
    _one(
        "intents not in the list not counted against quota",
        "decide/limits.py",
        "        nodes += 1\n        cores +=",
        "        cores +=",
    ),
)
