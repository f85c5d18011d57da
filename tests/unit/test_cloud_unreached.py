"""``check-cloud`` where the cloud is not reached: each reason by its own words, with what to do about it."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from nova_cloud import RESOURCE, keys
from nova_site import nova_site
from tcp_double import answering

from dynamiccluster.cli import exits
from dynamiccluster.cli.main import main
from dynamiccluster.clouds.aws.check import check as check_aws
from dynamiccluster.clouds.openstack.check import check as check_openstack
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.model.check import Finding, FindingState

KEYS = {
    "access_key_id": "key",
    "secret_access_key": "secret",
    "region_name": "us-east-1",
    "image_id": "ami-12c6146b",
    "instance_type": "c5.large",
}


def openstack(url: str, **more: Any) -> list[Finding]:
    return list(check_openstack(RESOURCE, keys(url, **more), "ours"))


def aws(url: str, **more: Any) -> list[Finding]:
    return list(check_aws(RESOURCE, dict(AwsConfig.model_validate(KEYS | {"endpoint_url": url} | more)), "ours"))


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port on which nobody listens, and that nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def plain(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Speaks TLS with a certificate that no authority has signed."""
    folder = tmp_path_factory.mktemp("tls")
    made = (
        *("/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-subj", "/CN=localhost", "-days", "2", "-keyout", folder / "key", "-out", folder / "crt"),
    )
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "crt", folder / "key")

    def speak(connection: socket.socket) -> None:
        try:
            context.wrap_socket(connection, server_side=True).close()
        except OSError:
            return  # the client has hung up, as it should

    with answering(speak) as port:
        yield port


@pytest.mark.parametrize("look", [openstack, aws], ids=["openstack", "aws"])
class TestEachReason:
    """With the real SDKs and real sockets: their words are what is read."""

    def only(self, findings: list[Finding]) -> Finding:
        (finding,) = findings
        assert (finding.subject, finding.state) == ("connection", FindingState.WRONG)
        assert "password" not in finding.message + finding.fix
        return finding

    def test_nothing_listens(self, look: Callable[..., list[Finding]], deaf: int) -> None:
        finding = self.only(look(f"http://127.0.0.1:{deaf}"))
        assert "nothing listens" in finding.message
        assert "curl -v http://127.0.0.1:" in finding.fix

    def test_a_name_that_nobody_knows(self, look: Callable[..., list[Finding]]) -> None:
        finding = self.only(look("https://nosuch.invalid:5000"))
        assert "https://nosuch.invalid:5000: this machine's DNS does not know the name" in finding.message
        assert "`getent hosts nosuch.invalid`" in finding.fix

    def test_a_certificate_that_nobody_vouches_for(self, look: Callable[..., list[Finding]], self_signed: int) -> None:
        finding = self.only(look(f"https://localhost:{self_signed}"))
        assert "its certificate is not trusted here (self-signed certificate)" in finding.message
        assert "ca_file" in finding.fix or "AWS_CA_BUNDLE" in finding.fix

    def test_no_tls_at_all(self, look: Callable[..., list[Finding]]) -> None:
        with answering(plain) as port:
            finding = self.only(look(f"https://127.0.0.1:{port}"))
        assert "speaks no TLS" in finding.message
        assert "http or https?" in finding.fix

    def test_a_proxy_that_is_not_there(
        self, look: Callable[..., list[Finding]], monkeypatch: pytest.MonkeyPatch, deaf: int
    ) -> None:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{deaf}")
        monkeypatch.delenv("no_proxy", raising=False)
        finding = self.only(look("https://cloud.example.org:5000"))
        assert "the proxy before it cannot be reached" in finding.message
        assert "https_proxy" in finding.fix


def test_an_auth_url_without_a_version_that_is_not_reached(deaf: int) -> None:
    config = {**keys("http://x"), "auth_url": f"http://127.0.0.1:{deaf}"}
    (finding,) = check_openstack(RESOURCE, config, "ours")
    assert (finding.subject, "nothing listens" in finding.message) == ("connection", True)


def test_a_wrong_password_is_something_else() -> None:
    with nova_site() as site:
        (finding,) = openstack(site.url, password="wrong")
    assert (finding.subject, finding.state) == ("credentials", FindingState.DENIED)
    assert "Check username, password" in finding.fix


def test_an_auth_url_that_is_no_keystone() -> None:
    with nova_site() as site:
        config = {**keys(site.url), "auth_url": f"{site.url}/compute/v2.1"}
        (finding,) = check_openstack(RESOURCE, config, "ours")
    assert (finding.subject, finding.state) == ("credentials", FindingState.WRONG)
    assert "Keystone's address" in finding.fix


CONFIG = """dynamic-cluster: {cluster_id: lab}
cluster: {type: slurm}
cloud:
  menu:
    type: xspot
    quantity: {min: 0, max: 4}
    config:
      region_name: us-east-1
      endpoint_url: http://127.0.0.1:PORT
      access_key_id: key
      secret_access_key: secret
      image_id: ami-12345678
      on_demand_types: [c5, m5.large]
      availability_zones: [us-east-1a]
"""


def test_a_menu_asks_who_we_are_before_anything_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, deaf: int
) -> None:
    file = tmp_path / "dc.yaml"
    file.write_text(CONFIG.replace("PORT", str(deaf)), encoding="utf-8")
    result = CliRunner().invoke(main, ["check-cloud", "-c", str(file), "menu"])
    assert result.exit_code == exits.BAD_CONFIG
    assert result.stderr == ""
    assert not [one for one in caplog.records if one.name.startswith(("dynamiccluster", "boto"))]
    assert "['" not in result.output
    assert result.stdout.count("connection") == 1
    assert "1 thing looked at, 1 not as it should be" in result.stdout
