"""Copies of images, between regions and within one."""

import conftest as kiln
import disks as disk_files
import pytest
import sdk as sdks


@pytest.fixture
def there(site, kind):
    """The client, in the other region."""
    return site.connect(kind, region=site.other_region)


@pytest.mark.short
def test_copy_to_another_region(site, sdk, there, objects):
    image_id = kiln.make_image(
        site, sdk, DiskDeviceMapping=[kiln.mapping(site), kiln.mapping(site, "data.raw")]
    )
    name = kiln.fresh("copy")
    answer = sdk.call(
        "CopyImage",
        ImageId=image_id,
        DestinationRegionId=site.other_region,
        DestinationImageName=name,
        DestinationDescription="a copy",
        Tag=[{"Key": "copied", "Value": "yes"}],
    )
    assert answer["ImageId"] != image_id
    assert kiln.image(there, answer["ImageId"]), "the id is valid at once"
    copy = kiln.settled(there, answer["ImageId"])
    source = kiln.image(sdk, image_id)
    assert copy["Status"] == "Available"
    assert copy["IsCopied"] is True
    assert (copy["ImageName"], copy["Description"]) == (name, "a copy")
    assert copy["Tags"]["Tag"] == [{"TagKey": "copied", "TagValue": "yes"}]
    for field in ("Architecture", "OSType", "Platform", "BootMode", "Size"):
        assert copy[field] == source[field], field
    sizes = [disk["Size"] for disk in copy["DiskDeviceMappings"]["DiskDeviceMapping"]]
    assert sizes == [disk["Size"] for disk in source["DiskDeviceMappings"]["DiskDeviceMapping"]]
    assert kiln.image(sdk, answer["ImageId"]) is None, "the copy is not in the source's region"
    # The copy stands for itself.
    sdk.call("DeleteImage", ImageId=image_id)
    assert kiln.image(there, answer["ImageId"])["Status"] == "Available"


def test_copies_are_no_tasks_of_the_api(site, sdk, there, objects):
    image_id = kiln.make_image(site, sdk)
    answer = sdk.call("CopyImage", ImageId=image_id, DestinationRegionId=site.other_region)
    kiln.settled(there, answer["ImageId"])
    found = there.call("DescribeTasks", ResourceIds=[answer["ImageId"]])
    assert found["TotalCount"] == 0


@pytest.mark.parametrize(
    "parameters, status, code",
    [
        ({"ImageId": "m-00000000000000000000"}, 404, "InvalidImageId.NotFound"),
        ({"DestinationRegionId": "mars-1"}, 400, "DestinationRegion.NotFound"),
        ({"RegionId": "mars-1"}, 400, "SourceRegion.NotFound"),
        ({"DestinationImageName": "1st"}, 400, "InvalidImageName.Malformed"),
        ({"DestinationDescription": "http://x"}, 400, "InvalidDescription.Malformed"),
        ({"DryRun": True}, 400, "DryRunOperation"),
        ({"ResourceGroupId": "rg-none"}, 404, "InvalidResourceGroup.NotFound"),
    ],
)
def test_refused_copies(site, sdk, kept, parameters, status, code):
    parameters = {"ImageId": kept, "DestinationRegionId": site.other_region, **parameters}
    kiln.refused(sdk, "CopyImage", status, code, **parameters)


def test_two_copies_of_one_name(site, sdk, there, kept):
    name = kiln.fresh("copy")
    parameters = {
        "ImageId": kept,
        "DestinationRegionId": site.other_region,
        "DestinationImageName": name,
    }
    answer = sdk.call("CopyImage", **parameters)
    kiln.settled(there, answer["ImageId"])
    kiln.refused(
        sdk,
        "CopyImage",
        400,
        "InvalidImageName.Duplicated",
        "The destination image is exist.",
        **parameters,
    )


def test_a_deprecated_image_is_not_copied(site, sdk, objects):
    image_id = kiln.make_image(site, sdk)
    sdk.call("ModifyImageAttribute", ImageId=image_id, Status="Deprecated")
    kiln.refused(
        sdk,
        "CopyImage",
        400,
        "IncorrectImageStatus",
        "The image not available.",
        ImageId=image_id,
        DestinationRegionId=site.other_region,
    )


@pytest.mark.parametrize(
    "which, status, code, message",
    [
        (
            "imported",
            400,
            "ImageCreatedNotFromCopy",
            "The specified image is not the target image of a copy action.",
        ),
        ("copied", 400, "IncorrectImageStatus", "The image has completed copy."),
        ("none", 404, "InvalidImageId.NotFound", None),
    ],
)
def test_copies_that_cannot_be_cancelled(site, sdk, there, kept, which, status, code, message):
    client, image_id = sdk, kept
    if which == "copied":
        answer = sdk.call("CopyImage", ImageId=kept, DestinationRegionId=site.other_region)
        client, image_id = there, answer["ImageId"]
        kiln.settled(there, image_id)
    if which == "none":
        image_id = "m-00000000000000000000"
    kiln.refused(client, "CancelCopyImage", status, code, message, ImageId=image_id)


def test_a_cancelled_copy_is_gone(site, sdk, there, tmp_path):
    """Of a disk large enough that its copy is still at work when it is cancelled."""
    disk = tmp_path / "large.raw"
    for seed in range(3):
        disk_files.write_large(disk, seed)
        site.bucket("usable").put_object_from_file("large.raw", str(disk))
        image_id = kiln.make_image(site, sdk, disk="large.raw")
        answer = sdk.call("CopyImage", ImageId=image_id, DestinationRegionId=site.other_region)
        try:
            there.call("CancelCopyImage", ImageId=answer["ImageId"])
        except sdks.Refusal as refusal:
            assert refusal.code == "IncorrectImageStatus", "ended before it was cancelled"
            continue
        assert kiln.settled(there, answer["ImageId"]) is None
        return
    pytest.fail("three times a copy ended before it could be cancelled")

