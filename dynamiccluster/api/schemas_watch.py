"""More shapes of ``/api/v1``: for those who watch, for browsers that log in, and for changes of many nodes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from dynamiccluster.api.schemas import CostDoc, Document, Instant, Request, StatusDoc, Text


class AttentionDoc(Document):
    """Something that somebody should look at."""

    key: str = Field(description="the same while the cause is")
    severity: Literal["critical", "warning", "info"]
    kind: str = Field(description="store, decision, mode, source, credentials, stale, plugin, breaker, backoff, ...")
    title: Text
    text: Text
    node_id: str = ""
    resource: str = ""
    source: str = ""
    count: int = 1
    since_at: Instant = None


class AttentionList(Document):
    """The most urgent first."""

    attention: list[AttentionDoc]


class HistoryDoc(Document):
    """Columns for charts; here instants are epoch seconds. Null: not known, for example while the service was down."""

    step_s: float
    since: float
    until: float
    oldest: float | None = Field(description="the first instant that is remembered")
    at: list[float]
    series: dict[str, list[float | None]]
    resources: dict[str, dict[str, list[float | None]]] = Field(description="NAME: nodes and cores")


class OverviewDoc(Document):
    """Everything that the first page shows, in one answer."""

    version: str
    status: StatusDoc
    costs: CostDoc
    attention: list[AttentionDoc]
    running_jobs: int
    pending_jobs: int
    nodes: int
    resources: int


class RefusedDoc(Document):
    node: Text
    code: str
    message: Text


class BulkDoc(Document):
    """What became of a change of several nodes. Those in ``done`` are committed."""

    done: list[str]
    refused: list[RefusedDoc]


class BulkRequest(Request):
    action: Literal["hold", "unhold", "vacate", "delete"]
    nodes: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,255}$")]] = Field(
        min_length=1, max_length=200, description="ids or host names; so many fit into the largest body"
    )
    force: bool = Field(default=False, description="delete: hold a working node now and remove it once it is empty")


class SessionDoc(Document):
    """Who asks, and what may be done."""

    name: Text
    role: Literal["nobody", "agent", "viewer", "operator", "admin"]
    via: str = Field(description="anonymous, socket, token, session or proxy")
    csrf: str = Field(description='goes into the header X-CSRF-Token of every change; "" = not needed')
    expires_at: Instant
    ways: list[str] = Field(description="how a browser may log in: token, password")
    reads_need_login: bool


class LoginRequest(Request):
    """Either a token, or the name and password of an account where the service allows that."""

    token: str = Field(default="", max_length=1000)
    user: str = Field(default="", max_length=200)
    password: str = Field(default="", max_length=1000)


class GraphsDoc(Document):
    graphite: bool = Field(description="whether figures go to Graphite")
    prefix: str
    render: bool = Field(description="whether graphs can be asked for here")
    node_graphs: list[str] = Field(description="graphs that there may be of single nodes: load, memory, ...")


class FiguresDoc(Document):
    """One series of Graphite's. Null: no value at this time."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # each release of Graphite has keys of its own
    target: Text
    datapoints: list[tuple[float | None, int]] = Field(description="value, epoch seconds")


FIGURES: TypeAdapter[list[FiguresDoc]] = TypeAdapter(list[FiguresDoc])
"""Graphite's own answer: other keys of it are left out."""


class FiguresList(Document):
    asked: list[str] = Field(description="what Graphite was asked for; it answers nothing for names that it has not")
    figures: list[FiguresDoc]
