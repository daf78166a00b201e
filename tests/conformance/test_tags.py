"""TagResources, UntagResources, ListTagResources on images."""

import conftest as kiln
import pytest


def tags(client, image_id):
    answer = client.call("ListTagResources", ResourceType="image", ResourceId=[image_id])
    for entry in answer["TagResources"]["TagResource"]:
        assert (entry["ResourceType"], entry["ResourceId"]) == ("image", image_id)
    return {entry["TagKey"]: entry["TagValue"] for entry in answer["TagResources"]["TagResource"]}


def tag(client, image_id, **pairs):
    wanted = [{"Key": key, "Value": value} for key, value in pairs.items()]
    client.call("TagResources", ResourceType="image", ResourceId=[image_id], Tag=wanted)


@pytest.mark.short
def test_tags_come_and_go(site, sdk, objects):
    image_id = kiln.make_image(site, sdk)
    tag(sdk, image_id, a="1", b="")
    tag(sdk, image_id, a="2", c="3")
    assert tags(sdk, image_id) == {"a": "2", "b": "", "c": "3"}
    of_image = {t["TagKey"]: t["TagValue"] for t in kiln.image(sdk, image_id)["Tags"]["Tag"]}
    assert of_image == {"a": "2", "b": "", "c": "3"}
    sdk.call("UntagResources", ResourceType="image", ResourceId=[image_id], TagKey=["a"])
    assert tags(sdk, image_id) == {"b": "", "c": "3"}
    sdk.call("UntagResources", ResourceType="image", ResourceId=[image_id], All=True)
    assert tags(sdk, image_id) == {}


def test_list_by_tag(site, sdk, objects):
    value = kiln.fresh("value")
    both = [kiln.make_image(site, sdk) for _ in range(2)]
    for image_id in both:
        tag(sdk, image_id, listed=value)
    answer = sdk.call("ListTagResources", ResourceType="image", Tag=[{"Key": "listed", "Value": value}])
    found = {entry["ResourceId"] for entry in answer["TagResources"]["TagResource"]}
    assert found == set(both)


def test_pages_of_fifty(site, sdk, objects):
    """Six images of ten tags: two pages."""
    made = [kiln.make_image(site, sdk) for _ in range(6)]
    for image_id in made:
        tag(sdk, image_id, **{f"k{n}": str(n) for n in range(10)})
    seen = []
    of = {"ResourceType": "image", "ResourceId": made}
    for answer in kiln.pages(sdk, "ListTagResources", most=5, **of):
        page = answer["TagResources"]["TagResource"]
        assert len(page) <= 50
        seen += [(entry["ResourceId"], entry["TagKey"]) for entry in page]
    assert len(seen) == len(set(seen)) == 60


def test_all_or_nothing(site, sdk, objects):
    image_id = kiln.make_image(site, sdk)
    kiln.refused(
        sdk,
        "TagResources",
        404,
        "InvalidResourceId.NotFound",
        "The specified ResourceIds are not found in our records.",
        ResourceType="image",
        ResourceId=[image_id, "m-00000000000000000000"],
        Tag=[{"Key": "a", "Value": "1"}],
    )
    assert tags(sdk, image_id) == {}


def test_no_more_than_twenty(site, sdk, objects):
    image_id = kiln.make_image(site, sdk)
    tag(sdk, image_id, **{f"k{n}": "" for n in range(20)})
    tag(sdk, image_id, k0="again")
    kiln.refused(
        sdk,
        "TagResources",
        400,
        "OperationDenied.QuotaExceed",
        "The quota of tags on resource is beyond permitted range.",
        ResourceType="image",
        ResourceId=[image_id],
        Tag=[{"Key": "one-more", "Value": ""}],
    )


@pytest.mark.parametrize(
    "parameters, status, code",
    [
        ({"ResourceType": None}, 404, "MissingParameter.ResourceType"),
        ({"Tag": None}, 404, "MissingParameter.Tags"),
        ({"ResourceType": "teapot"}, 404, "InvalidResourceType.NotFound"),
        ({"RegionId": "mars-1"}, 404, "InvalidRegionId.NotFound"),
        ({"ResourceId": [f"m-{n:020}" for n in range(51)]}, 400, "NumberExceed.ResourceIds"),
        ({"Tag": [{"Key": f"k{n}", "Value": ""} for n in range(21)]}, 400, "NumberExceed.Tags"),
        ({"Tag": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, 400, "Duplicate.TagKey"),
        ({"Tag": [{"Key": "aliyun-x", "Value": "1"}]}, 400, "InvalidTagKey.Malformed"),
        ({"Tag": [{"Key": "a", "Value": "acs:x"}]}, 400, "InvalidTagValue.Malformed"),
    ],
)
def test_refused_tags(sdk, kept, parameters, status, code):
    sound = {"ResourceType": "image", "ResourceId": [kept], "Tag": [{"Key": "a", "Value": "1"}]}
    kiln.refused(sdk, "TagResources", status, code, **{**sound, **parameters})


def test_tags_of_another_account(site, kind, kept):
    other = site.connect(kind, "other")
    kiln.refused(
        other,
        "TagResources",
        404,
        "InvalidResourceId.NotFound",
        ResourceType="image",
        ResourceId=[kept],
        Tag=[{"Key": "a", "Value": "1"}],
    )
    answer = other.call("ListTagResources", ResourceType="image", Tag=[{"Key": "purpose"}])
    assert answer["TagResources"]["TagResource"] == []
