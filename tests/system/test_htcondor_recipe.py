"""The recipe of ``docs/getting-started/htcondor.md``, as printed."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest

from dynamiccluster.testing.htcondor_bed import why_not

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "getting-started" / "htcondor.md"
POOL = pathlib.Path("/tmp/pool")

pytestmark = [pytest.mark.system, pytest.mark.timeout(400), pytest.mark.xdist_group("htcondor-recipe")]


def test_every_block_of_the_page_works_in_order() -> None:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    if POOL.exists():
        pytest.skip(f"{POOL} is in use")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 7
    try:
        done = subprocess.run(
            ["/bin/sh", "-e"],
            input="\n".join(blocks),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=350,
            check=False,
        )
    finally:
        with contextlib.suppress(OSError, ValueError):  # it came to its end
            os.kill(int((POOL / "dc.pid").read_text()), signal.SIGKILL)
        bed = ROOT / "scripts" / "testbeds" / "htcondor"
        subprocess.run([bed, "down", "--prefix", POOL], timeout=60, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-4000:]
    assert "all commands work" in said
    assert re.search(r"3 jobs; 0 completed, 0 removed, 0 idle, 3 running", said), said[-4000:]
    assert re.search(r"container-cloud +does not have the features the job asks for", said), said[-4000:]
    assert re.search(r"otter-container +has its maximum number of nodes", said), said[-4000:]
    assert not POOL.exists()
