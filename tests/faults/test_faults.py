"""What goes wrong around a server: it says so clearly in the task, tries again where that makes
sense, keeps nothing half made, and works on afterwards."""

import json
import os
import pathlib
import random
import sqlite3
import struct
import subprocess
import time

import pytest
import sdk as sdks

MIB = 1 << 20


@pytest.fixture(scope="module")
def where():
    """Folders and database of the server, which no client would know."""
    return json.loads(pathlib.Path(os.environ["KILN_SITE"]).read_text(encoding="utf-8"))


def upload(site, size_mib, seed):
    key = f"fault-{seed}.raw"
    site.bucket("usable").put_object(key, random.Random(seed).randbytes(size_mib * MIB))
    return key


def begin(kiln, site, key):
    return site.connect().call(
        "ImportImage", ImageName=kiln.fresh("fault"), DiskDeviceMapping=[kiln.mapping(site, key)]
    )


def failed(kiln, site, answer):
    """The task failed with a code and a text, and the image is not to be had."""
    client = site.connect()
    task = kiln.task(client, answer["TaskId"])
    assert task["TaskStatus"] == "Failed", task
    progress = task["OperationProgressSet"]["OperationProgress"][0]
    assert progress["ErrorCode"] and progress["ErrorMsg"], progress
    left = kiln.image(client, answer["ImageId"])
    assert left is None or left["Status"] == "CreateFailed"
    return progress


def nothing_left(where):
    """No part of a disk is left in the spool, nor in a store under a name that is not its own."""
    deadline = time.monotonic() + 10
    spool = pathlib.Path(where["state"]) / "spool"
    while left := [path for path in spool.rglob("*") if path.is_file()]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def works(kiln, site):
    """After all that, an import succeeds."""
    key = upload(site, 4, seed=4711)
    made = kiln.settled(site.connect(), begin(kiln, site, key)["ImageId"])
    assert made["Status"] == "Available"


def test_object_that_gets_shorter(kiln, site, where):
    """Cut off while it is read."""
    key = upload(site, 192, seed=1)
    answer = begin(kiln, site, key)
    os.truncate(pathlib.Path(where["bucket_folders"]["usable"]) / key, 8 * MIB)
    progress = failed(kiln, site, answer)
    assert key in progress["ErrorMsg"], "it names the object"
    nothing_left(where)
    works(kiln, site)


def test_bucket_that_goes_away(kiln, site, where):
    """Gone while an object is read, and back later."""
    key = upload(site, 192, seed=2)
    folder = pathlib.Path(where["bucket_folders"]["usable"])
    aside = folder.with_name("aside")
    answer = begin(kiln, site, key)
    folder.rename(aside)
    try:
        client = site.connect()
        task = kiln.task(client, answer["TaskId"])
    finally:
        if folder.exists():
            for path in folder.iterdir():
                path.rename(aside / path.name)
            folder.rmdir()
        aside.rename(folder)
    # An open file is still there when its folder is renamed, so the import may well succeed.
    if task["TaskStatus"] != "Finished":
        failed(kiln, site, answer)
    nothing_left(where)
    works(kiln, site)


def test_object_that_is_gone_before_it_is_read(kiln, site, where):
    """Imports are queued or slow to begin: the object may be deleted in between."""
    key = upload(site, 64, seed=3)
    answer = begin(kiln, site, key)
    site.bucket("usable").delete_object(key)
    task = kiln.task(site.connect(), answer["TaskId"])
    if task["TaskStatus"] != "Finished":
        failed(kiln, site, answer)
    nothing_left(where)
    works(kiln, site)


def test_locked_database(kiln, site, where):
    """Someone else holds SQLite's lock for some seconds while an import is at work."""
    key = upload(site, 64, seed=5)
    answer = begin(kiln, site, key)
    path = where["database"].removeprefix("sqlite://")
    lock = sqlite3.connect(path, timeout=30, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    time.sleep(3)
    lock.execute("ROLLBACK")
    lock.close()
    made = kiln.settled(site.connect(), answer["ImageId"])
    assert made["Status"] == "Available", "the database was only locked for a while"
    nothing_left(where)


def test_full_disk(kiln, site, where):
    """The state folder is a file system of 64 MiB, and the disk does not compress."""
    key = upload(site, 128, seed=6)
    answer = begin(kiln, site, key)
    progress = failed(kiln, site, answer)
    assert "space" in progress["ErrorMsg"].lower(), progress
    nothing_left(where)
    works(kiln, site)


def test_database_gone_for_a_while(kiln, site, where, database_flag):
    """PostgreSQL is stopped for some seconds while an import is at work."""
    key = upload(site, 64, seed=7)
    answer = begin(kiln, site, key)
    database_flag.write_text("please")
    deadline = time.monotonic() + 60
    while database_flag.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    made = kiln.settled(site.connect(), answer["ImageId"])
    assert made["Status"] == "Available", "the database was only away for a while"
    nothing_left(where)


def from_remote(kiln, site, objects, key):
    (objects / key).write_bytes(random.Random(key).randbytes(8 * MIB))
    disk = {"OSSBucket": "tests-remote", "OSSObject": key}
    return site.connect().call("ImportImage", ImageName=kiln.fresh("far"), DiskDeviceMapping=[disk])


def test_store_that_is_slow_and_fails_now_and_then(kiln, site, where, objects):
    """One read in three fails, in each way that a read can fail: tried again, it succeeds."""
    answer = from_remote(kiln, site, objects, "poor.raw")
    made = kiln.settled(site.connect(), answer["ImageId"])
    assert made["Status"] == "Available", kiln.task(site.connect(), answer["TaskId"])
    nothing_left(where)


def test_store_that_fails_always(kiln, site, where, objects):
    """Tried for a while and then given up, with an error that names the object."""
    try:
        answer = from_remote(kiln, site, objects, "broken.raw")
    except sdks.Refusal as refusal:
        assert refusal.status in (403, 500, 503), refusal
        assert refusal.code and refusal.message
    else:
        failed(kiln, site, answer)
    nothing_left(where)


def hostile(folder, seed):
    """A disk with a Linux on it that means harm; of all but every fourth, some bytes are random."""
    dice = random.Random(seed)
    root = folder / f"root-{seed}"
    for name in ("boot/grub", "etc", "usr/lib/modules/6.1.0-1-amd64", "usr/bin", "sbin"):
        (root / name).mkdir(parents=True)
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n' + "A=$(:(){ :|:& };:)\n" * 1000)
    # Much more than it seems: gigabytes of zeros, compressed; a menu without an end to its nesting.
    bomb = subprocess.run(
        "head -c 4G /dev/zero | zstd -q -1", shell=True, check=True, capture_output=True
    ).stdout
    (root / "boot/initrd.img-6.1.0-1-amd64").write_bytes(bomb)
    (root / "boot/vmlinuz-6.1.0-1-amd64").write_bytes(dice.randbytes(4096))
    (root / "boot/grub/grub.cfg").write_text("submenu x {\n" * 100_000 + "source /boot/grub/grub.cfg\n")
    (root / "etc/fstab").write_text("UUID=a / ext4 defaults 0 1\n" * 200_000)
    (root / "etc/loop").symlink_to("loop")
    (root / "usr/bin/growpart").symlink_to("../../../../../../etc/passwd")
    disk = folder / f"hostile-{seed}.raw"
    disk.write_bytes(b"")
    os.truncate(disk, 96 * MIB)
    make = ["mkfs.ext4", "-q", "-F", "-E", f"offset={MIB}", "-d", str(root), str(disk), f"{95 * 1024}k"]
    subprocess.run(make, check=True)
    with open(disk, "r+b") as file:
        entry = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x83, b"\xff\xff\xff", 2048, 95 * 2048)
        file.seek(446)
        file.write(entry)
        file.seek(510)
        file.write(b"\x55\xaa")
        for _ in range([0, 20, 200, 2000][seed % 4]):
            file.seek(MIB + 1024 + dice.randrange(512 * 1024))
            file.write(dice.randbytes(1))
    return disk


def test_hostile_disks(kiln, site, tmp_path):
    """Imported as the bytes that they are; their checks end, and harm nothing."""
    client = site.connect()
    images = []
    for seed in range(8):
        key = f"hostile-{seed}.raw"
        site.bucket("usable").put_object_from_file(key, str(hostile(tmp_path, seed)))
        answer = client.call(
            "ImportImage",
            ImageName=kiln.fresh("hostile"),
            DiskDeviceMapping=[kiln.mapping(site, key)],
            DetectionStrategy="Standard",
        )
        images.append(answer["ImageId"])
    for image_id in images:
        made = kiln.settled(client, image_id)
        assert made["Status"] == "Available", "a check does not fail an import"
        kiln.checked(client, image_id)
    sound = kiln.checked(client, images[0])["DetectionOptions"]
    assert sound["Items"], "the first is a whole file system, so it was read"
    works(kiln, site)
