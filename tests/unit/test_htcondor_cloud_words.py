"""Cloud Scheduler's conventions: jobs that name the cloud, the image and the type of their machine."""

from __future__ import annotations

from test_htcondor_jobs_parse import NOW, WITHOUT, ad, printed

from dynamiccluster.decide import match
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.job import Job
from dynamiccluster.model.resource import Resource
from dynamiccluster.schedulers.htcondor.jobs_parse import Reading, parse_jobs
from dynamiccluster.schedulers.htcondor.names_parse import HostNames
from dynamiccluster.schedulers.htcondor.offers import Offers

SIZE = Capacity(4, 4000)
OTTER = Resource(
    "otter", "x", "t", SIZE, features=frozenset({"TargetClouds=otter", "VMAMI=c7.qcow2", "VMType=Centos7"})
)
WEST = Resource("west", "x", "t", SIZE, features=frozenset({"TargetClouds=west", "VMAMI=ami-1", "VMType=Centos7"}))
PLAIN = Resource("plain", "x", "t", SIZE)


def fitting(*resources: Resource, **attributes: str) -> list[str]:
    """Names of the resources that may serve a job with these attributes."""
    offers = Offers(resources)
    (job,) = parse_jobs(printed(ad(**attributes)), Reading(WITHOUT, offers, HostNames(), now=NOW)).jobs
    assert isinstance(job, Job)
    return [resource.name for resource in resources if match.misfit(job.shape, resource) is None]


def test_a_job_goes_to_the_clouds_that_it_names() -> None:
    assert fitting(OTTER, WEST, TargetClouds="west") == ["west"]
    assert fitting(OTTER, WEST, TargetClouds="west, otter") == ["otter", "west"]
    assert fitting(OTTER, WEST, TargetClouds="nowhere") == []


def test_a_job_gets_the_image_that_it_names_for_each_cloud() -> None:
    assert fitting(OTTER, WEST, VMAMI="c7.qcow2") == ["otter"]
    assert fitting(OTTER, WEST, VMAMI="otter:c7.qcow2,west:ami-1") == ["otter", "west"]
    assert fitting(OTTER, WEST, VMAMI="west:ami-2,c7.qcow2") == ["otter"]


def test_everything_that_it_names_must_hold() -> None:
    assert fitting(OTTER, WEST, VMType="Centos7", TargetClouds="otter", VMAMI="otter:c7.qcow2,west:ami-1") == ["otter"]
    assert fitting(OTTER, WEST, VMType="Rocky9", TargetClouds="otter") == []


def test_where_no_resource_has_such_words_they_choose_nothing() -> None:
    assert fitting(PLAIN, VMAMI="c7.qcow2", TargetClouds="otter") == ["plain"]
    assert fitting(PLAIN, OTTER, VMAMI="c7.qcow2") == ["otter"]
    assert fitting(OTTER, VMInstanceType="m1.huge") == ["otter"]


def test_what_says_nothing_about_the_place_chooses_nothing() -> None:
    assert fitting(OTTER, WEST, VMKeepAlive="30", VMMaximumPrice="12", VMAMI=" , ") == ["otter", "west"]
