"""Calls of boto3's low-level clients: credentials, time limits, no retries, and errors in our words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.parsers import ResponseParserError

from dynamiccluster.clouds.aws.error_map import mapped
from dynamiccluster.errors import AuthError, BadConfigError, DynamicClusterError, TransientError, UnknownOutcomeError

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0

_LONGEST = 500
"""Characters of an error: a reply that cannot be read is quoted whole in its."""

_NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError)
_NO_PROXY = frozenset({"NewConnectionError", "ConnectTimeoutError"})  # of the SDK's own HTTP library
_NO_TUNNEL = "Tunnel connection failed"
_CERTIFICATE = "certificate verify failed"
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)


class AwsCalls:
    """Clients of one tenancy, made when they are first needed.

    ``config``: the keys ``region_name access_key_id secret_access_key profile_name endpoint_url proxy proxy_port
    validate_certs``. The SDK's own retries are off: it would repeat a launch that found no capacity four times.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self._clients: dict[str, Any] = {}

    def in_region(self, region: str) -> AwsCalls:
        """The same account elsewhere."""
        return AwsCalls({**self._config, "region_name": region})

    def client(self, service: str) -> Any:
        """A low-level client; they may be used from several threads.

        :raises AuthError: there are no credentials to be had.
        :raises BadConfigError: no such region or profile.
        """
        client = self._clients.get(service)
        if client is None:
            with self.errors():
                client = self._clients[service] = self._made(service)
        return client

    def _made(self, service: str) -> Any:
        config = self._config
        key, secret = config["access_key_id"], config["secret_access_key"]
        session = boto3.session.Session(
            aws_access_key_id=key.get_secret_value() if key else None,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            profile_name=config["profile_name"],
            region_name=config["region_name"],
        )
        proxy = f"http://{config['proxy']}:{config['proxy_port'] or 3128}" if config["proxy"] else ""
        return session.client(
            service,
            endpoint_url=config["endpoint_url"],
            verify=config["validate_certs"],
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"total_max_attempts": 1, "mode": "standard"},
                max_pool_connections=10,
                proxies={"http": proxy, "https": proxy} if proxy else None,
                user_agent_extra="dynamiccluster",
            ),
        )

    def pages(self, ask: Callable[..., Mapping[str, Any]], key: str, **parameters: Any) -> Iterator[Any]:
        """Every element under ``key`` of a paged answer. A page that fails raises: no list is half a list.

        :raises TransientError: also if the answer has no such list, as an empty one of EC2's has.
        """
        token = None
        while True:
            with self.errors():
                page = ask(**parameters, **({"NextToken": token} if token else {}))
            yield from within(page, key)
            token = page.get("NextToken")
            if not token:
                return

    def rehearse(self, ask: Callable[..., object], **parameters: Any) -> None:
        """Have EC2 check a request, the permission for it included, without carrying it out.

        Raises what the request itself would raise.
        """
        try:
            ask(DryRun=True, **parameters)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "DryRunOperation":
                raise _mapped(error, launching=False) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise _mapped(error, launching=False) from error

    @contextmanager
    def errors(self, *, launching: bool = False, offering: str = "") -> Iterator[None]:
        """Raise the SDK's errors as ours. ``offering``: of a launch, for the memory of what is sold out."""
        try:
            yield
        except (ClientError, BotoCoreError, ResponseParserError) as error:
            made = _mapped(error, launching)
            if isinstance(made, AuthError) and not self._config["access_key_id"]:
                self._clients = {}  # a client keeps the keys that it found; whoever renews them in their file is heard
            made.offering = offering
            raise made from error


def within(reply: Mapping[str, Any], key: str, kind: type[DynamicClusterError] = TransientError) -> Any:
    """What stands under ``key``. Without it the answer is of something else, which says yes to whatever it is asked: a
    proxy's page, a wrong ``endpoint_url``.

    :raises DynamicClusterError: of that ``kind``, if it is not there.
    """
    if key not in reply:
        raise kind(f"the answer has no {key}: it is not EC2's (a proxy's, or that of a wrong endpoint_url)")
    return reply[key]


def _mapped(error: Exception, launching: bool) -> DynamicClusterError:
    match error:
        case ClientError():
            said = error.response.get("Error", {})
            status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            return mapped(str(said.get("Code", "")), status, str(said.get("Message", "")), launching=launching)
        case ParamValidationError():
            return BadConfigError(f"EC2 would not understand the request: {error}")
        case ProfileNotFound():
            return BadConfigError(str(error))
        case _ if isinstance(error, _NO_CREDENTIALS):
            return AuthError(str(error))
        case SSLError() if _CERTIFICATE in str(error).lower():
            return BadConfigError(str(error))
        case ProxyConnectionError() if _refused_by_proxy(error):
            return TransientError(str(error))
        case _ if isinstance(error, _NEVER_SENT):
            return TransientError(str(error))
    kind = UnknownOutcomeError if launching else TransientError
    return kind(f"{type(error).__name__}: {str(error)[:_LONGEST]}")


def _refused_by_proxy(error: ProxyConnectionError) -> bool:
    """Whether it never took the request. The SDK has the same error for a reply that the proxy cut off, as for an
    ``SSLError``: either may come with the reply."""
    cause = getattr(error.kwargs.get("error"), "original_error", None)
    names = {kind.__name__ for kind in type(cause).__mro__}
    return bool(names & _NO_PROXY) or _NO_TUNNEL in str(cause)
