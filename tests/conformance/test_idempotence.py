"""ClientToken: the same request twice is one request; another request under its token is refused."""

import threading

import conftest as kiln
import pytest
import sdk as sdks


def request(site, **more):
    return {
        "ImageName": kiln.fresh(),
        "ClientToken": kiln.fresh("token"),
        "DiskDeviceMapping": [kiln.mapping(site)],
        **more,
    }


@pytest.mark.short
def test_the_same_import_twice(site, sdk, objects):
    parameters = request(site)
    first = sdk.call("ImportImage", **parameters)
    second = sdk.call("ImportImage", **parameters)
    assert first["RequestId"] != second["RequestId"]
    for field in ("ImageId", "TaskId", "RegionId"):
        assert first[field] == second[field]
    kiln.settled(sdk, first["ImageId"])
    third = sdk.call("ImportImage", **parameters)
    assert third["ImageId"] == first["ImageId"]
    found = sdk.call("DescribeImages", ImageName=parameters["ImageName"], Status="ALL")
    assert found["TotalCount"] == 1


def test_the_same_token_for_another_import(site, sdk, objects):
    parameters = request(site)
    first = sdk.call("ImportImage", **parameters)
    kiln.refused(
        sdk,
        "ImportImage",
        400,
        "IdempotentParameterMismatch",
        "The request is retried with updated parameters.",
        **{**parameters, "Description": "changed"},
    )
    kiln.settled(sdk, first["ImageId"])


def test_a_refused_import_does_not_use_its_token_up(site, sdk, objects):
    parameters = request(site)
    with pytest.raises(sdks.Refusal):
        sdk.call("ImportImage", **{**parameters, "ImageName": "1st"})
    answer = sdk.call("ImportImage", **parameters)
    kiln.settled(sdk, answer["ImageId"])


def test_tokens_of_accounts_regions_and_actions_are_apart(site, sdk, kind, objects, kept):
    token = kiln.fresh("token")
    first = sdk.call("ImportImage", **request(site, ClientToken=token))
    kiln.settled(sdk, first["ImageId"])
    other = site.connect(kind, "other")
    second = other.call("ImportImage", **request(site, ClientToken=token))
    assert second["ImageId"] != first["ImageId"]
    there = site.connect(kind, region=site.other_region)
    copy = sdk.call(
        "CopyImage", ImageId=kept, DestinationRegionId=site.other_region, ClientToken=token
    )
    for client, made in ((other, second), (there, copy)):
        kiln.settled(client, made["ImageId"])


def test_the_same_copy_twice(site, sdk, kind, kept):
    parameters = {
        "ImageId": kept,
        "DestinationRegionId": site.other_region,
        "ClientToken": kiln.fresh("token"),
    }
    first = sdk.call("CopyImage", **parameters)
    assert sdk.call("CopyImage", **parameters)["ImageId"] == first["ImageId"]
    kiln.refused(
        sdk,
        "CopyImage",
        400,
        "IdempotentParameterMismatch",
        **{**parameters, "DestinationDescription": "changed"},
    )
    kiln.settled(site.connect(kind, region=site.other_region), first["ImageId"])


def test_eight_at_once_are_one(site, sdk, kind, objects):
    """Racing calls: one image, and for the losers its answer or IdempotentProcessing."""
    parameters = request(site)
    answers, refusals = [], []

    def go():
        try:
            answers.append(site.connect(kind).call("ImportImage", **parameters)["ImageId"])
        except sdks.Refusal as refusal:
            refusals.append((refusal.status, refusal.code))

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(answers)) == 1
    assert set(refusals) <= {(403, "IdempotentProcessing")}
    assert len(answers) + len(refusals) == 8
    kiln.settled(sdk, answers[0])
