"""Writes the generated pages of docs/ and types of web/; with ``--check`` it only says which are out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import man

from dynamiccluster.api.reference import tables
from dynamiccluster.api.typescript import typescript
from dynamiccluster.config.reference import reference
from dynamiccluster.decide.lifecycle_page import markdown

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def rest_api() -> str:
    """The page as it is, with its tables made anew: each stands between two comments."""
    page = text(DOCS / "rest-api.md")
    for name, table in tables().items():
        start, end = f"<!-- made by scripts/docs: {name} -->", "<!-- end -->"
        before, found, rest = page.partition(start)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise SystemExit(f"docs/rest-api.md has no place for {name}: {start} ... {end}")
        page = f"{before}{start}\n\n{table}\n\n{end}{after}"
    return page


PAGES = {
    "docs/configuration.md": reference,
    "docs/lifecycle.md": markdown,
    "docs/rest-api.md": rest_api,
    "docs/man/dynamiccluster.8": man.page,
    "web/src/api/documents.ts": typescript,
}


def main(check: bool) -> int:
    old = [name for name, page in PAGES.items() if text(ROOT / name) != page()]
    for name in old:
        if not check:
            (ROOT / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"{name} {'is out of date: run scripts/docs' if check else 'written'}")
    if not old:
        print(f"{len(PAGES)} generated pages are up to date")
    return 1 if old and check else 0


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scripts/docs", description="Writes the generated pages of docs/ anew.")
    parser.add_argument("--check", action="store_true", help="only say which are out of date")
    sys.exit(main(parser.parse_args().check))
