"""Accounting for the test bed ``slurm``: a MariaDB on a socket of its own, and a slurmdbd in front of it.

Both run in the head's namespaces, so that whatever ends these ends them, too. The database listens on no network.
"""

from __future__ import annotations

import pathlib
import subprocess
import time
from collections.abc import Mapping, Sequence

PACKAGES = ("slurmdbd", "slurm-wlm-mysql-plugin", "mariadb-server")
NOT_SLURM = frozenset({"mariadb-server"})
"""May be the machine's own: only its programs are used, with other files and another socket."""

SLURM_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={head}
AccountingStoragePort=6819
AccountingStoragePass={prefix}/munge/sock
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu,license/matlab"""

SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={prefix}/munge/sock
DbdHost=head
DbdAddr={head}
DbdPort=6819
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=slurm
StoragePass=bed
StorageLoc=slurm_acct_db
LogFile={prefix}/log/slurmdbd.log
PidFile={prefix}/run/slurmdbd.pid
"""

GRANTS = (
    "create database if not exists slurm_acct_db; "
    "create user if not exists slurm@localhost identified by 'bed'; "
    "grant all on slurm_acct_db.* to slurm@localhost"
)


def start(prefix: pathlib.Path, head: str, inside: Sequence[str], environment: Mapping[str, str]) -> str:
    """Start both; "" or what went wrong. ``inside``: before a command that is to run on the head."""
    database = prefix / "db"
    database.mkdir()
    subprocess.run((*inside, "chown", "mysql:mysql", str(database)), check=True)
    socket = f"{database}/sock"
    own = ("--no-defaults", "--user=mysql", f"--datadir={database}/data")
    log = (prefix / "log" / "mariadb.log").open("ab")
    install = (*inside, "mariadb-install-db", *own, "--skip-test-db", "--auth-root-authentication-method=socket")
    if subprocess.run(install, stdout=log, stderr=log, check=False).returncode:
        return f"mariadb-install-db failed; see {log.name}"
    small = ("--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0")
    subprocess.Popen(
        (*inside, "mariadbd", *own, *small, f"--socket={socket}", "--skip-networking", f"--pid-file={database}/pid"),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    if not _answers((*inside, "mariadb-admin", "--no-defaults", "-S", socket, "ping")):
        return f"mariadbd does not answer; see {log.name}"
    grant = (*inside, "mariadb", "--no-defaults", "-S", socket, "-e", GRANTS)
    if subprocess.run(grant, stderr=log, check=False).returncode:
        return f"the database could not be made; see {log.name}"
    conf = prefix / "etc" / "slurmdbd.conf"
    conf.write_text(SLURMDBD_CONF.format(prefix=prefix, head=head))
    conf.chmod(0o600)
    with_socket = {**environment, "MYSQL_UNIX_PORT": socket}  # "localhost" is there for libmariadb
    subprocess.run(
        (*inside, "unshare", "--uts", "sh", "-c", "hostname head; exec slurmdbd"), env=with_socket, check=False
    )
    manager = (*inside, "sacctmgr", "-i")
    if not _answers((*manager, "add", "cluster", "testbed"), environment):
        return f"slurmdbd does not answer; see {prefix}/log/slurmdbd.log"
    return ""


def _answers(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> bool:
    for _ in range(120):
        if subprocess.run(argv, env=environment, capture_output=True, check=False).returncode == 0:
            return True
        time.sleep(0.25)
    return False
