"""The one table of old names: keys and class paths that sites have in their files, and what they are called now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dynamiccluster.config.document import Document
from dynamiccluster.config.problems import Notice, Path, Problem, dotted
from dynamiccluster.config.schema_general import General, Logging
from dynamiccluster.config.walk import keys

GENERAL = "dynamic-cluster"

_TOP_LEVEL: dict[Path, Path] = {
    **{(key,): (GENERAL, key) for key in keys(General)},  # the guide shows them without their section
    **{(key,): ("logging", key) for key in keys(Logging)},
    ("graphite",): ("plugins", "graphite"),
    ("worker_thread_number",): (GENERAL, "worker_thread_number"),
    ("worker_process_number",): (GENERAL, "worker_process_number"),
    ("api",): (GENERAL, "api"),
}
"""Keys that may stand without their section."""

_SPELLINGS: dict[Path, Path] = {
    (GENERAL, "worker_thread_number"): (GENERAL, "worker_number"),  # sample file
    (GENERAL, "worker_process_number"): (GENERAL, "worker_number"),  # what the 2015 code reads
    (GENERAL, "api"): (GENERAL, "admin-server"),  # our own second name
    (GENERAL, "post_add_node_command"): ("cluster", "config", "post_add_node_command"),  # sample files up to mid 2015
    (GENERAL, "post_remove_node_command"): ("cluster", "config", "post_remove_node_command"),
    ("post_add_node_command",): ("cluster", "config", "post_add_node_command"),
    ("post_remove_node_command",): ("cluster", "config", "post_remove_node_command"),
}
"""Second names of keys, with where they were seen."""

_WITHOUT_EFFECT: dict[Path, str] = {
    (GENERAL, "admin-server", "debug"): "switched the original's web server to debugging; it has no effect here",
}
"""Keys that the original's code reads and that have no meaning any more."""

CLASS_PATHS: dict[str, str] = {
    "dynamiccluster.graphite.GraphiteReporter": "dynamiccluster.plugins.graphite.GraphiteReporter",
    "dynamiccluster.salt.SaltChecker": "dynamiccluster.checkers.salt.SaltChecker",
    "dynamiccluster.saltclient.SaltChecker": "dynamiccluster.checkers.salt.SaltChecker",  # REST guide's example
}
"""Classes of the original, and ours in their place. The settings hold the new ones."""


def second_names(section: Path) -> set[str]:
    """Old keys that are understood in a section, for hints."""
    return {str(path[-1]) for path in [*_SPELLINGS, *_TOP_LEVEL] if path[:-1] == section}


def apply(document: Document) -> tuple[list[Problem], list[Notice]]:
    """Move every old key to where it stands now.

    Returns what stood in the way (the same key in both places), and what to know.
    """
    problems = [*_move(document, _TOP_LEVEL.items()), *_move(document, _SPELLINGS.items())]
    _rename_classes(document.data)
    notices = []
    for path, text in _WITHOUT_EFFECT.items():
        if document.has(path):
            notices.append(Notice(document.file, document.line(path), document.key(path), text))
            document.drop(path)
    return problems, notices


def _rename_classes(data: dict[str, Any]) -> None:
    plugins, general = data.get("plugins"), data.get(GENERAL)
    checker = general.get("config-checker") if isinstance(general, dict) else None
    places = [(plugin, "class_name") for plugin in plugins.values()] if isinstance(plugins, dict) else []
    places += [(checker.get("plugin"), "name")] if isinstance(checker, dict) else []
    for holder, key in places:
        if isinstance(holder, dict) and isinstance(holder.get(key), str):
            holder[key] = CLASS_PATHS.get(holder[key], holder[key])


def _move(document: Document, table: Iterable[tuple[Path, Path]]) -> list[Problem]:
    problems = []
    for old, new in table:
        if not document.has(old) or document.move(old, new):
            continue
        if document.has(new):
            text = f"means the same as {document.key(new)} (line {document.line(new)}), which is given too"
            problems.append(document.problem(old, text, "one of the two"))
            document.drop(old)
        else:
            problems.append(document.problem(new[:1], "is not a mapping", f"a mapping that can hold {dotted(new[1:])}"))
    return problems
