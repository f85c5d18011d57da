"""Last words: what the consoles of machines that never became usable said, fetched before these are ended.

At most clouds it is gone with the machine, and often it is all there is to tell why a node never joined. Nothing waits
for it long: a console that is slow or cannot be read is done without.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from dynamiccluster.clouds.base import Cloud
from dynamiccluster.kit.blocking import Bridge
from dynamiccluster.model.action import Action

log = logging.getLogger(__name__)

CONSOLE_S = 10.0
"""How long the end of machines waits for their consoles, all of them together."""

MOST_CONSOLES = 4
"""Of machines that are ended together, so many are asked: where many never join, they mostly say the same."""

KEPT_BYTES = 4096
"""The end of a console that is kept."""


async def last_words(
    batch: Sequence[Action], clouds: Mapping[str, Cloud], bridge: Bridge, redact: Callable[[str], str]
) -> dict[str, str]:
    """The ends of these machines' consoles, by action id; those that cannot be had in time are missing."""
    loop = asyncio.get_running_loop()
    tasks = {action.action_id: loop.create_task(_asked(action, clouds, bridge, redact)) for action in batch}
    try:
        await asyncio.wait(tasks.values(), timeout=CONSOLE_S)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    late = sum(task.cancelled() for task in tasks.values())
    if late:
        log.info("%d console(s) were not read before the end of their machines: it took too long", late)
    return {action_id: task.result() for action_id, task in tasks.items() if not task.cancelled() and task.result()}


async def _asked(action: Action, clouds: Mapping[str, Cloud], bridge: Bridge, redact: Callable[[str], str]) -> str:
    group, name = f"cloud:{action.tenancy}/console", f"console of {action.host_name}"
    try:
        cloud = clouds[action.tenancy]
        console = await bridge.call(group, name, CONSOLE_S, lambda: cloud.console_tail(action.instance_id))
    except Exception as error:  # noqa: BLE001 - whatever a console is worth, its machine is ended
        log.info("a console was not read before the end of its machine: %s", error)
        return ""
    return last_line(redact(console))  # hidden before it is cut: what is left of a secret would not be known


def last_line(console: str) -> str:
    """The end of a console as one line: lines parted by bars, without what would move a reader's cursor."""
    lines = ("".join(one for one in line if one.isprintable()).strip() for line in console.splitlines())
    text = " | ".join(line for line in lines if line)
    return text.encode("utf-8", "replace")[-KEPT_BYTES:].decode("utf-8", "ignore").strip(" |")
