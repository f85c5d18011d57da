"""A real PAM: an account of a scratch ``/etc``, in a mount namespace of this test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from service_process import ROOT

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        os.environ.get("DYNAMICCLUSTER_TESTBEDS") != "1" or os.geteuid() != 0,
        reason="needs root: scripts/test --testbeds",
    ),
]

SERVICE = "auth required pam_unix.so\naccount required pam_unix.so\n"
TRY = """
import json
from dynamiccluster.api.pam import authenticator, groups_of, role_of
ask = authenticator()
print(json.dumps({
    "right": ask("dctest", "right-word", "dynamiccluster"),
    "wrong": ask("dctest", "wrong-word", "dynamiccluster"),
    "unknown": ask("dcnobody", "right-word", "dynamiccluster"),
    "expired": ask("dcexpired", "right-word", "dynamiccluster"),
    "role": role_of("dctest", groups_of("dctest"), {"@dcgroup": "operator"}).name,
}))
"""
MOUNTED = """
mount --make-rprivate / && mount --bind "$1/pam.d" /etc/pam.d &&
for file in passwd group shadow; do mount --bind "$1/$file" "/etc/$file" || exit 9; done
exec "$2" -c "$3"
"""


def test_pam_lets_in_whom_it_should(tmp_path: Path) -> None:
    hashed = subprocess.run(
        ["/usr/bin/openssl", "passwd", "-6", "right-word"], check=True, capture_output=True, text=True
    ).stdout.strip()
    files = {
        "passwd": "dctest:x:64001:64001::/:/bin/false\ndcexpired:x:64002:64001::/:/bin/false\n",
        "group": "dcgroup:x:64001:\n",
        "shadow": f"dctest:{hashed}:19000:0:99999:7:::\ndcexpired:{hashed}:19000:0:99999:7::19001:\n",
    }
    for name, lines in files.items():
        (tmp_path / name).write_text(Path(f"/etc/{name}").read_text() + lines)
    (tmp_path / "shadow").chmod(0o600)
    (tmp_path / "pam.d").mkdir()
    for service in ("dynamiccluster", "other"):
        (tmp_path / "pam.d" / service).write_text(SERVICE)
    command = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(tmp_path), sys.executable, TRY]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told == {"right": True, "wrong": False, "unknown": False, "expired": False, "role": "OPERATOR"}
