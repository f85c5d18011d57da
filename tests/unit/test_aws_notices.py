"""Notices of EC2, from the queue that EventBridge fills."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest
from ec2_site import Ec2Site, HandClock, ec2_site

from dynamiccluster.clouds.aws.build import build
from dynamiccluster.clouds.aws.notices import RECLAIM_AFTER_S, Notices, parse_notice
from dynamiccluster.config.schema_cloud_aws import AwsConfig
from dynamiccluster.errors import AuthError
from dynamiccluster.kit.clock import SystemClock
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.instance import Instance, InstanceState
from dynamiccluster.model.offer import Notice, NoticeKind
from dynamiccluster.model.resource import Resource

OFFERING = "t/any/c5.large/spot"
RESOURCE = Resource("small", "aws", "t", Capacity(2, 2000), max_nodes=4, offering=OFFERING)
KEYS = {
    "access_key_id": "key",
    "secret_access_key": "secret",
    "region_name": "us-east-1",
    "image_id": "ami-12c6146b",
    "instance_type": "c5.large",
    "spot_bid": 0.1,
}
WARNING, ADVICE = "EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"
AT = 1_800_000_000.0


def event(kind: str, instance_id: str) -> str:
    """As EventBridge writes them (EC2 user guide)."""
    return json.dumps(
        {
            "version": "0",
            "id": "12345678-1234-1234-1234-123456789012",
            "detail-type": kind,
            "source": "aws.ec2",
            "account": "123456789012",
            "time": "2027-01-15T08:00:00Z",
            "region": "us-east-1",
            "resources": [f"arn:aws:ec2:us-east-1:123456789012:instance/{instance_id}"],
            "detail": {"instance-id": instance_id, "instance-action": "terminate"},
        }
    )


class Queue:
    def __init__(self, site: Ec2Site) -> None:
        self.sqs = boto3.client(
            "sqs", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b", endpoint_url=site.url
        )
        seen_again = {"VisibilityTimeout": "0"}  # at once, as if the time were over
        self.url: str = self.sqs.create_queue(QueueName=uuid4().hex, Attributes=seen_again)["QueueUrl"]

    def put(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def length(self) -> int:
        said = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["ApproximateNumberOfMessages"])
        return int(said["Attributes"]["ApproximateNumberOfMessages"])


@pytest.fixture(scope="module")
def running() -> Iterator[Ec2Site]:
    with ec2_site() as site:
        yield site


@pytest.fixture
def site(running: Ec2Site) -> Ec2Site:
    running.clear()
    return running


def keys(site: Ec2Site, queue: Queue) -> dict[str, Any]:
    return dict(AwsConfig.model_validate(KEYS | {"endpoint_url": site.url, "notices_queue_url": queue.url}))


def test_notices_of_our_machines_stand_in_the_view(site: Ec2Site) -> None:
    queue = Queue(site)
    cloud = build("t", {"small": keys(site, queue)}, "ours", SystemClock())
    (machine,) = cloud.launch("l", RESOURCE, [NodeSpec("n", "small-a")])
    assert cloud.list_instances().notices == ()
    warning = event(WARNING, machine.instance_id)
    queue.put(warning, warning, "what is this", event(WARNING, "i-0123456789abcdef0"), event("Other", "i-1"))
    (notice,) = cloud.list_instances().notices
    assert notice == Notice(machine.instance_id, NoticeKind.RECLAIM, AT + RECLAIM_AFTER_S, OFFERING)
    queue.put(event(ADVICE, machine.instance_id))
    kinds = {one.kind for one in cloud.list_instances().notices}
    assert kinds == {NoticeKind.RECLAIM, NoticeKind.REBALANCE}
    cloud.list_instances()
    assert queue.length() == 0


def test_a_notice_is_read_again_by_a_service_that_died_on_it(site: Ec2Site) -> None:
    queue = Queue(site)
    first = build("t", {"small": keys(site, queue)}, "ours", SystemClock())
    (machine,) = first.launch("l", RESOURCE, [NodeSpec("n", "small-a")])
    queue.put(event(WARNING, machine.instance_id))
    assert first.list_instances().notices
    second = build("t", {"small": keys(site, queue)}, "ours", SystemClock())
    assert second.list_instances().notices


def test_a_queue_that_fails_keeps_no_list_from_coming(site: Ec2Site, caplog: pytest.LogCaptureFixture) -> None:
    queue = Queue(site)
    cloud = build("t", {"small": keys(site, queue)}, "ours", SystemClock())
    cloud.launch("l", RESOURCE, [NodeSpec("n", "small-a")])
    queue.sqs.delete_queue(QueueUrl=queue.url)
    view = cloud.list_instances()
    assert (len(view.instances), view.notices) == (1, ())
    assert "notices cannot be read" in caplog.text


class OneMessage:
    """Only what a reader needs of the calls."""

    def __init__(self, body: str) -> None:
        self.messages = [{"ReceiptHandle": "r", "Body": body}]

    def client(self, service: str) -> OneMessage:
        return self

    def errors(self) -> OneMessage:
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...

    def receive_message(self, **asked: object) -> dict[str, Any]:
        given, self.messages = self.messages, []
        return {"Messages": given}

    def delete_message_batch(self, **asked: object) -> None: ...


def test_what_may_not_be_taken_off_the_queue_is_read_all_the_same() -> None:
    """A missing sqs:DeleteMessage kept every further notice from being read."""

    class Undeletable(OneMessage):
        def delete_message_batch(self, **asked: object) -> None:
            raise AuthError("AccessDenied")

    calls = Undeletable(event(WARNING, "i-1"))
    notices = Notices(calls, HandClock(AT), "https://queue")  # type: ignore[arg-type]  # as above
    machines = [Instance(f"i-{number}", InstanceState.ACTIVE) for number in (1, 2)]
    assert len(notices.of(machines)) == 1
    calls.messages = [{"ReceiptHandle": "s", "Body": event(WARNING, "i-2")}]
    assert len(notices.of(machines)) == 2


def test_an_odd_answer_of_the_queue_keeps_no_list_from_coming(caplog: pytest.LogCaptureFixture) -> None:
    calls = OneMessage("")
    calls.messages = [{"Body": event(WARNING, "i-1")}]
    notices = Notices(calls, HandClock(AT), "https://queue")  # type: ignore[arg-type]  # as above
    assert notices.of([Instance("i-1", InstanceState.ACTIVE)]) == ()
    assert "notices cannot be read" in caplog.text


def test_a_notice_is_in_force_for_an_hour() -> None:
    clock = HandClock(AT)
    notices = Notices(OneMessage(event(ADVICE, "i-1")), clock, "q")  # type: ignore[arg-type]  # a double
    ours = [Instance("i-1", InstanceState.ACTIVE)]
    assert notices.of(()) == ()
    clock.at += 3500.0
    assert [one.kind for one in notices.of(ours)] == [NoticeKind.REBALANCE]
    clock.at += 200.0
    assert notices.of(ours) == ()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "1",
        "{}",
        "[" * 100_000,
        json.dumps({"detail-type": WARNING}),
        json.dumps({"detail-type": WARNING, "detail": []}),
    ],
    ids=["empty", "list", "number", "nothing", "deep", "no-detail", "odd-detail"],
)
def test_other_messages_are_none(body: str) -> None:
    assert parse_notice(body) is None


def test_a_warning_without_a_time_is_one_all_the_same() -> None:
    body = json.dumps({"detail-type": WARNING, "detail": {"instance-id": "i-1"}, "time": "soon"})
    assert parse_notice(body) == Notice("i-1", NoticeKind.RECLAIM)
