"""Two accounts: what one shares the other sees, and nothing else."""

import conftest as kiln
import pytest
import sdk as sdks


@pytest.fixture
def other(site, kind):
    """The client, with the other account's key."""
    return site.connect(kind, "other")


@pytest.mark.short
def test_shared_and_no_more(site, sdk, other, objects):
    image_id = kiln.make_image(site, sdk)
    account, owner = site.keys["other"].account, site.keys["main"].account
    assert kiln.image(other, image_id) is None, "another account's image"
    sdk.call("ModifyImageSharePermission", ImageId=image_id, AddAccount=[account])
    sdk.call("ModifyImageSharePermission", ImageId=image_id, AddAccount=[account])  # once more
    seen = kiln.image(other, image_id)
    assert seen["ImageOwnerAlias"] == "others"
    assert str(seen["ImageOwnerId"]) == owner
    assert kiln.image(sdk, image_id)["IsSelfShared"] == "true"
    found = other.call("DescribeImages", ImageOwnerAlias="others", ImageOwnerId=int(owner))
    assert image_id in [image["ImageId"] for image in found["Images"]["Image"]]
    told = sdk.call("DescribeImageSharePermission", ImageId=image_id)
    assert (told["ImageId"], told["TotalCount"]) == (image_id, 1)
    assert [entry["AliyunId"] for entry in told["Accounts"]["Account"]] == [account]
    sdk.call("ModifyImageSharePermission", ImageId=image_id, RemoveAccount=[account])
    sdk.call("ModifyImageSharePermission", ImageId=image_id, RemoveAccount=[account])  # once more
    assert kiln.image(other, image_id) is None
    assert sdk.call("DescribeImageSharePermission", ImageId=image_id)["TotalCount"] == 0


def test_what_is_shared_is_not_owned(site, sdk, other, objects):
    """The other account may look and not change."""
    image_id = kiln.make_image(site, sdk)
    account = site.keys["other"].account
    sdk.call("ModifyImageSharePermission", ImageId=image_id, AddAccount=[account])
    for action, more in [
        ("ModifyImageAttribute", {"Description": "mine"}),
        ("ModifyImageSharePermission", {"AddAccount": [site.keys["third"].account]}),
        ("DescribeImageSharePermission", {}),
        ("ExportImage", {"OSSBucket": site.buckets["usable"]}),
    ]:
        with pytest.raises(sdks.Refusal) as caught:
            other.call(action, ImageId=image_id, **more)
        assert caught.value.status in (403, 404), (action, caught.value)
    other.call("DeleteImage", ImageId=image_id)  # for this account there is no such image
    assert kiln.image(sdk, image_id), "deleted by an account that does not own it"
    kiln.refused(
        other,
        "CopyImage",
        403,
        "OperationDenied.SameRegionOnly",
        "The image shared from others can not be copied to another region directly.",
        ImageId=image_id,
        DestinationRegionId=site.other_region,
    )


@pytest.mark.parametrize(
    "action, more, status",
    [
        ("ModifyImageAttribute", {"Description": "mine"}, 404),
        ("ModifyImageSharePermission", {"AddAccount": ["SMALL"]}, 404),
        ("DescribeImageSharePermission", {}, 404),
        ("ExportImage", {"OSSBucket": "USABLE"}, 404),
        ("CopyImage", {"DestinationRegionId": "OTHER"}, 404),
        ("DescribeImageSupportInstanceTypes", {}, 404),
    ],
)
def test_a_private_image_is_absent(site, other, kept, action, more, status):
    """Not forbidden but absent: the answer must not tell that there is such an image."""
    named = {"USABLE": site.buckets["usable"], "OTHER": site.other_region}
    more = {name: named.get(value, value) if isinstance(value, str) else value for name, value in more.items()}
    if "AddAccount" in more:
        more["AddAccount"] = [site.keys["third"].account]
    unknown = kiln.refused(other, action, status, "InvalidImageId.NotFound", ImageId="m-" + "0" * 20, **more)
    private = kiln.refused(other, action, status, "InvalidImageId.NotFound", ImageId=kept, **more)
    assert unknown.message == private.message


def test_other_tasks_are_absent(site, sdk, other, objects):
    answer = sdk.call("ImportImage", ImageName=kiln.fresh(), DiskDeviceMapping=[kiln.mapping(site)])
    for action in ("DescribeTaskAttribute", "CancelTask"):
        kiln.refused(other, action, 400, "InvalidTaskId.NotFound", TaskId=answer["TaskId"])
    assert other.call("DescribeTasks", TaskIds=answer["TaskId"])["TotalCount"] == 0
    kiln.task(sdk, answer["TaskId"])


@pytest.mark.parametrize(
    "parameters, status, code",
    [
        ({"AddAccount": ["1"]}, 404, "InvalidAccount.NotFound"),
        ({"AddAccount": ["SELF"]}, 404, "InvalidAccount.Forbbiden"),
        ({"AddAccount": ["OTHER"], "IsPublic": True}, 403, "InvalidParameter.IsPublic"),
        ({"IsPublic": False}, 403, "Image.NotPublic"),
        ({"AddAccount": ["OTHER"], "DryRun": True}, 400, "DryRunOperation"),
        ({"ImageId": "m-00000000000000000000", "AddAccount": ["OTHER"]}, 404, "InvalidImageId.NotFound"),
    ],
)
def test_refused_shares(site, sdk, kept, parameters, status, code):
    named = {"SELF": site.keys["main"].account, "OTHER": site.keys["other"].account}
    parameters = {"ImageId": kept, **parameters}
    if "AddAccount" in parameters:
        parameters["AddAccount"] = [named.get(name, name) for name in parameters["AddAccount"]]
    kiln.refused(sdk, "ModifyImageSharePermission", status, code, **parameters)


def test_public_and_private_again(site, sdk, other, objects):
    image_id = kiln.make_image(site, sdk)
    sdk.call("ModifyImageSharePermission", ImageId=image_id, IsPublic=True)
    kiln.refused(sdk, "ModifyImageSharePermission", 403, "Image.Public", ImageId=image_id, IsPublic=True)
    found = other.call("DescribeImages", IsPublic=True, ImageOwnerAlias="others", PageSize=100)
    assert image_id in [image["ImageId"] for image in found["Images"]["Image"]]
    kiln.refused(sdk, "DeleteImage", 403, "ImageIsPublic", ImageId=image_id)
    sdk.call("ModifyImageSharePermission", ImageId=image_id, IsPublic=False)
    assert kiln.image(other, image_id) is None
    sdk.call("DeleteImage", ImageId=image_id)
