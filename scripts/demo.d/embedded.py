"""The demo's default scene: a simulated cluster and simulated clouds, all in the service's own process."""

from __future__ import annotations

import re
from pathlib import Path

CONFIG = Path(__file__).resolve().parents[2] / "config" / "demo.yaml"


class Scene:
    """What a scene is: see :class:`run.Scene`."""

    title = "a simulated cluster and simulated clouds"
    fastest = 1000.0

    def prepare(self, scratch: Path, port: int) -> Path:
        text = CONFIG.read_text(encoding="utf-8")
        changed, count = re.subn(r"(?m)^(\s+port:\s*)\d+\s*$", rf"\g<1>{port}", text, count=1)
        if not count:
            raise SystemExit(f"{CONFIG} has no port to set")
        config = scratch / "demo.yaml"
        config.write_text(changed, encoding="utf-8")
        return config

    def begin(self) -> None:
        """Jobs arrive by themselves."""

    def end(self) -> None:
        """Everything ends with the service."""
