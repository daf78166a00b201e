"""ImportImage: each format, several disks, the check, and every error that its table documents."""

import conftest as kiln
import pytest
import sdk as sdks
import unreachable

FORMATS = {
    "system.raw": "RAW",
    "system.qcow2": "QCOW2",
    "system.vhd": "VHD",
    "fixed.vhd": "VHD",
    "system.vmdk": "VMDK",
}
LONG = "a" * 129


@pytest.mark.short
@pytest.mark.parametrize(
    "name, declared", [*FORMATS.items(), *((name, None) for name in [*FORMATS, "system.vhdx"])]
)
def test_each_format(site, sdk, objects, name, declared):
    """With its format declared and detected; `vhdx` is in no list of the documentation and is
    taken where nothing is declared."""
    more = {"Format": declared} if declared else {}
    answer = sdk.call(
        "ImportImage",
        ImageName=kiln.fresh(),
        DiskDeviceMapping=[kiln.mapping(site, name, **more)],
    )
    assert answer["ImageId"].startswith("m-") and len(answer["ImageId"]) == 22
    assert answer["TaskId"].startswith("t-")
    assert answer["RegionId"] == site.region
    ended = kiln.task(sdk, answer["TaskId"])
    assert ended["TaskStatus"] == "Finished", ended
    assert ended["TaskProcess"] == "100%"
    made = kiln.image(sdk, answer["ImageId"])
    assert made["Status"] == "Available"
    assert made["Progress"] == "100%"
    assert made["Size"] == 1, "16 MiB are one GiB, the least that a disk has"
    disk = made["DiskDeviceMappings"]["DiskDeviceMapping"][0]
    assert disk["Size"] == "1", "the size of a disk is text"
    assert (disk["Type"], disk["Device"]) == ("system", "/dev/xvda")
    assert disk["ImportOSSObject"] == name
    assert disk["ImportOSSBucket"] == site.buckets["usable"]


@pytest.mark.short
def test_all_that_was_asked_for_is_in_the_image(site, sdk, objects):
    name = kiln.fresh()
    image_id = kiln.make_image(
        site,
        sdk,
        ImageName=name,
        Description="Ein Bild, 一个镜像",
        Architecture="x86_64",
        OSType="linux",
        Platform="RedHat",
        BootMode="UEFI",
        Tag=[{"Key": "a", "Value": "1"}, {"Key": "空", "Value": ""}],
        Features={"NvmeSupport": "supported", "ImdsSupport": "v2"},
        DiskDeviceMapping=[
            kiln.mapping(site, "system.raw", DiskImageSize=3),
            kiln.mapping(site, "data.raw", DiskImSize=2),
        ],
    )
    made = kiln.image(sdk, image_id)
    assert made["ImageName"] == name
    assert made["Description"] == "Ein Bild, 一个镜像"
    assert made["Architecture"] == "x86_64"
    assert made["OSType"] == "linux"
    assert made["Platform"] == "Red Hat", "told with a blank, taken without"
    assert made["BootMode"] == "UEFI"
    assert made["Size"] == 3
    assert made["ImageOwnerAlias"] == "self"
    assert made["IsCopied"] is False
    assert made["Features"]["NvmeSupport"] == "supported"
    assert made["Features"]["ImdsSupport"] == "v2"
    tags = {tag["TagKey"]: tag["TagValue"] for tag in made["Tags"]["Tag"]}
    assert tags == {"a": "1", "空": ""}
    disks = made["DiskDeviceMappings"]["DiskDeviceMapping"]
    found = [(disk["Type"], disk["Device"], disk["Size"]) for disk in disks]
    assert found == [("system", "/dev/xvda", "3"), ("data", "/dev/xvdb", "2")]


def test_a_check_ends_and_never_fails_the_import(site, sdk, objects):
    image_id = kiln.make_image(site, sdk, DetectionStrategy="Standard")
    made = kiln.checked(sdk, image_id)
    assert made["Status"] == "Available"
    items = {item["Name"]: item for item in made["DetectionOptions"]["Items"]["Item"]}
    system = items["SystemImage"]
    assert (system["Value"], system["RiskLevel"]) == ("Invalid", "High"), "random bytes do not boot"
    assert system["RiskCode"].startswith("SystemImage.")


def test_without_a_strategy_nothing_is_checked(site, sdk, objects):
    image_id = kiln.make_image(site, sdk)
    assert not kiln.image(sdk, image_id).get("DetectionOptions", {}).get("Items", {}).get("Item")


def test_an_import_is_hidden_until_it_is_asked_for(site, sdk, objects):
    """An image that is still made is told of only where Status asks for it."""
    answer = sdk.call(
        "ImportImage", ImageName=kiln.fresh(), DiskDeviceMapping=[kiln.mapping(site)]
    )
    for found in sdk.call("DescribeImages", ImageId=answer["ImageId"])["Images"]["Image"]:
        assert found["Status"] == "Available"
    assert kiln.image(sdk, answer["ImageId"])
    kiln.settled(sdk, answer["ImageId"])


def test_a_truncated_disk_fails_its_task_and_is_not_listed(site, sdk, objects):
    try:
        answer = sdk.call(
            "ImportImage",
            ImageName=kiln.fresh(),
            DiskDeviceMapping=[kiln.mapping(site, "truncated.qcow2")],
        )
    except sdks.Refusal as refusal:
        assert (refusal.status, refusal.code) == (403, "InvalidImageFormat.Malformed")
        return
    ended = kiln.task(sdk, answer["TaskId"])
    assert ended["TaskStatus"] == "Failed"
    progress = ended["OperationProgressSet"]["OperationProgress"][0]
    assert progress["OperationStatus"] == "Failed"
    assert progress["ErrorCode"] and progress["ErrorMsg"]
    left = kiln.image(sdk, answer["ImageId"])
    assert left is None or left["Status"] == "CreateFailed"
    assert not sdk.call("DescribeImages", ImageId=answer["ImageId"])["Images"]["Image"]


# What is changed in a sound request ("disk" in its first disk; None takes away), and the answer.
MISSING = '^.*input parameter "{}" that is mandatory for processing th(e|is) request is not supplied.$'
ERRORS = [
    ({"RegionId": None}, 400, "MissingParameter", MISSING.format("RegionId")),
    (
        {"disk": {"OSSBucket": None}},
        400,
        "MissingParameter",
        MISSING.format("DiskDeviceMapping.1.OSSBucket"),
    ),
    (
        {"disk": {"OSSObject": None}},
        400,
        "MissingParameter",
        MISSING.format("DiskDeviceMapping.1.OSSObject"),
    ),
    (
        {"DiskDeviceMapping": None},
        403,
        "MissingParameter.DiskDeviceMapping",
        "The specified parameter DiskDeviceMapping is not supplied.",
    ),
    (
        {"disk": {"OSSObject": "installer.iso"}},
        400,
        "UnsupportedSuffix.OSSObject",
        "The specified OSS object suffix is not supported.",
    ),
    *(
        (
            {"ImageName": name},
            400,
            "InvalidImageName.Malformed",
            "The specified Image name is wrongly formed.",
        )
        for name in ["a", LONG, "1st", "acs:x", "aliyun-x", "see-http://x", "a b", "a/b"]
    ),
    (
        {"ImageName": "KEPT"},
        400,
        "InvalidImageName.Duplicated",
        "The destination image is exist.",
    ),
    *(
        (
            {"Description": text},
            400,
            "InvalidDescription.Malformed",
            "The specified Image description is wrongly formed.",
        )
        for text in ["x", "http://x", "https://x", "x" * 257]
    ),
    (
        {"Architecture": "sparc"},
        400,
        "InvalidArchitecture.Malformed",
        "The specified Architecture is wrongly formed.",
    ),
    (
        {"Platform": "BeOS"},
        400,
        "InvalidPlatform.Malformed",
        "The specified Platform is wrongly formed.",
    ),
    (
        {"OSType": "Linux"},
        400,
        "InvalidOSType.Malformed",
        "The specified OSType is wrongly formed.",
    ),
    (
        {"OSType": "linux", "Platform": "Windows Server 2022"},
        400,
        "InvalidOSType.Malformed",
        "The specified OSType is wrongly formed.",
    ),
    (
        {"BootMode": "CSM"},
        400,
        "InvalidBootMode.Malformed",
        'The specified parameter "BootMode" is malformed.',
    ),
    (
        {"Architecture": "arm64", "BootMode": "BIOS"},
        400,
        "InvalidBootMode.NotSupport",
        "The specified parameter BootMode is not supported for current image architecture.",
    ),
    (
        {"LicenseType": "Free"},
        400,
        "InvalidLicenseType.NotSupported",
        "The specified LicenseType is not supported.",
    ),
    (
        {"disk": {"OSSBucket": "-Bad_"}},
        400,
        "InvalidOSSBucket.Malformed",
        "The specified OSS bucket is wrongly formed.",
    ),
    *(
        (
            {"disk": {"OSSObject": name}},
            400,
            "InvalidOSSObject.Malformed",
            "The specified OSS object is wrongly formed.",
        )
        for name in ["http://x/y.raw", "x" * 1020 + ".raw"]
    ),
    (
        {"disk": {"OSSBucket": "no-such-bucket"}},
        400,
        "InvalidOSSBucket.NotFound",
        "The specified OSS bucket does not exist in this region.",
    ),
    (
        {"disk": {"OSSObject": "no-such.raw"}},
        400,
        "InvalidOSSObject.NotFound",
        "The specified OSS object does not exist in this region.",
    ),
    (
        {"disk": {"OSSBucket": "ELSEWHERE"}},
        400,
        "InvalidOSSBucket.NotMatched",
        "^The specified OSS bucket is incorrect, .+\\.$",
    ),
    (
        {"disk": {"OSSObject": "empty.raw"}},
        400,
        "InvalidOSSObject.Size",
        "The specified OSS object size is zero.",
    ),
    *(({"disk": {"DiskImageSize": size}}, 400, "InvalidImageSize", "^.+") for size in [0, 2049]),
    (
        {"more": {"DiskImageSize": 2049}},
        400,
        "InvalidDataDiskSize",
        "^The specified DiskDeviceMapping.(N|2).DiskImSize should be in the specified range.$",
    ),
    (
        {"disk": {"Format": "TAR"}},
        400,
        "InvalidImageFormat.Malformed",
        "The specified Image Format is wrongly formed.",
    ),
    (
        {"DetectionStrategy": "Thorough"},
        400,
        "InvalidParameter.DetectionStrategy",
        "The specified parameter DetectionStrategy is invalid.",
    ),
    (
        {"Features": {"ImdsSupport": "v3"}},
        400,
        "InvalidParameter.FeaturesImdsSupport",
        "The specified parameter Features.ImdsSupport is not supported.",
    ),
    *(
        (
            {"ClientToken": token},
            400,
            "InvalidClientToken.Malformed",
            "The specified parameter clientToken is not valid.",
        )
        for token in ["t" * 65, "tökén"]
    ),
    (
        {"RegionId": "mars-1"},
        400,
        "InvalidRegionId.NotFound",
        "The specified RegionId does not exist.",
    ),
    (
        {"disk": {"Device": "/dev/null"}},
        403,
        "InvalidParameter.Malformed",
        '^The specified parameter "DiskDeviceMapping.(n|1).Device ?" is not valid.$',
    ),
    (
        {
            "Architecture": "arm64",
            "BootMode": "UEFI",
            "OSType": "windows",
            "Platform": "Windows Server 2008",
        },
        403,
        "InvalidArchitecture.PlatformUnsupported",
        "The OS platform you selected does not support the specified architecture.",
    ),
    (
        {"RoleName": "NoSuchRole"},
        403,
        "NoSetRoletoECSServiceAcount",
        "ECS service account Have no right to access your OSS.please attach a role of access your "
        "oss to ECS service account.",
    ),
    (
        {"disk": {"OSSBucket": "REFUSED"}},
        403,
        "InvalidOSS.NotAuthorized",
        "The specified OSS bucket or object is not allowed to access.",
    ),
    (
        {
            "OSType": "windows",
            "Platform": "Windows Server 2003",
            "DetectionStrategy": "Standard",
        },
        403,
        "ImageCheckUnsupported.WindowsImage",
        "Image check is unsupported for windows image.",
    ),
    (
        {"Tag": [{"Key": "One", "Value": "1"}, {"Key": "one", "Value": "2"}]},
        403,
        "TagKey.Duplication",
        "The TagKey has duplication with others, case-insensitive.",
    ),
    ({"Tag": [{"Key": "acs:x", "Value": "1"}]}, 400, "InvalidTagKey.Malformed", None),
    ({"Tag": [{"Key": "x", "Value": "https://x"}]}, 400, "InvalidTagValue.Malformed", None),
    (
        {"Tag": [{"Key": f"k{n}", "Value": ""} for n in range(21)]},
        400,
        "InvalidTagCount",
        None,
    ),
    (
        {"StorageLocationArn": "arn:acs:cloudbox:x"},
        403,
        "InvalidOperation.CloudBoxImageImportUnsupported",
        None,
    ),
    (
        {"ResourceGroupId": "rg-none"},
        404,
        "InvalidResourceGroup.NotFound",
        "The ResourceGroup provided does not exist in our records.",
    ),
    (
        {"DryRun": True},
        400,
        "DryRunOperation",
        "Request validation has been passed with DryRun flag set.",
    ),
]

# What the bytes of the object decide: the answer to the call, or the error of its task.
CONTENT_ERRORS = [
    ("system.qcow2", {"Format": "VHD"}, 403, "InvalidImageFormat.Malformed"),
    ("large.qcow2", {"DiskImageSize": 4}, 400, "InvalidImageSize"),
    ("table.vhd", {}, 403, "InvalidVHDImage.IncorrectSize"),
    ("blocks.vhd", {}, 403, "InvalidBlockSize.NotSupport"),
]

# Codes that tests of their own bring about, below and in test_quotas.
BY_TESTS = {"ImageIsImporting", "QuotaExceed.Image", "InvalidLicenseType.BYOLOnly"}


def sound(site, changes):
    """A sound request with the changes of a row."""
    named = {"ELSEWHERE": site.buckets["elsewhere"], "REFUSED": site.buckets["refused"]}
    changes = dict(changes)
    disk = {**kiln.mapping(site), **changes.pop("disk", {})}
    disk["OSSBucket"] = named.get(disk["OSSBucket"], disk["OSSBucket"])
    disks = [{name: value for name, value in disk.items() if value is not None}]
    if "more" in changes:
        disks.append({**kiln.mapping(site, "data.raw"), **changes.pop("more")})
    parameters = {"ImageName": kiln.fresh(), "DiskDeviceMapping": disks}
    parameters.update(changes)
    return parameters


@pytest.mark.parametrize(
    "changes, status, code, message",
    [pytest.param(*row, id=f"{number}-{row[2]}") for number, row in enumerate(ERRORS)],
)
def test_each_error(site, kind, objects, kept, changes, status, code, message):
    # The older client adds its own region to every request: only the newer can leave it out.
    client = site.connect("new" if changes.get("RegionId", "") is None else kind)
    parameters = sound(site, changes)
    if changes.get("ImageName") == "KEPT":
        parameters["ImageName"] = kiln.image(client, kept)["ImageName"]
    before = site.connect().call("DescribeImages", Status="ALL")["TotalCount"]
    kiln.refused(client, "ImportImage", status, code, message, **parameters)
    after = site.connect().call("DescribeImages", Status="ALL")["TotalCount"]
    assert before == after, "a refused import left an image behind"


@pytest.mark.parametrize("name, more, status, code", CONTENT_ERRORS)
def test_each_error_of_the_content(site, sdk, objects, name, more, status, code):
    parameters = {"ImageName": kiln.fresh(), "DiskDeviceMapping": [kiln.mapping(site, name, **more)]}
    try:
        answer = sdk.call("ImportImage", **parameters)
    except sdks.Refusal as refusal:
        assert (refusal.status, refusal.code) == (status, code), refusal.message
        return
    ended = kiln.task(sdk, answer["TaskId"])
    assert ended["TaskStatus"] == "Failed", ended
    assert ended["OperationProgressSet"]["OperationProgress"][0]["ErrorCode"] == code


def test_other_windows_takes_its_own_licence_only(site, sdk, objects):
    """A licence of the cloud's own is only for what it sells licences of."""
    kiln.refused(
        sdk,
        "ImportImage",
        400,
        "InvalidLicenseType.BYOLOnly",
        "Only BYOL LicenseType is supported for the current platform provided.",
        **sound(site, {"OSType": "windows", "Platform": "Other Windows", "LicenseType": "Aliyun"}),
    )


def test_one_object_is_imported_once_at_a_time(site, sdk, objects):
    """The second import of an object whose first still runs is refused. The first may be too quick
    for that, so it is tried some times; the object is one that takes a while."""
    import random

    key = f"{kiln.fresh('slow')}.raw"
    site.bucket("usable").put_object(key, random.Random(7).randbytes(96 << 20))
    for _ in range(5):
        first = sdk.call("ImportImage", **sound(site, {"disk": {"OSSObject": key}}))
        try:
            second = sdk.call("ImportImage", **sound(site, {"disk": {"OSSObject": key}}))
        except sdks.Refusal as refusal:
            found = (refusal.status, refusal.code, refusal.message)
            assert found == (403, "ImageIsImporting", "The specified Image is importing.")
            kiln.settled(sdk, first["ImageId"])
            return
        kiln.settled(sdk, first["ImageId"])
        kiln.settled(sdk, second["ImageId"])
    pytest.fail("five times two imports of one object were both taken")


def test_every_documented_code_has_a_test_or_a_reason():
    """The table of the documentation, code by code."""
    tested = {row[2] for row in ERRORS} | {row[3] for row in CONTENT_ERRORS} | BY_TESTS
    both = tested & set(unreachable.IMPORT_IMAGE)
    assert not both, "tested, so not out of reach"
    missing = DOCUMENTED - tested - set(unreachable.IMPORT_IMAGE)
    assert not missing


DOCUMENTED = set(
    """MissingParameter MissingParameter.DiskDeviceMapping UnsupportedSuffix.OSSObject
    InvalidImageName.Malformed InvalidImageName.Duplicated InvalidDescription.Malformed
    InvalidArchitecture.Malformed InvalidPlatform.Malformed InvalidOSType.Malformed
    InvalidBootMode.Malformed InvalidBootMode.NotSupport InvalidLicenseType.NotSupported
    InvalidLicenseType.BYOLOnly InvalidOSSBucket.Malformed InvalidOSSObject.Malformed
    InvalidOSSBucket.NotFound InvalidOSSObject.NotFound InvalidOSSBucket.NotMatched
    InvalidOSSObject.Size InvalidOSSObject.NeedRestore InvalidImageSize InvalidDataDiskSize
    InvalidImageFormat.Malformed InvalidImageFormat.RegionNotSupported
    InvalidParameter.DetectionStrategy InvalidParameter.FeaturesImdsSupport
    InvalidClientToken.Malformed InvalidRegionId.NotFound InvalidRegion.NotSupport
    InvalidParameter.Malformed InvalidArchitecture.PlatformUnsupported
    InvalidVHDImage.IncorrectSize InvalidBlockSize.NotSupport ImageIsImporting QuotaExceed.Image
    NoSetRoletoECSServiceAcount InvalidOSS.NotAuthorized InvalidOSSBucket.EncryptUnsupported
    ImageCheckUnsupported.WindowsImage ImportImageFailed UserNotInTheWhiteList
    InvalidAccountStatus.OSSDisabled TagKey.Duplication InvalidStorageLocation.NotFound
    InvalidOperation.CloudBoxImageImportRoleRequired
    InvalidOperation.CloudBoxImageImportUnsupported InvalidResourceGroup.NotFound""".split()
)
