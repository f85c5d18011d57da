"""Secrets in every key that the configuration's schema calls secret: none comes out of documents, messages or the log.

The keys are found in the schema: one that is new is tested from its first day, or this fails. A running service with
all of them is in ``test_service_leaks``.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
import typing
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

import dynamiccluster.config as config_package
from dynamiccluster.config.fields import Section
from dynamiccluster.config.redact import redacted, secret_values

PLANTED = "Zq9-planted-in-a-secret-key"


def sections() -> Iterator[type[Section]]:
    """Every section of the configuration."""
    for module in pkgutil.iter_modules(config_package.__path__):
        if module.name.startswith("schema"):
            found = import_module(f"dynamiccluster.config.{module.name}")
            for _, one in inspect.getmembers(found, inspect.isclass):
                if issubclass(one, Section) and one.__module__ == found.__name__:
                    yield one


def holds_secret(kind: Any) -> bool:
    return kind is SecretStr or any(holds_secret(part) for part in typing.get_args(kind))


SECRETS = sorted(
    {
        (one.__name__, name)
        for one in sections()
        for name, field in one.model_fields.items()
        if holds_secret(field.annotation)
    }
)
BY_NAME = {one.__name__: one for one in sections()}


def test_the_schema_has_secrets() -> None:
    names = {name for _, name in SECRETS}
    assert {"password", "secret_access_key", "application_credential_secret", "secret"} <= names


@pytest.mark.parametrize(("section", "name"), SECRETS)
def test_each_secret_key_is_hidden_in_documents_messages_and_logs(section: str, name: str) -> None:
    kind = BY_NAME[section]
    within = typing.get_origin(kind.model_fields[name].annotation) is dict
    value: Any = {"inside": SecretStr(PLANTED)} if within else SecretStr(PLANTED)
    needed = {other: None for other, field in kind.model_fields.items() if field.is_required()}
    made = kind.model_construct(**(needed | {name: value}))
    assert PLANTED not in json.dumps(redacted(made), default=str)
    assert PLANTED not in repr(made)
    assert PLANTED in secret_values(made)  # so that the log's filter knows it

    class Whole(BaseModel):
        part: Any

    assert PLANTED not in json.dumps(redacted(Whole(part=made)), default=str)
