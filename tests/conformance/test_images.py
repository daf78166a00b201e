"""DescribeImages with its filters and pages; changing, deprecating, families, deleting."""

import re

import conftest as kiln
import pytest


def ids(answer):
    return [image["ImageId"] for image in answer["Images"]["Image"]]


@pytest.fixture(scope="module")
def three(site, objects):
    """Three images of one family name stem, oldest first."""
    stem = kiln.fresh("trio")
    made = []
    for number in range(3):
        tags = [{"Key": "trio", "Value": stem}, {"Key": "number", "Value": str(number)}]
        made.append(kiln.make_image(site, ImageName=f"{stem}-{number}", Tag=tags))
    return stem, made


@pytest.mark.short
@pytest.mark.parametrize(
    "filters, is_found",
    [
        ({"ImageName": "NAME"}, True),
        ({"ImageName": "MIDDLE"}, True),
        ({"ImageName": "WILD*"}, True),
        ({"ImageName": "surely-no-such-name"}, False),
        ({"ImageFamily": "kept-family"}, True),
        ({"ImageFamily": "kept"}, False),
        ({"Architecture": "x86_64"}, True),
        ({"Architecture": "arm64"}, False),
        ({"OSType": "linux"}, True),
        ({"OSType": "windows"}, False),
        ({"ImageOwnerAlias": "self"}, True),
        ({"ImageOwnerAlias": "system"}, False),
        ({"ImageOwnerAlias": "others"}, False),
        ({"ImageOwnerAlias": "marketplace"}, False),
        ({"Status": "Available"}, True),
        ({"Status": "Creating,Available"}, True),
        ({"Status": "ALL"}, True),
        ({"Status": "Creating"}, False),
        ({"Tag": [{"Key": "purpose", "Value": "tests"}]}, True),
        ({"Tag": [{"Key": "purpose"}]}, True),
        ({"Tag": [{"Key": "purpose", "Value": "other"}]}, False),
        ({"Tag": [{"Key": "purpose", "Value": "tests"}, {"Key": "bare"}]}, True),
        ({"Tag": [{"Key": "purpose", "Value": "tests"}, {"Key": "none"}]}, False),
        ({"Usage": "none"}, True),
        ({"Usage": "instance"}, False),
        ({"SnapshotId": "SNAPSHOT"}, True),
        ({"SnapshotId": "s-00000000000000000000"}, False),
        ({"Filter": [{"Key": "CreationStartTime", "Value": "2020-01-01T00:00Z"}]}, True),
        ({"Filter": [{"Key": "CreationStartTime", "Value": "2999-01-01T00:00Z"}]}, False),
        ({"Filter": [{"Key": "CreationEndTime", "Value": "2020-01-01T00:00Z"}]}, False),
        ({"Filter": [{"Key": "CreationEndTime", "Value": "2999-01-01T00:00Z"}]}, True),
        ({"ImageId": "ID"}, True),
        ({"ImageId": "ID,m-00000000000000000000"}, True),
        ({"ImageId": "m-00000000000000000000"}, False),
        ({"IsPublic": False}, True),
    ],
)
def test_each_filter(site, sdk, kept, filters, is_found):
    """One image, and one filter at a time that it passes or does not."""
    known = kiln.image(sdk, kept)
    name = known["ImageName"]
    disk = known["DiskDeviceMappings"]["DiskDeviceMapping"][0]
    filters = dict(filters)
    named = {"NAME": name, "MIDDLE": name[3:-3], "WILD*": name[:5] + "*" + name[-4:]}
    named |= {"SNAPSHOT": disk["SnapshotId"], "ID": kept}
    for field in ("ImageName", "SnapshotId", "ImageId"):
        if field in filters:
            filters[field] = named.get(filters[field], filters[field]).replace("ID,", f"{kept},")
    answer = sdk.call("DescribeImages", PageSize=100, **filters)
    assert (kept in ids(answer)) is is_found


def test_pages(site, sdk, three):
    stem, made = three
    newest_first = made[::-1]
    pages = [
        sdk.call("DescribeImages", ImageName=stem, PageNumber=page, PageSize=2) for page in (1, 2, 3)
    ]
    assert [ids(page) for page in pages] == [newest_first[:2], newest_first[2:], []]
    assert [page["TotalCount"] for page in pages] == [3, 3, 3]
    assert [page["PageNumber"] for page in pages] == [1, 2, 3]
    assert [page["PageSize"] for page in pages] == [2, 2, 2]
    assert pages[0]["RegionId"] == site.region


def test_page_defaults(sdk, three):
    answer = sdk.call("DescribeImages")
    assert (answer["PageNumber"], answer["PageSize"]) == (1, 10)


@pytest.mark.parametrize("parameters", [{"PageNumber": 0}, {"PageSize": 101}, {"PageSize": -1}])
def test_pages_that_cannot_be(sdk, parameters):
    with pytest.raises(kiln.sdks.Refusal) as caught:
        sdk.call("DescribeImages", **parameters)
    assert caught.value.status == 400


def test_several_ids(sdk, three):
    _, made = three
    assert ids(sdk.call("DescribeImages", ImageId=",".join(made))) == made[::-1]


@pytest.mark.parametrize(
    "parameters, status, code, message",
    [
        (
            {"ImageOwnerAlias": "mine"},
            400,
            "InvalidImageOwnerAlias.ValueNotSupported",
            "The specified ImageOwnerAlias value is not supported.",
        ),
        (
            {"IsPublic": True, "ImageOwnerAlias": "self"},
            400,
            "InvalidImageOwnerAlias.PublicImageUnsupported",
            "When querying images, the parameter ImageOwnerAlias should be others while specified "
            "parameter IsPublic is true.",
        ),
        (
            {"ImageOwnerAlias": "self", "ImageOwnerId": 1234567890123456},
            400,
            "InvalidOperation.ImageOwnerIdUnsupported",
            'The parameter "ImageOwnerId" is not supported in this context, it is only valid when '
            "querying shared images or community images.",
        ),
        (
            {"Tag": [{"Key": f"k{n}", "Value": ""} for n in range(21)]},
            400,
            "InvalidTagCount",
            "The specified tags are beyond the permitted range.",
        ),
        ({"Filter": [{"Key": "Colour", "Value": "red"}]}, 404, "InvalidFilterKey.NotFound", None),
        (
            {"Filter": [{"Key": "CreationStartTime", "Value": "today"}]},
            404,
            "InvalidFilterValue",
            None,
        ),
        (
            {"Filter": [{"Key": "NetworkType", "Value": "token-ring"}]},
            400,
            "InvalidFilterValue.NetworkType",
            None,
        ),
        ({"Usage": "both"}, 404, "InvalidUsage", None),
        ({"OSType": "beos"}, 404, "InvalidOSType", None),
        ({"Architecture": "sparc"}, 404, "InvalidArchitecture", None),
        ({"InstanceType": "ecs.none.large"}, 400, "InvalidInstanceType.ValueNotSupported", None),
        ({"RegionId": "mars-1"}, 404, "InvalidRegionId.NotFound", None),
        ({"DryRun": True}, 400, "DryRunOperation", None),
    ],
)
def test_refused_questions(sdk, parameters, status, code, message):
    kiln.refused(sdk, "DescribeImages", status, code, message, **parameters)


def test_forms_of_values(sdk, kept):
    """Times, truths and numbers look as the documentation has them."""
    image = kiln.image(sdk, kept)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", image["CreationTime"])
    assert re.fullmatch(r"\d+%", image["Progress"])
    for field in ("IsCopied", "IsPublic", "IsSubscribed", "IsSupportCloudinit"):
        assert isinstance(image[field], bool), field
    assert isinstance(image["Size"], int)
    assert image["IsSelfShared"] in ("", "true")
    assert image["Usage"] == "none"


def test_modify(site, sdk, objects):
    image_id = kiln.make_image(site, sdk)
    name = kiln.fresh("renamed")
    sdk.call(
        "ModifyImageAttribute",
        ImageId=image_id,
        ImageName=name,
        Description="changed",
        ImageFamily="changed-family",
        BootMode="UEFI-Preferred",
        Features={"NvmeSupport": "supported"},
    )
    image = kiln.image(sdk, image_id)
    assert (image["ImageName"], image["Description"]) == (name, "changed")
    assert (image["ImageFamily"], image["BootMode"]) == ("changed-family", "UEFI-Preferred")
    assert image["Features"]["NvmeSupport"] == "supported"
    sdk.call("ModifyImageAttribute", ImageId=image_id, Description="again")
    assert kiln.image(sdk, image_id)["ImageName"] == name, "what is absent stays"
    sdk.call("ModifyImageAttribute", ImageId=image_id, ImageFamily="")
    assert not kiln.image(sdk, image_id).get("ImageFamily"), "an empty family leaves it"


@pytest.mark.parametrize(
    "parameters, status, code",
    [
        ({"ImageName": "1st"}, 400, "InvalidImageName.Malformed"),
        ({"ImageName": "KEPT"}, 400, "InvalidImageName.Duplicated"),
        ({"Description": "http://x"}, 400, "InvalidDescription.Malformed"),
        ({"ImageFamily": "acs:x"}, 400, "InvalidImageFamily.Malformed"),
        ({"LicenseType": "Auto"}, 400, "InvalidLicenseType.NotSupported"),
        ({"Features": {"ImdsSupport": "v3"}}, 400, "InvalidParameter.FeaturesImdsSupport"),
        ({"Status": "Available"}, 403, "ImageStatus.NotDeprecated"),
        ({"ImageId": "m-00000000000000000000"}, 404, "InvalidImageId.NotFound"),
        ({"DryRun": True}, 400, "DryRunOperation"),
    ],
)
def test_refused_changes(site, sdk, kept, three, parameters, status, code):
    parameters = {"ImageId": three[1][0], **parameters}
    if parameters.get("ImageName") == "KEPT":
        parameters["ImageName"] = kiln.image(sdk, kept)["ImageName"]
    kiln.refused(sdk, "ModifyImageAttribute", status, code, **parameters)


def test_imds_does_not_go_back(site, sdk, objects):
    image_id = kiln.make_image(site, sdk, Features={"ImdsSupport": "v2"})
    kiln.refused(
        sdk,
        "ModifyImageAttribute",
        403,
        "InvalidOperation.FeaturesImdsSupportNotMatch",
        "The specified parameter Features.ImdsSupport can not be set to v1 from v2.",
        ImageId=image_id,
        Features={"ImdsSupport": "v1"},
    )


def test_deprecation_and_family(site, sdk, objects):
    """The newest image of a family that is available is the family's."""
    family = kiln.fresh("family")
    older, newer = kiln.make_image(site, sdk), kiln.make_image(site, sdk)
    for image_id in (older, newer):
        sdk.call("ModifyImageAttribute", ImageId=image_id, ImageFamily=family)
    ask = lambda: sdk.call("DescribeImageFromFamily", ImageFamily=family).get("Image", {})  # noqa: E731
    assert ask()["ImageId"] == newer
    sdk.call("ModifyImageAttribute", ImageId=newer, Status="Deprecated")
    assert kiln.image(sdk, newer)["Status"] == "Deprecated"
    assert ask()["ImageId"] == older
    account = site.keys["other"].account
    kiln.refused(
        sdk,
        "ModifyImageSharePermission",
        403,
        "OperationDenied.InvalidImageStatus",
        "The specified image cannot be shared when it is deprecated.",
        ImageId=newer,
        AddAccount=[account],
    )
    sdk.call("ModifyImageAttribute", ImageId=newer, Status="Available")
    assert ask()["ImageId"] == newer


def test_no_such_family(sdk):
    answer = sdk.call("DescribeImageFromFamily", ImageFamily=kiln.fresh("none"))
    assert not answer.get("Image")


@pytest.mark.short
@pytest.mark.parametrize("force", [{}, {"Force": True}])
def test_delete(site, sdk, objects, force):
    image_id = kiln.make_image(site, sdk)
    kiln.refused(sdk, "DeleteImage", 400, "DryRunOperation", ImageId=image_id, DryRun=True)
    assert kiln.image(sdk, image_id)
    sdk.call("DeleteImage", ImageId=image_id, **force)
    assert kiln.image(sdk, image_id) is None
    sdk.call("DeleteImage", ImageId=image_id)  # an image that is not there is deleted already


def test_delete_a_shared_image(site, sdk, objects):
    image_id = kiln.make_image(site, sdk)
    account = site.keys["other"].account
    sdk.call("ModifyImageSharePermission", ImageId=image_id, AddAccount=[account])
    kiln.refused(sdk, "DeleteImage", 403, "ImageUseShared", ImageId=image_id)
    sdk.call("ModifyImageSharePermission", ImageId=image_id, RemoveAccount=[account])
    sdk.call("DeleteImage", ImageId=image_id)


def test_delete_in_an_unknown_region(sdk):
    kiln.refused(
        sdk,
        "DeleteImage",
        404,
        "InvalidRegionId.NotFound",
        ImageId="m-00000000000000000000",
        RegionId="mars-1",
    )
