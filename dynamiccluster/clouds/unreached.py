"""What kept a request from reaching a cloud, out of an SDK's nested errors: for ``check-cloud``. Pure.

SDKs have one error for all of it, with the reason some layers below (seen with botocore 1.40, keystoneauth 5.11 and
urllib3 2.5 on 2026-11-20). Who set the service up has to do different things about each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dynamiccluster.errors import AuthError, DynamicClusterError
from dynamiccluster.model.check import Finding, FindingState

SUBJECT = "connection"
_ADDRESS = re.compile(r"https?://[^\s/'\"<>]+")
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class Advice:
    """What the operator of one kind of cloud can look at. Each starts a sentence."""

    address: str  # where its address stands: "See auth_url"
    certificate: str  # what makes an authority of the site's trusted
    proxy: str  # where its proxy is named


_KINDS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (
        re.compile(r"certificate verify failed|CertificateError|certificate has expired|doesn't match", re.IGNORECASE),
        "{where}: its certificate is not trusted here ({detail})",
        "certificate",
    ),
    (
        re.compile(r"ProxyError|ProxyConnectionError|tunnel connection failed", re.IGNORECASE),
        "{where}: the proxy before it cannot be reached, or refuses",
        "proxy",
    ),
    (
        re.compile(r"SSLError|SSLEOFError|wrong version number|record layer failure", re.IGNORECASE),
        "{where}: what answers there speaks no TLS that this machine understands",
        "tls",
    ),
    (
        re.compile(r"name or service not known|name resolution|NameResolutionError|getaddrinfo|no address associated"),
        "{where}: this machine's DNS does not know the name",
        "name",
    ),
    (re.compile(r"connection refused", re.IGNORECASE), "{where}: the machine is there, and nothing listens", "address"),
    (
        re.compile(r"no route to host|network is unreachable", re.IGNORECASE),
        "{where}: there is no way there from this machine's network",
        "route",
    ),
    (
        re.compile(r"timed out|ConnectTimeout|ReadTimeout", re.IGNORECASE),
        "{where}: nobody answers in time",
        "route",
    ),
    (
        re.compile(r"could not connect|unable to establish|connection aborted|connection reset", re.IGNORECASE),
        "{where}: no connection comes about",
        "route",
    ),
)
_DETAIL = re.compile(
    r"certificate verify failed: ([^(\"']*[^(\"' ])|(hostname [^\"]*doesn't match[^\"]*)", re.IGNORECASE
)


def unreached(error: DynamicClusterError, where: str, advice: Advice) -> Finding | None:
    """The finding for a request that did not get to its cloud; ``None`` if somebody there answered it.

    ``where``: the address that was asked, unless the error names one itself.
    """
    if isinstance(error, AuthError):
        return None
    text = "\n".join(f"{type(one).__name__}: {one}" for one in _below(error))
    address = _ADDRESS.search(text)
    place = address[0] if address else where
    for pattern, message, todo in _KINDS:
        if pattern.search(text):
            detail = _DETAIL.search(text)
            said = next((part for part in detail.groups() if part), "") if detail else ""
            told = message.format(where=place, detail=said.strip() or "it could not be verified")
            return Finding(SUBJECT, FindingState.WRONG, told, _todo(todo, place, advice))
    return None


def _todo(what: str, place: str, advice: Advice) -> str:
    look = f"`curl -v {place}` shows more"
    match what:
        case "certificate":
            return f"{advice.certificate}; {look}"
        case "proxy":
            return f"{advice.proxy}; {look}"
        case "tls":
            return f"http or https? The right port? {advice.address}; {look}"
        case "name":
            return f"{advice.address}; `getent hosts {place.partition('://')[2].partition(':')[0]}` asks DNS alone"
        case "address":
            return f"{advice.address}; {look}"
    return f"{advice.address}; is a firewall on the way, or a proxy needed? {advice.proxy}; {look}"


def _below(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, the deepest last; our own are left out, as they only repeat it."""
    seen: BaseException | None = error
    for _ in range(_DEEPEST):
        if seen is None:
            return
        if not isinstance(seen, DynamicClusterError):
            yield seen
        seen = seen.__cause__ or seen.__context__
