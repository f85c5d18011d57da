"""How the adapter gets at an OpenStack cloud: passwords, application credentials, clouds.yaml, tokens."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from nova_cloud import BASE, RESOURCE, cloud, specs
from nova_neighbours import SECRET
from nova_site import Fault, NovaSite, nova_site
from pydantic import ValidationError

from dynamiccluster.clouds.openstack.adapter import OpenstackCloud
from dynamiccluster.clouds.openstack.build import build
from dynamiccluster.config.schema_cloud_openstack import OpenstackConfig
from dynamiccluster.errors import AuthError, BadConfigError, TransientError
from dynamiccluster.kit.clock import SystemClock


@pytest.fixture
def site() -> Iterator[NovaSite]:
    with nova_site() as running:
        yield running


def test_a_wrong_password_is_a_matter_of_credentials(site: NovaSite) -> None:
    with pytest.raises(AuthError):
        cloud(site, password="wrong").list_instances()


def test_application_credentials(site: NovaSite) -> None:
    none = {"username": None, "password": None, "project": None}
    credential = {"application_credential_id": "a", "application_credential_secret": "right"}
    assert cloud(site, **none, **credential).list_instances().instances == ()
    with pytest.raises(AuthError):
        cloud(site, **none, **credential | {"application_credential_secret": "wrong"}).list_instances()


@pytest.fixture
def clouds_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "clouds.yaml"
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    return file


def entry(site: NovaSite, password: str = SECRET) -> str:
    """A clouds.yaml with one cloud, which wants retries and caches."""
    auth = f"username: hpc, password: {password}, project_name: burst, user_domain_name: Default"
    return (
        "cache: {expiration_time: 3600, expiration: {server: 3600}}\n"
        "clouds:\n  burst:\n    compute_status_code_retries: 5\n"
        f"    auth: {{{auth}, project_domain_name: Default, auth_url: '{site.url}/identity/v3'}}\n"
    )


def named(name: str) -> OpenstackCloud:
    """By its entry in clouds.yaml alone."""
    keys = BASE | dict.fromkeys(("username", "password", "project", "auth_url")) | {"cloud": name}
    return build("t", {"small": dict(OpenstackConfig.model_validate(keys))}, "o", SystemClock())


def test_clouds_yaml(site: NovaSite, clouds_file: Path) -> None:
    clouds_file.write_text(entry(site))
    ours = named("burst")
    assert ours.list_instances().instances == ()
    ours.launch("l", RESOURCE, specs("a-1"))
    assert len(ours.list_instances().instances) == 1  # the cache of clouds.yaml is not used
    site.faults.append(Fault("GET", "/servers/detail", 503))
    asked = len(site.asked)
    with pytest.raises(TransientError):
        ours.list_instances()
    assert len(site.asked) == asked + 1  # nor are its retries
    with pytest.raises(BadConfigError, match="was not found"):
        named("nope").list_instances()


def test_a_password_that_is_mended_in_clouds_yaml_is_used_at_the_next_poll(site: NovaSite, clouds_file: Path) -> None:
    clouds_file.write_text(entry(site, "wrong"))
    ours = named("burst")
    with pytest.raises(AuthError):
        ours.list_instances()
    clouds_file.write_text(entry(site))
    assert ours.list_instances().instances == ()


def test_tokens_that_expire_or_are_revoked_are_renewed(site: NovaSite) -> None:
    ours = cloud(site)
    ours.list_instances()
    site.tokens.clear()
    assert ours.list_instances().instances == ()
    site.token_s = 10.0  # renewed 30 s before it ends, that is at each call
    site.tokens.clear()
    ours.list_instances()
    assert len(ours.launch("l", RESOURCE, specs("a-1"))) == 1


def test_credentials_that_were_wrong_are_read_again(site: NovaSite) -> None:
    ours = cloud(site)
    site.faults.append(Fault("POST", "/auth/tokens", "exc_auth_bad_password", times=1))
    with pytest.raises(AuthError):
        ours.list_instances()
    assert ours.list_instances().instances == ()


def test_an_unknown_region_is_a_matter_of_configuration(site: NovaSite) -> None:
    with pytest.raises(BadConfigError):
        cloud(site, region_name="nowhere").list_instances()


def test_an_interface_that_the_cloud_does_not_have_is_a_matter_of_configuration(site: NovaSite) -> None:
    with pytest.raises(BadConfigError):
        cloud(site, interface="internal").list_instances()


def test_a_cloud_whose_certificate_is_the_site_s_own_needs_its_file(tmp_path: Path) -> None:
    certificate, key = str(tmp_path / "tls.crt"), str(tmp_path / "tls.key")
    issue = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    argv = ("/usr/bin/openssl", *issue, *names, "-out", certificate, "-keyout", key)
    subprocess.run(argv, check=True, capture_output=True)
    with nova_site((certificate, key)) as site:
        assert len(cloud(site, ca_file=certificate).launch("l", RESOURCE, specs("a-1"))) == 1
        with pytest.raises(BadConfigError, match="certificate"):
            cloud(site).list_instances()


def test_nobody_there(site: NovaSite) -> None:
    with pytest.raises(TransientError):
        cloud(site, auth_url="http://127.0.0.1:1/v3").launch("l", RESOURCE, specs("a-1"))


@pytest.mark.parametrize(
    "more",
    [
        {"application_credential_id": "a", "auth_url": "http://k/v3"},
        {"application_credential_secret": "s"},
        {"application_credential_id": "a", "application_credential_secret": "s"},
    ],
    ids=["no secret", "no id", "no server"],
)
def test_half_a_credential_is_refused(more: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="application_credential_id"):
        OpenstackConfig.model_validate({"image_uuid": "i", "flavor": "f", **more})


def test_the_entry_of_clouds_yaml_has_one_name() -> None:
    with pytest.raises(ValidationError, match="one of them"):
        OpenstackConfig.model_validate({"image_uuid": "i", "flavor": "f", "cloud": "a", "os_cloud": "b"})
