"""Exports: every format, compared with what was imported by qemu-img."""

import subprocess
import tarfile

import conftest as kiln
import pytest

EXTENSIONS = {"raw": "raw.tar.gz", "vhd": "vhd", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi"}
DRIVERS = {"raw": "raw", "vhd": "vpc", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi"}
MIB = 1 << 20


@pytest.fixture(scope="module")
def image_id(site, objects):
    return kiln.make_image(site, disk="system.qcow2")


@pytest.mark.parametrize("form", EXTENSIONS)
def test_each_format_holds_what_was_imported(site, sdk, image_id, objects, tmp_path, form):
    bucket = site.bucket("usable")
    answer = sdk.call(
        "ExportImage",
        ImageId=image_id,
        OSSBucket=site.buckets["usable"],
        OSSPrefix="out",
        ImageFormat=form,
    )
    assert answer["RegionId"] == site.region
    task = kiln.task(sdk, answer["TaskId"])
    assert task["TaskStatus"] == "Finished", task
    key = f"out_{image_id}_{answer['TaskId']}.{EXTENSIONS[form]}"
    (progress,) = task["OperationProgressSet"]["OperationProgress"]
    items = {item["Name"]: item["Value"] for item in progress["RelatedItemSet"]["RelatedItem"]}
    assert items["OSSBucket"] == site.buckets["usable"]
    assert items["OSSObject"] == key
    assert items["ImageFormat"].lower() == form
    path = tmp_path / "exported"
    bucket.get_object_to_file(key, str(path))
    if form == "raw":
        with tarfile.open(path) as archive:
            (member,) = archive.getmembers()
            path = tmp_path / "disk.raw"
            with archive.extractfile(member) as source, open(path, "wb") as target:
                while block := source.read(MIB):
                    target.write(block)
    raw = tmp_path / "compared.raw"
    subprocess.run(
        ["qemu-img", "convert", "-f", DRIVERS[form], "-O", "raw", str(path), str(raw)], check=True
    )
    imported = objects["system.raw"].read_bytes()
    with open(raw, "rb") as file:
        assert file.read(len(imported)) == imported
        while rest := file.read(16 * MIB):
            assert not any(rest), "what was not imported is zeros"


def test_each_disk_is_an_object(site, sdk, objects):
    made = kiln.make_image(
        site, sdk, DiskDeviceMapping=[kiln.mapping(site), kiln.mapping(site, "data.raw")]
    )
    answer = sdk.call(
        "ExportImage", ImageId=made, OSSBucket=site.buckets["usable"], ImageFormat="qcow2"
    )
    assert kiln.task(sdk, answer["TaskId"])["TaskStatus"] == "Finished"
    stem = f"{made}_{answer['TaskId']}"
    for key in (f"{stem}_system.qcow2", f"{stem}_data_xvdb.qcow2"):
        assert site.bucket("usable").object_exists(key), key


@pytest.mark.parametrize(
    "parameters, status, code",
    [
        ({"ImageId": None}, 400, "MissingParameter"),
        ({"OSSBucket": None}, 400, "MissingParameter"),
        ({"ImageId": "m-00000000000000000000"}, 404, "InvalidImageId.NotFound"),
        ({"OSSPrefix": "a_b"}, 400, "InvalidOSSPrefix.Malformed"),
        ({"OSSPrefix": "a" * 31}, 400, "InvalidOSSPrefix.Malformed"),
        ({"ImageFormat": "iso"}, 400, "InvalidImageFormat.Malformed"),
        ({"RegionId": "mars-1"}, 400, "InvalidRegionId.NotFound"),
        ({"OSSBucket": "no-such-bucket"}, 400, "InvalidOSSBucket.NotFound"),
        ({"OSSBucket": "ELSEWHERE"}, 400, "InvalidOSSBucket.NotMatched"),
        ({"OSSBucket": "REFUSED"}, 403, "InvalidOSS.NotAuthorized"),
        ({"RoleName": "NoSuchRole"}, 403, "NoSetRoletoECSServiceAcount"),
        ({"DryRun": True}, 400, "DryRunOperation"),
    ],
)
def test_refused_exports(site, sdk, image_id, parameters, status, code):
    named = {"ELSEWHERE": site.buckets["elsewhere"], "REFUSED": site.buckets["refused"]}
    parameters = {"ImageId": image_id, "OSSBucket": site.buckets["usable"], **parameters}
    parameters["OSSBucket"] = named.get(parameters["OSSBucket"], parameters["OSSBucket"])
    kiln.refused(sdk, "ExportImage", status, code, **parameters)


def test_a_windows_server_image_is_not_exported(site, sdk, objects):
    made = kiln.make_image(site, sdk, OSType="windows", Platform="Windows Server 2022")
    with pytest.raises(kiln.sdks.Refusal) as caught:
        sdk.call("ExportImage", ImageId=made, OSSBucket=site.buckets["usable"])
    assert caught.value.code in ("InvalidImageLicense.NotSupported", "InvalidImageCategory.NotSupported")
    assert caught.value.status == 403
