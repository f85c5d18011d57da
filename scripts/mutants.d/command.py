"""Mutants of the command cloud: its contract must notice each."""

from __future__ import annotations

from table import Edit, Mutant

SUITE = "tests/contract/test_cloud_command.py"
"""The tests that must turn red."""


def _one(name: str, file: str, old: str, new: str) -> Mutant:
    return Mutant(f"command: {name}", (Edit(f"clouds/command/{file}", old, new),))


MUTANTS = (
    _one("others' machines are ours", "adapter.py", " if owner == self._cluster_id)", " if owner is not None)"),
    _one(
        "strangers are not counted", "adapter.py", "            living + uncounted - sum(", "            living - sum("
    ),
    _one(
        "a list without machines is an empty cloud",
        "adapter.py",
        'document.get("instances")\n        if not isinstance(records, list):\n            raise TransientError',
        'document.get("instances", [])\n        if not isinstance(records, list):\n            raise TransientError',
    ),
    _one(
        "one odd machine drops only itself",
        "answer_parse.py",
        '    instance_id = _word(found, "id")\n',
        '    instance_id = str(found.get("id", ""))\n',
    ),
    _one(
        "a launch without an answer failed",
        "adapter.py",
        'lost = UnknownOutcomeError if verb == "launch" else TransientError',
        "lost = TransientError",
    ),
    _one(
        "an answer without machines is a refusal",
        "adapter.py",
        '                raise UnknownOutcomeError("launch: the answer has no `instances`")',
        '                raise TransientError("launch: the answer has no `instances`")',
    ),
    _one(
        "an odd machine of a launch is a refusal",
        "adapter.py",
        '            raise UnknownOutcomeError(f"launch: one of',
        '            raise TransientError(f"launch: one of',
    ),
    _one(
        "errors are all alike",
        "answer_parse.py",
        '_ERRORS.get(str(error.get("class", "")), lost)',
        "lost",
    ),
    _one("foreign states are the end", "answer_parse.py", "else InstanceState.UNKNOWN", "else InstanceState.GONE"),
    _one(
        "gone machines use the quota",
        "adapter.py",
        "living = sum(instance.state is not InstanceState.GONE for _, instance in instances)",
        "living = len(instances)",
    ),
    _one(
        "answers that are no JSON pass",
        "answer_parse.py",
        '    raise ValueError(f"{name} is not JSON")',
        "    return 0.0",
    ),
    _one(
        "an odd notice drops all",
        "adapter.py",
        '            except ValueError as error:\n                log.warning("%s: %s: %s[%d] %s"',
        '            except KeyError as error:\n                log.warning("%s: %s: %s[%d] %s"',
    ),
)
