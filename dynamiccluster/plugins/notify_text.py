"""Words to tell, as a JSON document for programs and as text for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dynamiccluster import __version__
from dynamiccluster.kit.clock import iso
from dynamiccluster.plugins.notify_ledger import Turn, Word

MOST = 50
"""Words that one message spells out: whoever lost 500 nodes wants one message, not all of their names."""

_LEAD = {Turn.BEGIN: "", Turn.REPEAT: "still: ", Turn.END: "over: "}


@dataclass(frozen=True, slots=True)
class Message:
    """What one look has to tell, all of it together."""

    cluster_id: str
    at: float
    words: tuple[Word, ...]

    @property
    def subject(self) -> str:
        """One line: the first word, and how many more there are."""
        more = f" and {len(self.words) - 1} more" if len(self.words) > 1 else ""
        return f"[{_line(self.cluster_id)}] {_headline(self.words[0])}{more}"

    @property
    def text(self) -> str:
        parts = [_paragraph(word) for word in self.words[:MOST]]
        if len(self.words) > MOST:
            parts.append(f"... and {len(self.words) - MOST} more")
        return "\n\n".join(parts) + f"\n\n-- \nDynamic Cluster {__version__}, cluster {_line(self.cluster_id)}\n"

    def document(self) -> dict[str, Any]:
        """``text`` at the top is what chat services show of a webhook."""
        return {
            "cluster_id": self.cluster_id,
            "at": iso(self.at),
            "text": "\n".join([self.subject, *(_headline(word) for word in self.words[1:MOST])]),
            "total": len(self.words),
            "words": [_document(word) for word in self.words[:MOST]],
        }


def _document(word: Word) -> dict[str, Any]:
    about = word.about
    return {
        "turn": word.turn.value,
        "key": about.key,
        "severity": about.severity.value,
        "kind": about.kind.value,
        "title": about.title,
        "text": about.text,
        "node_id": about.node_id,
        "resource": about.resource,
        "source": about.source,
        "count": about.count,
        "began_at": iso(word.began_at),
    }


def _headline(word: Word) -> str:
    lead = _LEAD[word.turn] or f"{word.about.severity.value}: "
    return lead + _line(word.about.title)


def _paragraph(word: Word) -> str:
    since = f"since {iso(word.began_at)}"
    return "\n".join([_headline(word), *(f"  {line}" for line in (_line(word.about.text), since) if line)])


def _line(text: str) -> str:
    """Host names and job fields are hostile: no second line, no other header."""
    return "".join(each if each.isprintable() else " " for each in text)[:500].strip()


def summary(words: Sequence[Word]) -> str:
    """For the log."""
    return "; ".join(_headline(word) for word in words[:3]) + (f" and {len(words) - 3} more" if len(words) > 3 else "")
