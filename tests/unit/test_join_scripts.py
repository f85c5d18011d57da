"""The shipped join scripts and user-data templates on a machine of stand-ins; tests/system has real schedulers."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamiccluster.clouds.userdata import UserData
from dynamiccluster.errors import BadConfigError
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource

ROOT = Path(__file__).resolve().parents[2]
JOIN = ROOT / "scripts" / "join"
SCRIPTS = ("htcondor", "lsf", "sge", "slurm", "torque")
PROGRAMS = ("slurmd", "munged", "systemctl", "pbs_mom", "condor_master", "lim", "res", "sbatchd", "sge_execd", "chown")
SECRET = "s3cret-of-the-site"
STAND_IN = '#!/bin/sh\necho "$(basename "$0") $*" >>"$LOG"\n'
OTHERS = {
    "hostname": STAND_IN + 'if [ $# -gt 0 ]; then echo "$1" >"$NAME"; else cat "$NAME"; fi\n',
    "scontrol": STAND_IN
    + 'test -e "$LOG.known" || { : >"$LOG.known"; exit 1; }\necho "NodeName=wn-1 Gres=gpu:a100:2 State=IDLE"\n',
    "pgrep": "#!/bin/sh\nexit 1\n",
    "getent": STAND_IN + 'test -e "$LOG.resolves" || { : >"$LOG.resolves"; exit 2; }\n',
    "sleep": "#!/bin/sh\n",
}


class Machine:
    """A new machine: ``root`` is what the scripts write to, ``log`` which programs were called with which words."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.root = place / "root"
        self.bin = place / "bin"
        self.log = place / "log"
        self.conf = place / "join.conf"
        self.bin.mkdir()
        for name, text in {**dict.fromkeys(PROGRAMS, STAND_IN), **OTHERS}.items():
            self.program(name, text)
        if real := shutil.which("curl"):
            self.program("curl", STAND_IN + f'exec {real} "$@"\n')
        (place / "name").write_text("wn-1.example.org\n")
        self.log.touch()

    def program(self, name: str, text: str) -> None:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def run(self, script: str, *words: str, metadata: str = "http://127.0.0.1:9") -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "LOG": str(self.log),
            "NAME": str(self.place / "name"),
            "JOIN_ROOT": str(self.root),
            "JOIN_METADATA": metadata,
            "JOIN_CONFIG_DRIVE": str(self.place / "drive"),
        }
        self.conf.touch()
        argv = ["/bin/sh", str(JOIN / script), "--conf", str(self.conf), *words]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=30, check=False)

    def text(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# -- one scheduler after the other ---------------------------------------------------------------------------------


def test_slurm_waits_until_it_is_known_and_registers_with_its_gpus(machine: Machine) -> None:
    (machine.place / "slurm.conf").touch()
    done = machine.run("slurm", f"slurm_conf={machine.place}/slurm.conf", "foreground=yes")
    assert done.returncode == 0, done.stderr
    assert "waiting until Slurm knows wn-1" in done.stderr
    assert machine.calls[-1] == "slurmd -D -b -Z -N wn-1 --conf Gres=gpu:a100:2"


def test_slurm_without_files_gets_key_and_configuration(machine: Machine) -> None:
    machine.conf.write_text(f"head=ctl.example.org:6817\nmunge_key_command=echo {SECRET}\n# a remark\n")
    assert machine.run("slurm").returncode == 0
    assert machine.text("/etc/munge/munge.key") == f"{SECRET}\n"
    assert (machine.root / "etc/munge/munge.key").stat().st_mode & 0o777 == 0o600
    options = 'SLURMD_OPTIONS="--conf-server ctl.example.org:6817 -b -Z -N wn-1"'
    assert options in machine.text("/etc/default/slurmd")
    assert machine.calls[-3:] == [
        f"chown munge {machine.root}/etc/munge/munge.key.new",
        "systemctl restart munge",
        "systemctl restart slurmd",
    ]


def test_nodes_that_slurm_itself_switches_are_no_dynamic_ones(machine: Machine) -> None:
    assert machine.run("slurm", "head=ctl", "provisioning=scheduler", "foreground=yes").returncode == 0
    assert machine.calls[-1] == "slurmd -D --conf-server ctl -b -N wn-1"


def test_grid_engine_starts_its_daemon_again_and_again(machine: Machine) -> None:
    machine.program("sge_execd", STAND_IN + '[ "$(grep -c sge_execd "$LOG")" -lt 3 ] || kill -9 $$\n')
    done = machine.run("sge", "sge_root=/opt/sge", "head=qm", "foreground=yes", "execd_port=6445")
    assert done.returncode == 137, done.stderr
    assert "waiting until wn-1 has an address" in done.stderr
    assert sum(call.startswith("sge_execd") for call in machine.calls) == 3
    assert machine.text("/opt/sge/default/common/act_qmaster") == "qm\n"


def test_grid_engine_under_systemd(machine: Machine) -> None:
    assert machine.run("sge", "sge_root=/opt/sge", "sge_cell=prod", "qmaster_port=6444").returncode == 0
    unit = machine.text("/run/systemd/system/dynamiccluster-sge-execd.service")
    assert "Restart=always" in unit
    for word in ("SGE_ROOT=/opt/sge", "SGE_CELL=prod", "SGE_ND=1", "SGE_QMASTER_PORT=6444"):
        assert word in unit
    assert machine.calls[-1] == "systemctl restart dynamiccluster-sge-execd"


def test_torque(machine: Machine) -> None:
    machine.conf.write_text("head=pbs.example.org\nmom_line=$usecp *:/home /home\nmom_line=$loglevel 3\n")
    assert machine.run("torque", "service=torque-mom").returncode == 0
    lines = "$pbsserver pbs.example.org\n$usecp *:/home /home\n$loglevel 3\n"
    assert machine.text("/var/spool/torque/mom_priv/config") == lines
    assert machine.text("/var/spool/torque/server_name") == "pbs.example.org\n"
    assert machine.calls[-1] == "systemctl restart torque-mom"
    assert machine.run("torque", "foreground=yes").returncode == 0
    assert machine.calls[-1] == "pbs_mom -D -H wn-1 -d /var/spool/torque"


def test_lsf(machine: Machine) -> None:
    conf = machine.root / "opt/lsf/lsf.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text('LSF_LOCAL_RESOURCES="[resource old]"\nLSF_DYNAMIC_HOST_WAIT_TIME=60\n')
    words = ("lsf_envdir=/opt/lsf", f"lsf_serverdir={machine.bin}", "features=bigmem,queue_long", "foreground=yes")
    done = machine.run("lsf", *words)
    assert done.returncode == 1  # the stand-in of LIM has ended
    assert "lim of wn-1 has ended" in done.stderr
    assert 'LSF_LOCAL_RESOURCES="[resource bigmem] [resource queue_long]"' in conf.read_text()
    assert "old" not in conf.read_text()
    assert [call.split()[0] for call in machine.calls[-3:]] == ["lim", "res", "sbatchd"]
    conf.write_text("LSF_X=1\n")
    assert "no host can join" in machine.run("lsf", *words).stderr


def test_a_host_of_openlava_lists_itself(machine: Machine) -> None:
    file = machine.root / "opt/ol/lsf.cluster.prod"
    file.parent.mkdir(parents=True)
    recorded = ROOT / "tests/recorded/openlava/lsf.cluster.on_dynamic_host_cn02"
    file.write_text(recorded.read_text())
    words = (
        "flavour=openlava",
        "cluster=prod",
        "lsf_envdir=/opt/ol",
        f"lsf_serverdir={machine.bin}",
        "features=bigmem",
    )
    for _ in range(2):  # again after a reboot
        machine.run("lsf", *words, "foreground=yes")
        lines = file.read_text().splitlines()
        assert [line for line in lines if line.startswith("wn-1 ")] == ["wn-1 DEFAULT linux 1 - (bigmem)"]
        assert len(lines) == len(recorded.read_text().splitlines()) + 1
    assert "cannot be read" in machine.run("lsf", *words, "cluster=other").stderr


def test_htcondor(machine: Machine) -> None:
    (machine.place / "token").write_text(SECRET)
    machine.conf.write_text(
        f"head=cm.example.org\ntoken_file={machine.place}/token\nhold_key_command=printf {SECRET}\n"
        "features=fast,VMType=a\ncores=4\nline=START = $(START) && Owner == \"ada\"\n"
    )  # fmt: skip
    assert machine.run("htcondor", "memory_mib=2000", "foreground=yes").returncode == 0
    written = machine.text("/etc/condor/config.d/90-dynamiccluster.config").splitlines()
    for line in ("CONDOR_HOST = cm.example.org", "fast = True", 'VMType = "a"', "NUM_CPUS = 4", "MEMORY = 2000"):
        assert line in written
    assert written[-1] == 'START = $(START) && Owner == "ada"'
    for path in ("tokens.d/dynamiccluster-join", "passwords.d/DYNAMICCLUSTER"):
        assert (machine.root / "etc/condor" / path).stat().st_mode & 0o777 == 0o600
        assert machine.text(f"/etc/condor/{path}") == SECRET
    assert machine.calls[-1] == "condor_master -f"
    assert SECRET not in machine.log.read_text()


# -- what all of them share ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "words", "said"),
    [
        ("htcondor", (), "the setting head is missing"),
        ("htcondor", ("head=cm", "features=a b;c"), "features: 'b;c'"),
        ("htcondor", ("head=cm", "cores=4x"), "cores: '4x'"),
        ("htcondor", ("head=cm", "token_file=/nowhere"), "the secret token cannot be read from /nowhere"),
        ("htcondor", ("head=cm", "token_command=false"), "the command for the secret token gives none"),
        ("lsf", ("lsf_envdir=/e", "lsf_serverdir=/s", "features=a;b"), "features: 'a;b'"),
        ("lsf", ("lsf_envdir=/e", "lsf_serverdir=/s", "flavour=pbs"), "flavour: lsf or openlava"),
        ("sge", ("sge_root=/r", "sge_execd=/nowhere"), "there is no sge_execd"),
        ("sge", ("sge_root=/r", "qmaster_port=x"), "qmaster_port: 'x'"),
        ("slurm", ("head=a b",), "head: 'a b'"),
        ("slurm", ("slurm_conf=/nowhere",), "/nowhere cannot be read"),
        ("slurm", ("head=a", "provisioning=maybe"), "provisioning: demand or scheduler"),
        ("slurm", ("head=a", "wait=no", "gres=gpu $(id)"), "gres: "),
        ("torque", ("--help",), "unknown word '--help'"),
        ("torque", ("head=pbs", "name_from=dns"), "name_from: dns is none of"),
        ("torque", ("head=pbs", "host_name=../x"), "no source gives this machine a name"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_started(
    machine: Machine, script: str, words: tuple[str, ...], said: str
) -> None:
    done = machine.run(script, *words)
    assert done.returncode == 1
    assert said in done.stderr
    assert not [call for call in machine.calls if call.split()[0] not in ("curl", "hostname", "getent")]
    assert not list(machine.root.rglob("*dynamiccluster.config"))


def test_settings_are_never_executed(machine: Machine) -> None:
    machine.conf.write_text("head=pbs\nmom_line=$(touch /tmp/owned) `touch owned`\nhost=10.0.0.1 pbs; reboot\n")
    assert machine.run("torque").returncode == 0
    assert "$(touch /tmp/owned) `touch owned`" in machine.text("/var/spool/torque/mom_priv/config")
    assert machine.text("/etc/hosts") == "10.0.0.1 pbs; reboot\n"


def test_the_name_of_the_settings_becomes_the_machines(machine: Machine) -> None:
    for _ in range(2):
        assert machine.run("torque", "head=pbs", "host_name=big-7", "host=10.0.0.1 pbs").returncode == 0
    assert (machine.place / "name").read_text() == "big-7\n"
    assert machine.text("/etc/hostname") == "big-7\n"
    assert machine.text("/etc/hosts") == "10.0.0.1 pbs\n"


TOKEN = "AQAEAtoken=="
EC2 = {
    "/latest/meta-data/ami-launch-index": "1",
    "/latest/meta-data/tags/instance/dynamiccluster:nodes.0": "small-aa=n1 small-bb=n2",
    "/latest/meta-data/tags/instance/dynamiccluster:nodes.1": "small-cc",
}
META = {
    "keys": [{"name": "somebodys-key"}],
    "name": "Small 2",
    "hostname": "small-2.novalocal",
    "meta": {"cluster": "c"},
}


class Metadata(http.server.BaseHTTPRequestHandler):
    documents: dict[str, str]
    with_token: bool

    def do_PUT(self) -> None:
        known = self.with_token and self.path == "/latest/api/token"
        self.answer(TOKEN if known and self.headers["X-aws-ec2-metadata-token-ttl-seconds"] else None)

    def do_GET(self) -> None:
        allowed = not self.with_token or self.headers["X-aws-ec2-metadata-token"] == TOKEN
        self.answer(self.documents.get(self.path) if allowed else None)

    def answer(self, text: str | None) -> None:
        self.send_response(404 if text is None else 200)
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def metadata() -> Iterator[tuple[str, type[Metadata]]]:
    handler = type("Handler", (Metadata,), {"documents": {}, "with_token": False})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", handler
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("documents", "with_token", "name"),
    [
        (EC2, True, "small-bb"),
        ({**EC2, "/latest/meta-data/ami-launch-index": "2"}, True, "small-cc"),
        ({**EC2, "/latest/meta-data/ami-launch-index": "3"}, True, "wn-1"),  # no such tag
        ({**EC2, "/latest/meta-data/ami-launch-index": "<html>"}, True, "wn-1"),
        ({"/openstack/latest/meta_data.json": json.dumps(META)}, False, "small-2"),
        ({"/openstack/latest/meta_data.json": json.dumps(META | {"meta": {"host_name": "small-3"}})}, False, "small-3"),
        ({"/openstack/latest/meta_data.json": "<html>"}, False, "wn-1"),
        ({}, False, "wn-1"),
    ],
    ids=[
        "ec2",
        "ec2 next tag",
        "ec2 without tag",
        "ec2 odd",
        "openstack",
        "openstack metadata",
        "openstack odd",
        "none",
    ],
)
def test_a_machine_finds_its_name(
    machine: Machine,
    metadata: tuple[str, type[Metadata]],
    documents: dict[str, str],
    with_token: bool,
    name: str,
) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl, as the machines do")
    url, handler = metadata
    handler.documents, handler.with_token = documents, with_token
    assert machine.run("torque", "head=pbs", "foreground=yes", metadata=url).returncode == 0
    assert machine.calls[-1] == f"pbs_mom -D -H {name} -d /var/spool/torque"
    assert TOKEN not in machine.log.read_text()  # nor any header, on a command line


def test_a_configuration_drive_tells_the_name(machine: Machine) -> None:
    drive = machine.place / "drive/openstack/latest"
    drive.mkdir(parents=True)
    (drive / "meta_data.json").write_text(json.dumps(META))
    assert machine.run("torque", "head=pbs", "foreground=yes").returncode == 0
    assert "small-2" in machine.calls[-1]


# -- the templates -------------------------------------------------------------------------------------------------

RESOURCE = Resource("small", "aws", "t", Capacity(4, 8000, 1), features=frozenset({"fast"}), queues=("long",))
VALUES = {"head": "head.example.org"}


def rendered(name: str, values: dict[str, str]) -> str:
    prepared = UserData(str(ROOT / f"config/userdata/{name}.sh"), "hpc", values).prepare()
    assert prepared.per_node
    return prepared.render("l1", RESOURCE, NodeSpec("n1", "small-1"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_templates_become_user_data_that_joins(machine: Machine, name: str) -> None:
    """Run on the stand-in: only the directories that a script on a machine of its own would use are others."""
    key = b64encode(SECRET.encode()).decode()
    text = rendered(name, {**VALUES, "munge_key": key, "token": key, "hold_key_command": f"printf {SECRET}"})
    assert len(text.encode()) < 16384  # EC2 takes no more
    assert text.startswith("#!/bin/sh\n")
    for there in ("/usr/local/lib/dynamiccluster", "/etc/dynamiccluster"):
        text = text.replace(there, f"{machine.place}{there}")
    text = text.replace("/opt/sge/bin/lx-amd64/", f"{machine.bin}/").replace(
        "\nlsf_serverdir=", f"\nlsf_serverdir={machine.bin}\n#"
    )
    conf = machine.root / "opt/lsf/conf/lsf.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("LSF_DYNAMIC_HOST_WAIT_TIME=60\n")
    script = machine.place / "user-data"
    script.write_text(text)
    environment = {**os.environ, "PATH": f"{machine.bin}:/usr/bin:/bin", "LOG": str(machine.log)}
    environment |= {"NAME": str(machine.place / "name"), "JOIN_ROOT": str(machine.root)}
    done = subprocess.run(["/bin/sh", script], env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert (machine.place / "name").read_text() == "small-1\n"
    assert machine.calls[-1].startswith("systemctl restart ")
    assert SECRET not in machine.log.read_text()


def test_secrets_by_reference_stay_out_of_user_data() -> None:
    text = rendered("slurm", {**VALUES, "munge_key_command": "aws ssm get-parameter --name munge"})
    assert "munge_key_command=aws ssm get-parameter --name munge\n" in text
    assert "munge_key_file=/" not in text


@pytest.mark.parametrize("name", ["../machine", "machine\n", "/etc/passwd", "", ".", "nothing"])
def test_templates_get_no_other_files(tmp_path: Path, name: str) -> None:
    (tmp_path / "join").mkdir()
    (tmp_path / "machine").write_text(SECRET)
    template = tmp_path / "user.sh"
    template.write_text("{{ join_script(" + json.dumps(name) + ") }}")
    with pytest.raises(BadConfigError, match="join script") as caught:
        UserData(str(template), "hpc").prepare().render("l1", RESOURCE, None)
    assert SECRET not in str(caught.value)


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which("shellcheck")
    if not shellcheck:
        pytest.skip("needs shellcheck")
    files = [str(JOIN / name) for name in ("machine", *SCRIPTS)]
    done = subprocess.run([shellcheck, "-x", *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == ""
