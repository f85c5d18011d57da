"""Calls of the SDK: credentials, time limits, no retries, and errors in our words.

Of openstacksdk its configuration, sessions and service catalogue are used; requests and replies are the documents of
the APIs themselves, as in the API reference and in ``tests/recorded/openstack``.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from keystoneauth1 import exceptions as keystone
from keystoneauth1.adapter import Adapter
from openstack import exceptions as sdk
from openstack.config import get_cloud_region
from openstack.config.cloud_region import CloudRegion
from requests import exceptions as http
from urllib3 import exceptions as wire

from dynamiccluster.clouds.openstack.error_map import mapped, message_in
from dynamiccluster.errors import (
    AuthError,
    BadConfigError,
    DynamicClusterError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from dynamiccluster.kit.exclusive import Exclusive

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 45.0
"""A page of 1000 servers takes nova up to 10 s on a slow machine; the engine gives a poll 120 s, a launch 180 s."""

MICROVERSION = (2, 69)
"""Of nova (Stein, 2019), or the highest that it has. From 2.69 a list names servers whose cell does not answer, where
before it left them out; 2.67 has types of boot volumes, 2.61 properties in the list of flavors."""

SHARED = (
    *("os_cloud", "username", "password", "project", "auth_url", "user_domain_name", "project_domain_name"),
    *("application_credential_id", "application_credential_secret", "region_name", "interface", "ca_file"),
)
"""Keys of a connection, which the resources of a tenancy share."""

Service = Literal["compute", "network", "image", "block-storage"]
_VERSIONS: Mapping[Service, str | None] = {"compute": "2", "network": None, "image": "2", "block-storage": "3"}

_NEVER_SENT = (wire.NewConnectionError, wire.ConnectTimeoutError, wire.NameResolutionError)


class OpenstackCalls:
    """One connection to one project, made when it is first needed. ``config``: the keys :data:`SHARED`."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._made = Exclusive()
        self._region: CloudRegion | None = None
        self._adapters: dict[Service, Adapter] = {}
        self._before = dict.fromkeys(_VERSIONS, "")
        self._microversion = ""

    def has(self, service: Service) -> bool:
        """Whether the cloud's catalogue has such a service.

        :raises DynamicClusterError: the catalogue cannot be had.
        """
        with self._errors():
            try:
                return self._adapter(service).get_endpoint() is not None
            except keystone.EndpointNotFound:
                return False

    def get(self, service: Service, path: str, **query: Any) -> Mapping[str, Any]:
        """The document at a path of a service."""
        return self._asked(service, "GET", path, params=query)

    def send(
        self, service: Service, method: str, path: str, body: Any = None, *, launching: bool = False
    ) -> Mapping[str, Any]:
        """A change. ``launching``: a machine may come of it, so that a lost reply is an unknown outcome."""
        if launching:
            with self._errors():  # a new token may be needed, and its failure is not the launch's
                self._adapter(service).get_token()
        return self._asked(service, method, path, launching=launching, json=body)

    def pages(self, service: Service, path: str, key: str, **query: Any) -> Iterator[Mapping[str, Any]]:
        """Every element under ``key`` of a paged list. A page that fails raises: no list is half a list.

        :raises TransientError: a reply without such a list, or a page after the first is refused: what it was to begin
            with has gone meanwhile.
        """
        first = True
        while True:
            try:
                page = self.get(service, path, **query)
            except BadConfigError as error:
                if first:
                    raise
                raise TransientError(f"{path}: the list changed while it was read: {error}") from error
            found = page.get(key)
            if not isinstance(found, list):
                raise TransientError(f"{path}: the reply has no {key}")
            yield from found
            following = _next(page, key)
            if not following or not found:
                return
            if all(query.get(name) == value for name, value in following.items()):
                raise TransientError(f"{path}: the pages go round in circles")
            query, first = query | following, False

    def _asked(
        self, service: Service, method: str, path: str, *, launching: bool = False, **more: Any
    ) -> Mapping[str, Any]:
        with self._errors(launching=launching):
            adapter = self._adapter(service)
            if service == "compute":
                more["microversion"] = self._version_of(adapter)
            reply = adapter.request(
                f"{self._before[service]}{path}",
                method,
                raise_exc=False,
                log=False,  # debugging would write user data, with its secrets, into the log
                timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                **more,
            )
        try:
            body = reply.json() if reply.content else {}
        except ValueError:
            body = None
        if reply.status_code >= 400:
            raise mapped(reply.status_code, message_in(body), launching=launching)
        if not isinstance(body, Mapping):
            raise (UnknownOutcomeError if launching else TransientError)(f"{path}: the reply is not a JSON object")
        return body

    def _adapter(self, service: Service) -> Adapter:
        with self._made.after(lambda: None):
            if self._region is None:
                self._region = _region(self._config)
            if service not in self._adapters:
                adapter = _adapter(self._region, service)
                if service == "network":  # neutron's catalogue entry is without a version, and often not even that
                    endpoint = str(adapter.get_endpoint() or "").rstrip("/")
                    self._before[service] = "" if endpoint.endswith("/v2.0") else "/v2.0"
                self._adapters[service] = adapter
            return self._adapters[service]

    def _forget(self) -> None:
        """The SDK remembers a catalogue that it could not read, and credentials that hold no more."""
        with self._made.after(lambda: None):
            self._region, self._adapters = None, {}

    def _version_of(self, nova: Adapter) -> str:
        if not self._microversion:
            told = nova.get_endpoint_data()
            highest = getattr(told, "max_microversion", None)
            if highest is None:
                return _text(MICROVERSION)
            self._microversion = _text(min(MICROVERSION, tuple(highest)))
        return self._microversion

    @contextmanager
    def _errors(self, *, launching: bool = False) -> Iterator[None]:
        try:
            yield
        except (keystone.ClientException, sdk.SDKException, http.RequestException, OSError, ValueError) as error:
            known = of_sdk(error, launching=launching)
            if isinstance(known, AuthError | BadConfigError):
                self._forget()
            raise known from error


def _region(config: Mapping[str, Any]) -> CloudRegion:
    """Where the cloud is and how to speak to it; nothing is asked of it yet."""
    try:
        with warnings.catch_warnings():  # of things that the SDK is going to drop, and that nobody has configured
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            return get_cloud_region(app_name="dynamiccluster", **region_options(config))
    except (sdk.SDKException, keystone.ClientException, OSError):
        raise
    except Exception as error:  # plain ones, for a missing password among others
        raise BadConfigError(f"clouds.yaml or the keys of the cloud: {error}") from error


def _adapter(region: CloudRegion, service: Service) -> Adapter:
    """Without the retries, caches and counters that clouds.yaml can switch on: a cached list would be a wrong one."""
    version = _VERSIONS[service]
    return Adapter(
        region.get_session(),
        service_type=region.get_service_type(service),
        service_name=region.get_service_name(service),
        interface=region.get_interface(service),
        region_name=region.get_region_name(service),
        endpoint_override=region.get_endpoint(service),
        connect_retries=0,
        status_code_retries=0,
        min_version=version,
        max_version=f"{version}.latest" if version else None,
    )


def region_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``get_cloud_region`` for the keys of a tenancy."""
    secret, password = config["application_credential_secret"], config["password"]
    auth: dict[str, Any] = {}
    kind = None
    if config["application_credential_id"]:
        kind = "v3applicationcredential"
        auth = {
            "application_credential_id": config["application_credential_id"],
            "application_credential_secret": secret.get_secret_value() if secret else None,
        }
    elif config["username"]:
        kind = "password"
        auth = {
            "username": config["username"],
            "password": password.get_secret_value() if password else None,
            "project_name": config["project"],
            "user_domain_name": config["user_domain_name"],
            "project_domain_name": config["project_domain_name"],
        }
    if config["auth_url"]:
        auth["auth_url"] = _version_3(config["auth_url"])
    own = kind is not None and not config["os_cloud"]
    options = {
        "cloud": config["os_cloud"],
        "load_yaml_config": False if own else None,
        "load_envvars": False if own else None,
        "auth_type": kind,
        "auth": auth or None,
        "region_name": config["region_name"],
        "interface": config["interface"],
        "cacert": config["ca_file"],
        "api_timeout": READ_TIMEOUT_S,
    }
    return {key: value for key, value in options.items() if value is not None}


def of_sdk(error: Exception, *, launching: bool) -> DynamicClusterError:
    """What the SDK raises, as ours. Replies of the services do not come this way, except Keystone's."""
    text = f"{type(error).__name__}: {error}"[:500]
    if "certificate verify failed" in str(error).lower():  # Keystone's comes as a failure of discovery
        return BadConfigError(text)
    match error:
        case keystone.HttpError():  # a token was refused, so whatever needed it was not done
            return _of_keystone(error, text)
        case keystone.EndpointNotFound() | sdk.ConfigException() | sdk.EndpointNotFound() | sdk.NotSupported():
            return BadConfigError(text)
        case keystone.AuthPluginException() | keystone.AuthorizationFailure():
            return AuthError(text)
        case keystone.DiscoveryFailure():
            return TransientError(text)
        case ValueError() if not isinstance(error, http.RequestException):
            return BadConfigError(text)  # of clouds.yaml or a URL
    if isinstance(error, OSError) and not isinstance(error, http.RequestException):
        return BadConfigError(text)  # clouds.yaml or a certificate file cannot be read
    return UnknownOutcomeError(text) if launching and not never_sent(error) else TransientError(text)


def never_sent(error: BaseException) -> bool:
    """Whether no connection came about. The SDK has one word for all time-outs, so the causes below it are asked."""
    seen: BaseException | None = error
    while seen is not None:
        below = seen.args[0] if seen.args else None
        if isinstance(seen, (http.ConnectTimeout, *_NEVER_SENT)):
            return True
        if isinstance(getattr(below, "reason", None), _NEVER_SENT):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _of_keystone(error: keystone.HttpError, text: str) -> DynamicClusterError:
    status = int(error.http_status or 0)
    if status == 429:
        return ThrottledError(text)
    return TransientError(text) if status >= 500 or status == 408 else AuthError(text)


def _next(page: Mapping[str, Any], key: str) -> dict[str, str]:
    """The query of the next page: nova, neutron and cinder give ``KEY_links``, glance a ``next``."""
    links = page.get(f"{key}_links") or ()
    addresses = [link.get("href", "") for link in links if link.get("rel") == "next"] or [page.get("next") or ""]
    return dict(parse_qsl(urlsplit(addresses[0]).query))


def _version_3(url: str) -> str:
    """Version 2 of Keystone's API is gone since 2018, but stands in many files."""
    head, slash, version = url.rstrip("/").rpartition("/")
    return f"{head}{slash}v3" if version == "v2.0" else url


def _text(version: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in version)
