"""Secrets reach those who need them and nobody else."""

from __future__ import annotations

import json
import traceback
from pathlib import Path

import pytest
import yaml
from config_files import SMALL, TORQUE, loaded, problems, small
from pydantic import SecretStr

from dynamiccluster.api.redact import redact
from dynamiccluster.config.check import check, render
from dynamiccluster.config.document import read
from dynamiccluster.config.load import load
from dynamiccluster.config.problems import ConfigProblems
from dynamiccluster.config.redact import HIDDEN, is_secret_name, secret_values
from dynamiccluster.config.schema import Settings
from dynamiccluster.config.schema_cloud_aws import AwsResource
from dynamiccluster.config.schema_cloud_openstack import OpenstackResource
from dynamiccluster.config.walk import descend, field_shape, keys, sections
from dynamiccluster.kit.secrets import Redactor

PLANTED = "pl4nted-s3cret"

SECRETS = """
dynamic-cluster:
  cluster_id: test
  admin-server:
    proxy: {addresses: [127.0.0.1], user_header: X-User, secret: KEY-12-of-a-proxy}
  config-checker:
    plugin:
      name: a.B
      arguments: {api_key: KEY-1, nested: {Password: KEY-2}}
cluster:
  type: simulated
cloud:
  os:
    type: openstack
    quantity: {max: 1}
    config: {username: u, password: KEY-3, project: p, auth_url: "https://u:KEY-4@k/v3", image_uuid: i, flavor: f,
             application_credential_id: a, application_credential_secret: KEY-11}
  ec2:
    type: aws
    quantity: {max: 1}
    config: {access_key_id: KEY-5, secret_access_key: KEY-6, image_id: i, instance_type: t, region_name: r,
             proxy: "http://u:KEY-7@proxy"}
plugins:
  notify:
    class_name: a.C
    arguments: {token: KEY-8, url: "https://u:KEY-9@x", list: [{secret: KEY-10}], plain: visible}
""".replace("KEY", PLANTED)


def schema_secrets() -> set[str]:
    """Every key of the schema that holds a secret."""
    found = set()
    for path, model in sections(Settings):
        for key, info in keys(model).items():
            if field_shape(info).phrase.startswith("a secret"):
                found.add(".".join(str(part) for part in (*path, key)))
    return found


def test_the_planted_file_covers_every_secret_key() -> None:
    assert {name.rsplit(".", 1)[-1] for name in schema_secrets()} == {
        "password",
        "application_credential_secret",
        "access_key_id",
        "secret_access_key",
        "secret",
    }
    assert descend(Settings, ("cloud", "x", "type=aws", "config", "secret_access_key"))[1] is not None


def test_nothing_shows_a_planted_secret(tmp_path: Path) -> None:
    result = loaded(tmp_path, SECRETS)
    shown = [
        json.dumps(result.redacted()),
        repr(result.settings.cloud["os"]),
        repr(result.settings.plugins["notify"].arguments["token"]),
        repr(read(result.path)),
        repr(result),
        repr(result.policy),
        "\n".join(map(str, result.notices)),
        "\n".join(render(*check(result.path, schedulers=(), clouds=()))),
    ]
    for number in (3, 5, 6, 8, 10, 11, 12, 1, 2):  # 4, 7 and 9 stand inside URLs, which only ``redacted`` cleans
        for text in shown:
            assert f"{PLANTED}-{number}" not in text
    assert PLANTED not in shown[0]
    assert shown[0].count(HIDDEN) == 12
    assert "visible" in shown[0]


def test_redacted_is_plain_data_under_the_yaml_keys(tmp_path: Path) -> None:
    document = loaded(tmp_path, TORQUE).redacted()
    assert document["dynamic-cluster"]["admin-server"]["port"] == 8002
    assert document["cloud"]["os-res"]["config"]["password"] == HIDDEN
    assert yaml.safe_load(yaml.safe_dump(document)) == document


def test_those_who_need_secrets_get_them(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SECRETS).settings
    assert settings.plugins["notify"].plain_arguments() == {
        "token": f"{PLANTED}-8",
        "url": f"https://u:{PLANTED}-9@x",
        "list": [{"secret": f"{PLANTED}-10"}],
        "plain": "visible",
    }
    checker = settings.general.config_checker
    assert checker is not None
    assert checker.plugin is not None
    assert checker.plugin.plain_arguments()["nested"]["Password"] == f"{PLANTED}-2"


def test_secrets_from_the_environment_and_from_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{PLANTED}\n")
    text = (
        SECRETS.replace(f"{PLANTED}-5", "{from_env: KEY_ID}")
        .replace(f"{PLANTED}-6", "{from_file: key}")
        .replace(f"token: {PLANTED}-8", "token: {from_env: TOKEN}, other: {from_file: key}")
    )
    settings = loaded(tmp_path, text, {"KEY_ID": "id", "TOKEN": "tk"}).settings
    aws = settings.cloud["ec2"]
    assert isinstance(aws, AwsResource)
    assert aws.config.access_key_id == SecretStr("id")
    assert aws.config.secret_access_key == SecretStr(PLANTED)
    assert settings.plugins["notify"].plain_arguments()["token"] == "tk"
    assert settings.plugins["notify"].plain_arguments()["other"] == PLANTED
    assert settings.plugins["notify"].arguments["other"] == SecretStr(PLANTED)


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ("{from_env: MISSING}", "MISSING is not set"),
        ("{from_env: 'a b'}", "does not name an environment variable"),
        ("{from_file: nowhere}", "cannot be read: No such file"),
        ("{from_file: empty}", "is empty"),
        ("{from_file: binary}", "not UTF-8"),
        ("{from_file: a, from_env: b}", "either from_env"),
        ("{from_vault: a}", "either from_env"),
        ("{from_file: 3}", "either from_env"),
        ("yes", "put it in quotes"),
    ],
)
def test_secrets_that_are_not_there(tmp_path: Path, form: str, complaint: str) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xff")
    (problem,) = problems(tmp_path, SECRETS.replace(f"password: {PLANTED}-3", f"password: {form}"))
    assert problem.key == "cloud.os.config.password"
    assert complaint in problem.problem


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("quantity: {max: 1}", "quantity: 1"),
        lambda text: text.replace("password:", "pasword:").replace("secret_access_key", "secret_acces_key"),
        lambda text: text.replace("type: openstack", f"type: {PLANTED}"),
        lambda text: text.replace("type: simulated", f"type: {PLANTED}"),
        lambda text: text.replace("image_id: i", f"image_id: [{PLANTED}]"),
        lambda text: text.replace("cluster_id: test", f"cluster_id: 'x {PLANTED}'\n  max_idle_time: {PLANTED}"),
        lambda text: text.replace("cluster_id: test", f'post_vm_provision_command: "{PLANTED} \'"'),
        lambda text: text.replace("cluster_id: test", f'post_vm_provision_command: "{PLANTED} {{x}} {{9}}"'),
        lambda text: text.replace("cluster_id: test", f"names: {PLANTED}"),
        lambda text: text.replace("image_uuid: i", f"auth_url: {PLANTED}"),
        lambda text: text.replace(f"password: {PLANTED}-3", f"password: *{PLANTED}"),
        lambda text: text.replace(f"password: {PLANTED}-3", f"password: !{PLANTED} x"),
        lambda text: text.replace(f"password: {PLANTED}-3", f"password: %{PLANTED}"),
        lambda text: text.replace(f"password: {PLANTED}-3", f"password: {{{PLANTED}: {PLANTED}}}"),
        lambda text: text.replace(f"password: {PLANTED}-3", f"password: '{PLANTED}"),
        lambda text: text.replace(f"password: {PLANTED}-3", f"password: !!int {PLANTED}"),
        lambda text: text.replace(f"password: {PLANTED}-3", f"password: {{from_file: '{PLANTED}'}}"),
        lambda text: text + f"%{PLANTED}\n",
        lambda text: text + f"  - {PLANTED}\n",
    ],
)
def test_no_error_message_holds_a_value(tmp_path: Path, damage: object) -> None:
    file = tmp_path / "dc.yaml"
    assert callable(damage)
    file.write_text(damage(SECRETS))
    assert damage(SECRETS) != SECRETS
    with pytest.raises(ConfigProblems) as caught:
        load(file, env={})
    said = "\n".join([*map(str, caught.value.problems), str(caught.value), repr(caught.value)])
    said += "".join(traceback.format_exception(caught.value))
    assert PLANTED not in said.replace(f"dynamic-cluster.{PLANTED}", "")


def test_a_literal_secret_in_a_file_that_everybody_can_read_is_mentioned(tmp_path: Path) -> None:
    result = loaded(tmp_path, TORQUE)
    file = Path(result.path)
    about = "every user of this machine can read"
    assert not any(about in notice.text for notice in result.notices)
    file.chmod(0o644)
    noticed = {notice.key for notice in load(file, env={}).notices if about in notice.text}
    assert noticed == {
        "cloud.os-res.config.password",
        "cloud.aws-res.config.access_key_id",
        "cloud.aws-res.config.secret_access_key",
    }
    file.write_text(TORQUE.replace("password: 0123456", "password: {from_env: PW}"))
    noticed = {notice.key for notice in load(file, env={"PW": "x"}).notices if about in notice.text}
    assert "cloud.os-res.config.password" not in noticed


def test_no_credentials_at_all_is_the_sdks_business(tmp_path: Path) -> None:
    text = small(
        rest="  os:\n    type: openstack\n    quantity: {max: 1}\n"
        "    config: {os_cloud: burst, image_uuid: i, flavor: f}\n"
    )
    resource = loaded(tmp_path, text).settings.cloud["os"]
    assert isinstance(resource, OpenstackResource)
    assert resource.config.password is None
    assert loaded(tmp_path, SMALL).redacted()["cloud"]["small"]["type"] == "simulated"


def test_names_of_secrets() -> None:
    for name in (
        "password",
        "db_password",
        "auth_token",
        "apiKey",
        "secret",
        "AWS_SECRET",
        "private-key".replace("-", "_"),
    ):
        assert is_secret_name(name)
    for name in ("passive", "tokens_file", "hostname", "key_name", "prefix", "token_command", "max_tokens", "author"):
        assert not is_secret_name(name)


ARGUMENTS = """
webhook: {url: "https://hooks.example.org/01-KEY?x=02-KEY", token: 03-KEY, ca_file: /ca.pem}
webhook_url: https://hooks.example.org/04-KEY
mail: {to: [ops@example.org], host: mx, username: ops, password: 05-KEY}
auth: 06-KEY
pwd: 07-KEY
tokens: [08-KEY, {a: 09-KEY}]
passwords: {db: 10-KEY}
credentials: {user: ops, key: 11-KEY, deep: {any: [12-KEY]}}
headers: {Authorization: "Bearer 13-KEY", X-Api-Key: 14-KEY, Cookie: 15-KEY}
dsn: "postgres://u:16-KEY@h/x"
signing_key: 17-KEY
encryptionKey: 18-KEY
passcode: 19-KEY
from: {from_env: PLANTED}
url: "https://u:20-KEY@a@h/x?token=21-KEY&from=-1h&key=22-KEY#there"
other: "see https://hooks.slack.com/services/T0/23-KEY-012345"
""".replace("KEY", PLANTED)
"""Wherever arguments of a class have held secrets."""


@pytest.mark.parametrize(
    "name", ["routing_key", "integration_key", "app_key", "user-key", "licenseKey", "hmac_key", "client_key", "ssh_key"]
)
def test_keys_by_which_services_know_their_customers_are_secret(name: str) -> None:
    assert is_secret_name(name)
    assert redact({name: PLANTED}) != {name: PLANTED}


@pytest.mark.parametrize("name", ["key", "public_key", "sort_key", "monkey", "key_name", "ssh_key_file"])
def test_other_keys_are_not(name: str) -> None:
    assert not is_secret_name(name)
    assert redact({name: PLANTED}) == {name: PLANTED}


@pytest.mark.parametrize("at", ["plugins", "checker"])
def test_every_manner_of_argument_is_hidden(tmp_path: Path, at: str) -> None:
    document = yaml.safe_load(SMALL)
    arguments = yaml.safe_load(ARGUMENTS)
    if at == "plugins":
        document["plugins"] = {"site": {"class_name": "a.B", "arguments": arguments}}
    else:
        document["dynamic-cluster"]["config-checker"] = {"plugin": {"name": "a.B", "arguments": arguments}}
    result = loaded(tmp_path, yaml.safe_dump(document), env={"PLANTED": f"24-{PLANTED}"})
    redactor = Redactor()
    redactor.add(*result.secrets())
    shown = json.dumps(redact(result.redacted()))
    secrets = [f"{number:02}-{PLANTED}" for number in range(1, 25)]
    assert [secret for secret in secrets if secret in shown] == []
    assert [secret for secret in secrets if secret in redactor.redact(f"odd: {secret}.")] == []
    assert PLANTED not in json.dumps(result.redacted())  # the API's second lock has nothing to do
    for harmless in ("/ca.pem", "ops@example.org", "from=-1h", "there", "hooks.slack.com"):
        assert harmless in shown
        assert redactor.redact(f"at {harmless}!") == f"at {harmless}!"
    given = result.settings.plugins["site"] if at == "plugins" else result.settings.general.config_checker.plugin
    assert given.plain_arguments() == arguments | {"from": f"24-{PLANTED}"}


def test_parts_of_a_secret_address_are_hidden_in_the_log_too() -> None:
    """What fails says a path, or a host and a query, and not the whole."""
    redactor = Redactor()
    redactor.add(*secret_values(SecretStr("https://u:pass-word-1@h.example.org/hook/abcdefgh?k=ijklmnop")))
    for part in ("/hook/abcdefgh", "ijklmnop", "pass-word-1"):
        assert part not in redactor.redact(f"odd: {part} is odd")
    assert redactor.redact("h.example.org: no answer") == "h.example.org: no answer"


def test_passwords_in_urls_are_hidden_in_the_log_too() -> None:
    """A plug-in's message may quote the URL that it was given."""
    url = "https://ada:in%20the%20url@graphite.example.org/x"
    assert secret_values({"url": url, "plain": "http://host/x", "proxy": "http://token-only@host:1"}) == [
        "in%20the%20url",
        "in the url",
        "token-only",
    ]
