"""The keys of ``plugins:`` and of ``config-checker:``: classes of a site, and their arguments."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, model_validator

from dynamiccluster.config.document import plain
from dynamiccluster.config.fields import ClassPath, Interval, PluginName, Port, Says, Section, secret_text
from dynamiccluster.config.redact import is_harmless_name, is_secret_name


class PortCheck(Section):
    """A machine is configured once it accepts connections on a TCP port."""

    number: Port = Field(description="The TCP port to try.", examples=[15002])
    timeout_s: Interval = Field(5.0, description="How long one try may take.", examples=[5])


def _argument(value: Any, key: str, info: ValidationInfo, secret: bool = False) -> Any:
    """``secret``: it stands within something that is named like a secret."""
    if isinstance(value, dict) and set(value) & {"from_env", "from_file"}:
        return SecretStr(str(secret_text(value, info)))
    if isinstance(value, dict):
        within = secret or is_secret_name(key)
        return {
            name: _argument(item, str(name), info, within and not is_harmless_name(str(name)))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_argument(item, key, info, secret) for item in value]
    if (secret or is_secret_name(key)) and value is not None and not isinstance(value, bool | SecretStr):
        return SecretStr(str(secret_text(value, info)))
    return plain(value)


def _arguments(value: Any, info: ValidationInfo) -> Any:
    return _argument(value, "", info) if isinstance(value, dict) else value


def _bare(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items()}
    return [_bare(item) for item in value] if isinstance(value, list) else value


Arguments = Annotated[dict[str, Any], BeforeValidator(_arguments), Says("a mapping of arguments")]


class PluginCheck(Section):
    """A machine is configured once a class of the site says so."""

    name: ClassPath = Field(
        description="The checker class: `dynamiccluster.checkers.salt.SaltChecker` (by its old path "
        "`dynamiccluster.salt.SaltChecker` too), `dynamiccluster.checkers.script.ScriptChecker`, or one of the site.",
        examples=["dynamiccluster.salt.SaltChecker"],
    )
    arguments: Arguments = Field(
        default_factory=dict, description="Keyword arguments of its constructor.", examples=[{"timeout": 5}]
    )

    def plain_arguments(self) -> dict[str, Any]:
        """The arguments with their secrets in the clear, to be passed on and never logged."""
        found: dict[str, Any] = _bare(self.arguments)
        return found


class ConfigChecker(Section):
    """How to find out that a new machine is configured and may join the cluster. Exactly one of the two."""

    port: PortCheck | None = Field(None, description="Ask a TCP port.")
    plugin: PluginCheck | None = Field(None, description="Ask a class.")

    @model_validator(mode="after")
    def _one(self) -> ConfigChecker:
        if (self.port is None) == (self.plugin is None):
            raise ValueError("give exactly one of port and plugin")
        return self


class Plugin(Section):
    """A class of the site that watches the cluster, started with the service."""

    class_name: PluginName = Field(
        description="The class: `graphite` (also `dynamiccluster.plugins.graphite.GraphiteReporter`, or by its old "
        "path `dynamiccluster.graphite.GraphiteReporter`), `notify`, a class of the site by its path, or the name that "
        "an installed package gives to its plug-in (entry point group `dynamiccluster.plugins`).",
        examples=["dynamiccluster.graphite.GraphiteReporter", "notify"],
    )
    arguments: Arguments = Field(
        default_factory=dict,
        description="Keyword arguments of its constructor. Secrets may be given as {from_env: NAME} or "
        "{from_file: PATH}.",
        examples=[{"hostname": "localhost", "port": 2003, "prefix": "headnode.dynamiccluster"}],
    )

    def plain_arguments(self) -> dict[str, Any]:
        """The arguments with their secrets in the clear, to be passed on and never logged."""
        found: dict[str, Any] = _bare(self.arguments)
        return found
