"""The main job of `kiln serve` as a client sees it, with the official clients: upload an image,
import it with a check, list what the check found. Arguments: the site and the disk."""

import json
import sys
import time

import oss2
import sdk as sdks


def main(site_path, disk):
    with open(site_path, encoding="utf-8") as file:
        site = json.load(file)
    key = site["keys"]["main"]
    bucket = oss2.Bucket(
        oss2.Auth(key["id"], key["secret"]), f"http://{site['oss']}", site["buckets"]["usable"]
    )
    start = time.monotonic()
    oss2.resumable_upload(bucket, "demo.qcow2", disk, part_size=64 << 20, num_threads=2)
    print(f"uploaded {disk} by oss2 in {time.monotonic() - start:.1f} s")

    signer = sdks.Key(key["account"], key["id"], key["secret"])
    client = sdks.connect("new", site["endpoint"], signer, site["regions"][0])
    mapping = {"OSSBucket": site["buckets"]["usable"], "OSSObject": "demo.qcow2"}
    made = client.call(
        "ImportImage", ImageName="demo", DetectionStrategy="Standard", DiskDeviceMapping=[mapping]
    )
    while True:
        task = client.call("DescribeTaskAttribute", TaskId=made["TaskId"])
        print(f"ImportImage {made['ImageId']}: {task['TaskStatus']} {task['TaskProcess']}")
        if task["TaskStatus"] not in ("Processing", "Waiting"):
            break
        time.sleep(1)
    image = described(client, made["ImageId"])
    print(f"{image['ImageName']}  {image['Status']}  {image['Size']} GiB  {image['BootMode']}")
    items = image["DetectionOptions"]["Items"]["Item"]
    for item in items:
        risk = f"  {item['RiskLevel']} {item['RiskCode']}" if item.get("RiskCode") else ""
        print(f"  {item['Name']:<24} {item['Value']}{risk}")
    # The demo proves itself: a Debian that kiln made is one that it knows.
    assert {item["Name"]: item["Value"] for item in items}["Platform"] == "Debian"


def described(client, image_id):
    """The image once its check has ended."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        answer = client.call("DescribeImages", ImageId=image_id, Status="ALL")
        (image,) = answer["Images"]["Image"]
        if image.get("DetectionOptions", {}).get("Status") == "Finished":
            return image
        time.sleep(0.5)
    raise SystemExit("the check did not end in 5 minutes")


if __name__ == "__main__":
    main(*sys.argv[1:])
