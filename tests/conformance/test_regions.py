"""Regions, zones, instance types."""

import conftest as kiln
import pytest


@pytest.mark.short
def test_regions(site, sdk):
    answer = sdk.call("DescribeRegions")
    regions = {region["RegionId"]: region for region in answer["Regions"]["Region"]}
    assert set(regions) == {site.region, site.other_region}
    for region in regions.values():
        assert region["LocalName"]
        assert region["RegionEndpoint"] == site.endpoint, "clients that follow it stay here"


def test_names_of_regions_in_english(site, sdk):
    chinese = sdk.call("DescribeRegions")["Regions"]["Region"][0]["LocalName"]
    english = sdk.call("DescribeRegions", AcceptLanguage="en-US")["Regions"]["Region"][0]["LocalName"]
    assert english.isascii()
    assert chinese


def test_zones(site, sdk):
    zones = sdk.call("DescribeZones")["Zones"]["Zone"]
    assert zones
    for zone in zones:
        assert zone["ZoneId"].startswith(site.region)
        assert zone["LocalName"]


def test_instance_types(sdk):
    types = sdk.call("DescribeInstanceTypes")["InstanceTypes"]["InstanceType"]
    assert types
    for entry in types:
        assert entry["InstanceTypeId"].startswith("ecs.")
        assert isinstance(entry["CpuCoreCount"], int)
        assert isinstance(entry["MemorySize"], (int, float))
    one = types[0]["InstanceTypeId"]
    found = sdk.call("DescribeInstanceTypes", InstanceTypes=[one])["InstanceTypes"]["InstanceType"]
    assert [entry["InstanceTypeId"] for entry in found] == [one]


def test_types_that_an_image_runs_on(sdk, kept):
    answer = sdk.call("DescribeImageSupportInstanceTypes", ImageId=kept)
    assert answer["ImageId"] == kept
    found = answer["InstanceTypes"]["InstanceType"]
    assert found
    all_types = sdk.call("DescribeInstanceTypes", CpuArchitecture="ARM")["InstanceTypes"]["InstanceType"]
    arm = {entry["InstanceTypeId"] for entry in all_types}
    assert not arm & {entry["InstanceTypeId"] for entry in found}, "the image is of x86_64"


@pytest.mark.parametrize(
    "action, parameters, status, code",
    [
        ("DescribeRegions", {"AcceptLanguage": "tlh"}, 404, "InvalidAcceptLanguage.NotFound"),
        ("DescribeRegions", {"ResourceType": "teapot"}, 404, "InvalidResourceType.NotFound"),
        ("DescribeZones", {"RegionId": "mars-1"}, 404, "InvalidRegionId.NotFound"),
        (
            "DescribeImageSupportInstanceTypes",
            {"ImageId": "m-00000000000000000000"},
            404,
            "InvalidImageId.NotFound",
        ),
    ],
)
def test_refused_questions(sdk, action, parameters, status, code):
    kiln.refused(sdk, action, status, code, **parameters)
