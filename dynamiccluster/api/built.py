"""The dashboard's files as ``scripts/web build`` leaves them: read once, and again when there is a new build."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

STATIC = Path(__file__).parent / "static"

TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=UTF-8",
    ".js": "text/javascript; charset=UTF-8",
    ".css": "text/css; charset=UTF-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=UTF-8",
}


@dataclass(frozen=True, slots=True)
class Built:
    """One file. ``packed`` is the same under gzip; empty = none was made."""

    content: bytes
    packed: bytes
    media: str
    etag: str


def built(folder: Path) -> Mapping[str, Built]:
    """The files by their path below the folder, ``index.html`` among them; empty if the dashboard is not built."""
    try:
        stamp = (folder / "index.html").stat().st_mtime_ns
    except OSError:
        return {}
    return _read(folder, stamp)


@lru_cache(maxsize=4)
def _read(folder: Path, _stamp: int) -> Mapping[str, Built]:
    """Half a megabyte at most. Only what is listed here is ever served, so no path can lead elsewhere."""
    found: dict[str, Built] = {}
    for path in sorted(folder.rglob("*")):
        media = TYPES.get(path.suffix)
        if media is None or not path.is_file():
            continue
        content = path.read_bytes()
        packed = path.with_name(path.name + ".gz")
        found[path.relative_to(folder).as_posix()] = Built(
            content,
            packed.read_bytes() if packed.is_file() else b"",
            media,
            f'"{hashlib.sha256(content).hexdigest()[:24]}"',
        )
    return MappingProxyType(found)
