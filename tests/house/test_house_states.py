"""A node's state is assigned in ``decide/lifecycle.py`` and nowhere else."""

from __future__ import annotations

import ast

import pytest
from sources import Module, dotted, module, package

OTHER_RECORDS = {"launch", "known", "breaker", "job", "host", "instance"}
"""Names under which records with a ``state`` of another kind are replaced: launches, breakers, what adapters say."""

OTHER_STATES = {"LaunchState", "BreakerState", "JobState", "HostState", "InstanceState"}

MAY_MAKE_NODES = {
    "decide/launch.py": "new nodes: REQUESTED",
    "decide/orphans.py": "adopted machines: STARTING",
    "decide/commands.py": "adopted hosts: JOINING",
    "testing/service.py": "the service double launches and adopts without an engine",
    "testing/service_example.py": "the service double's picture",
}

MAY_ASSIGN = {
    "decide/lifecycle.py": "the one place for it",
    "testing/service.py": "the service double answers as the engine would, without one",
}


def assigned(one: Module) -> list[str]:
    """Places that may assign a node's state past the table: ``replace(node, state=...)``, ``node.state = ...``."""
    found = []
    for node in ast.walk(one.tree):
        if isinstance(node, ast.Call) and dotted(node.func) in ("replace", "dataclasses.replace"):
            value = next((word.value for word in node.keywords if word.arg == "state"), None)
            if value is not None and not _another_record(node.args[0] if node.args else None, value):
                found.append(f"line {node.lineno}: replace(..., state=...)")
        if one.room in ("decide", "engine", "model", "store", "api", "app"):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if _augmented(node) else []
            places = [target for target in targets if isinstance(target, ast.Attribute) and target.attr == "state"]
            found += [f"line {node.lineno}: {dotted(target)} = ..." for target in places]
    return found


def made(one: Module) -> list[str]:
    """Places where a worker node's record is made with a state of choice."""
    return [
        f"line {node.lineno}: WorkerNode(...)"
        for node in ast.walk(one.tree)
        if isinstance(node, ast.Call) and dotted(node.func) == "WorkerNode"
    ]


def _augmented(node: ast.AST) -> bool:
    return isinstance(node, ast.AugAssign | ast.AnnAssign)


def _another_record(record: ast.expr | None, value: ast.expr) -> bool:
    if isinstance(value, ast.Attribute) and dotted(value.value) in OTHER_STATES:
        return True
    return isinstance(record, ast.Name) and record.id in OTHER_RECORDS and "NodeState" not in ast.dump(value)


def test_only_the_table_moves_nodes() -> None:
    wrong = {one.where: assigned(one) for one in package() if one.where not in MAY_ASSIGN and assigned(one)}
    assert not wrong


def test_nodes_come_into_being_in_three_places() -> None:
    assert not {one.where: made(one) for one in package() if one.where not in MAY_MAKE_NODES and made(one)}


def test_no_exception_outlives_its_reason() -> None:
    assert set(MAY_ASSIGN) == {one.where for one in package() if one.where in MAY_ASSIGN and assigned(one)}
    assert set(MAY_MAKE_NODES) == {one.where for one in package() if made(one)}


@pytest.mark.parametrize(
    "text",
    [
        "replace(node, state=NodeState.IDLE)",
        "dataclasses.replace(node, state=state)",
        "replace(launch, state=NodeState.GONE)",
        "draft.put(replace(node, reason='x', state=to))",
        "node.state = NodeState.IDLE",
    ],
)
def test_the_rule_can_fail(text: str) -> None:
    assert assigned(module("engine/bad.py", text))


def test_launches_and_breakers_have_states_of_their_own() -> None:
    assert not assigned(module("decide/x.py", "replace(launch, state=LaunchState.SETTLED)"))
    assert not assigned(module("decide/x.py", "replace(launch, state=state, closed_at=now)"))
