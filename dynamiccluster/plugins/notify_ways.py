"""How a message gets to people: a webhook, mail, a script of the site. Each sends once, within a time limit."""

from __future__ import annotations

import http.client
import json
import smtplib
import ssl
import urllib.error
import urllib.parse
import urllib.request
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dynamiccluster.errors import DynamicClusterError, TransientError
from dynamiccluster.kit.runner import Runner
from dynamiccluster.plugins.notify_text import Message

SEND_LIMIT_S = 6.0
"""For one step of one way (a connection, an answer): a receiver nearby answers at once."""


class Way(Protocol):
    name: str

    def send(self, message: Message) -> None:
        """:raises TransientError: it did not get there, or nobody knows. Secrets are not in the sentence."""
        ...


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WebhookArguments(_Arguments):
    """``url`` may hold a secret, as those of chat services do: give it as ``{from_file: PATH}``."""

    url: str
    token: str = ""  # sent as a bearer token
    ca_file: str = ""

    @field_validator("url")
    @classmethod
    def _known(cls, value: str) -> str:
        parts = urllib.parse.urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("is not an address like https://HOST/PATH")
        return value


class MailArguments(_Arguments):
    to: list[str] = Field(min_length=1)
    sender: str
    host: str = "localhost"
    port: int = Field(25, gt=0, lt=65536)
    security: Literal["none", "starttls", "tls"] = "none"
    username: str = ""
    password: str = ""
    ca_file: str = ""

    @field_validator("to", "sender")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        for address in [value] if isinstance(value, str) else value:
            if "@" not in address or not address.isprintable() or " " in address.strip():
                raise ValueError(f"{address!r} is not a mail address")
        return value


class Webhook:
    """Posts the document as JSON. Any answer but 2xx is a failure; redirections are not followed."""

    name = "webhook"

    def __init__(self, arguments: WebhookArguments) -> None:
        self._arguments = arguments
        self._host = urllib.parse.urlsplit(arguments.url).hostname
        context = ssl.create_default_context(cafile=arguments.ca_file or None)
        self._opener = urllib.request.build_opener(_NoRedirection(), urllib.request.HTTPSHandler(context=context))

    def send(self, message: Message) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "dynamiccluster"}
        if self._arguments.token:
            headers["Authorization"] = f"Bearer {self._arguments.token}"
        body = json.dumps(message.document()).encode()
        request = urllib.request.Request(self._arguments.url, body, headers)  # noqa: S310 - http or https, see above
        try:
            with self._opener.open(request, timeout=SEND_LIMIT_S) as answer:
                answer.read(1)
        except urllib.error.HTTPError as error:
            error.close()
            raise TransientError(f"the webhook at {self._host} answered {error.code}") from None
        except (OSError, http.client.HTTPException) as error:  # a URLError is an OSError
            reason = getattr(error, "reason", error)
            raise TransientError(f"the webhook at {self._host} did not answer: {reason}") from None


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:  # it makes an error of the answer
        return None


class Mail:
    """One mail for each message, to everybody."""

    name = "mail"

    def __init__(self, arguments: MailArguments) -> None:
        self._arguments = arguments

    def send(self, message: Message) -> None:
        where = f"{self._arguments.host}:{self._arguments.port}"
        try:
            with self._connection() as server:
                refused = server.send_message(self._mail(message))
        except smtplib.SMTPAuthenticationError as error:
            raise TransientError(f"the mail server {where} refuses our credentials ({error.smtp_code})") from None
        except (OSError, smtplib.SMTPException) as error:
            raise TransientError(f"the mail server {where}: {type(error).__name__}: {error}") from None
        if refused:
            raise TransientError(f"the mail server {where} refused {', '.join(sorted(refused))}")

    def _connection(self) -> smtplib.SMTP:
        arguments = self._arguments
        context = ssl.create_default_context(cafile=arguments.ca_file or None)
        if arguments.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                arguments.host, arguments.port, timeout=SEND_LIMIT_S, context=context
            )
        else:
            server = smtplib.SMTP(arguments.host, arguments.port, timeout=SEND_LIMIT_S)
        try:
            if arguments.security == "starttls":
                server.starttls(context=context)
            if arguments.username:
                server.login(arguments.username, arguments.password)
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = message.subject
        mail["From"] = self._arguments.sender
        mail["To"] = ", ".join(self._arguments.to)
        mail["Date"] = formatdate(message.at)
        mail["Message-ID"] = make_msgid(domain=self._arguments.sender.rpartition("@")[2].rstrip(">"))
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
        mail.set_content(message.text)
        return mail


class Script:
    """Runs a program of the site with the document on its standard input."""

    name = "script"

    def __init__(self, argv: list[str], runner: Runner) -> None:
        self._argv = argv
        self._runner = runner

    def send(self, message: Message) -> None:
        text = json.dumps(message.document())
        try:
            done = self._runner.run(self._argv, timeout_s=SEND_LIMIT_S, stdin=text)
        except DynamicClusterError as error:
            raise TransientError(str(error)) from error
        if done.returncode:
            raise TransientError(f"{self._argv[0]} ended with {done.returncode}: {done.complaint}")
