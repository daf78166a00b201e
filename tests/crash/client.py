"""The client of the crash tests: begins operations on a server that is about to be killed, and says
afterwards what must be true of it.

    client.py SITE LOG

It is told what to do by lines of its standard input, and answers on its standard output:

    begin ACTION SEED    ACTION: import, copy, export, delete, run. Says `begins` when it has uploaded
                         what it needs, and `began` when the server has answered, or died
    settle               wait for the end of all tasks, judge, and say in JSON what is kept

What the server acknowledged is kept in LOG, one JSON document a line, written before the next call.
Every imported disk is of its own and is named in the image: disk-SEED. So the contents of an image,
of its copies and of its exports are known.
"""

import collections
import json
import pathlib
import random
import subprocess
import sys
import tempfile
import time

import conftest as kiln
import disks
import oss2
import sdk as sdks

# Large enough that a kill often meets a disk half done.
RANDOM_MIB = 24
WAIT_S = 300
# Executions that one `run` begins.
EXECUTIONS = 8
GONE = (AssertionError, OSError, oss2.exceptions.RequestError)


def content(seed):
    """A disk that compresses badly, and differs for each seed."""
    size = disks.MIB
    return random.Random(seed).randbytes(RANDOM_MIB * size) + bytes(8 * size)


def say(log, **what):
    with open(log, "a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")


def begin(site, log, action, seed):
    client = site.connect("old")
    bucket = site.bucket("usable")
    if action == "import":
        bucket.put_object(f"disk-{seed}.raw", content(seed))
    else:
        chosen = choose(client, seed)
    # From here on the server may die at any moment.
    print("begins", flush=True)
    try:
        if action == "import":
            answer = client.call(
                "ImportImage",
                ImageName=f"disk-{seed}-import",
                DiskDeviceMapping=[kiln.mapping(site, f"disk-{seed}.raw")],
                **({"DetectionStrategy": "Standard"} if seed % 2 else {}),
            )
            say(log, action=action, image=answer["ImageId"], task=answer["TaskId"])
        elif action == "copy":
            answer = client.call(
                "CopyImage",
                ImageId=chosen["ImageId"],
                DestinationRegionId=site.other_region,
                DestinationImageName=f"{stem(chosen)}-copy-{seed}",
            )
            say(log, action=action, image=answer["ImageId"])
        elif action == "run":
            start_executions(site, log, chosen, seed)
        elif action == "export":
            answer = client.call(
                "ExportImage",
                ImageId=chosen["ImageId"],
                OSSBucket=site.buckets["usable"],
                OSSPrefix="out",
                ImageFormat="qcow2",
            )
            say(log, action=action, image=chosen["ImageId"], task=answer["TaskId"], disk=stem(chosen))
        else:
            say(log, action="asked", image=chosen["ImageId"])
            client.call("DeleteImage", ImageId=chosen["ImageId"])
            say(log, action=action, image=chosen["ImageId"])
    except GONE:
        pass  # killed before it answered
    except sdks.Refusal as refusal:
        if refusal.status < 500:
            raise


def start_executions(site, log, chosen, seed):
    """Executions that copy an image each; every second one asks somebody first."""
    oos = site.connect("old", product="oos")
    for n in range(EXECUTIONS):
        copy = f"{stem(chosen)}-copy-{seed}-{n}"
        answer = oos.call(
            "StartExecution",
            TemplateContent=copies(site, chosen["ImageId"], copy, asks=n % 2 == 1),
            ClientToken=f"run-{seed}-{n}",
        )
        execution = answer["Execution"]["ExecutionId"]
        say(log, action="run", execution=execution, copy=copy, image=chosen["ImageId"])


def copies(site, image, name, asks):
    hook = {"URI": "http://nobody.invalid/", "Headers": {}, "Content": {}}
    ask = {"NotifyType": "WebHook", "WebHook": hook, "Approvers": []}
    copy = {"ImageId": image, "DestinationRegionId": site.other_region, "DestinationImageName": name}
    find = {"ImageName": name, "RegionId": site.other_region, "Status": "Available,CreateFailed"}
    tasks = [
        {"Name": "rest", "Action": "ACS::Sleep", "Properties": {"Duration": "PT1S"}},
        {
            "Name": "copy",
            "Action": "ACS::ExecuteAPI",
            "Properties": {"Service": "ECS", "API": "CopyImage", "Parameters": copy},
            "Outputs": {"image": {"ValueSelector": "ImageId", "Type": "String"}},
        },
        {
            "Name": "wait",
            "Action": "ACS::WaitFor",
            "Properties": {
                "Service": "ECS",
                "API": "DescribeImages",
                "Parameters": find,
                "PropertySelector": "Images.Image[].Status",
                "DesiredValues": ["Available"],
            },
            "Retries": 60,
            "DelayType": "Constant",
            "Delay": 1,
        },
    ]
    if asks:
        tasks.insert(1, {"Name": "ask", "Action": "ACS::Approve", "Properties": ask})
    outputs = {"image": {"Type": "String", "Value": "{{ copy.image }}"}}
    return json.dumps({"FormatVersion": "OOS-2019-06-01", "Tasks": tasks, "Outputs": outputs})


def choose(client, seed):
    """An available image, chosen by the seed."""
    answer = client.call("DescribeImages", PageSize=100)
    found = sorted(answer["Images"]["Image"], key=lambda image: image["ImageId"])
    return found[seed % len(found)]


def stem(image):
    """disk-SEED of an image's name."""
    return "-".join(image["ImageName"].split("-")[:2])


def everything(client, action, collection, member, **parameters):
    """All pages of a list."""
    found = []
    for page in range(1, 1000):
        answer = client.call(action, PageSize=100, PageNumber=page, **parameters)
        found += answer[collection][member]
        if len(found) >= answer["TotalCount"]:
            return found
    raise AssertionError("a list without an end")


def settle_executions(site):
    """Approve what asks, and wait for the end of all executions: each by its identifier."""
    oos = site.connect("old", product="oos")
    deadline = time.monotonic() + WAIT_S
    while True:
        pages = kiln.pages(oos, "ListExecutions", MaxResults=100)
        found = [one for page in pages for one in page["Executions"]]
        at_work = [e for e in found if e["Status"] not in ("Success", "Failed", "Cancelled")]
        if not at_work:
            return {e["ExecutionId"]: e for e in found}
        assert time.monotonic() < deadline, f"unfinished after {WAIT_S} s: {at_work}"
        for execution in at_work:
            if execution["Status"] == "Waiting":
                try:
                    execution_id = execution["ExecutionId"]
                    oos.call("NotifyExecution", ExecutionId=execution_id, NotifyType="Approve")
                except sdks.Refusal as refusal:
                    # The approval of the round before is under way.
                    assert refusal.status == 400, refusal
        time.sleep(0.2)


def settle(site, log):
    executions = settle_executions(site)
    clients = [site.connect("old", region=region) for region in (site.region, site.other_region)]
    deadline = time.monotonic() + WAIT_S
    while True:
        tasks = [t for c in clients for t in everything(c, "DescribeTasks", "TaskSet", "Task")]
        images = [
            everything(c, "DescribeImages", "Images", "Image", Status="ALL") for c in clients
        ]
        at_work = [t for t in tasks if t["TaskStatus"] in ("Waiting", "Processing")]
        at_work += [i for found in images for i in found if i["Status"] in ("Creating", "Waiting")]
        if not at_work:
            break
        assert time.monotonic() < deadline, f"unfinished after {WAIT_S} s: {at_work}"
        time.sleep(0.1)
    statuses = {i["ImageId"]: i["Status"] for found in images for i in found}
    judge_acknowledged(log, {t["TaskId"]: t["TaskStatus"] for t in tasks}, statuses)
    for found in images:
        for image in found:
            assert image["Status"] in ("Available", "CreateFailed"), image
    judge_executions(log, executions, [i for found in images for i in found])
    judge_exports(site, clients[0], tasks)
    kept = [sorted({stem(i) for i in found if i["Status"] == "Available"}) for found in images]
    print(json.dumps({"kept": kept, "statuses": statuses, "tasks": len(tasks)}), flush=True)


def acknowledged(log):
    lines = pathlib.Path(log).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def judge_acknowledged(log, tasks, statuses):
    """Nothing that was acknowledged is lost: its task ended, its image is there or was deleted."""
    told = acknowledged(log)
    asked = {entry["image"] for entry in told if entry["action"] == "asked"}
    for entry in told:
        image, action = entry["image"], entry["action"]
        if "task" in entry:
            assert entry["task"] in tasks, f"a task is lost: {entry}"
            assert tasks[entry["task"]] == "Finished", f"nothing was wrong but the kill: {entry}"
        if action == "delete":
            assert image not in statuses, f"a deleted image is back: {entry}"
        if action in ("import", "copy") and image not in asked:
            assert statuses.get(image) == "Available", f"an image is lost: {entry}"


def judge_executions(log, executions, images):
    """Each execution that was acknowledged ended well, and its one call was made once."""
    told = {entry["execution"]: entry for entry in acknowledged(log) if entry["action"] == "run"}
    for execution in executions.values():
        assert execution["Status"] == "Success", execution
    names = collections.Counter(image["ImageName"] for image in images)
    for execution, entry in told.items():
        assert execution in executions, f"an execution is lost: {entry}"
        assert names[entry["copy"]] == 1, f"{names[entry['copy']]} images of one call: {entry}"
    twice = [name for name, count in names.items() if "-copy-" in name and count > 1]
    assert not twice, f"made twice: {twice}"


def judge_exports(site, client, tasks):
    """A finished export is there and holds the disk; there is no other object of an export."""
    bucket = site.bucket("usable")
    expected = {}
    for task in tasks:
        if task["TaskAction"] == "ExportImage" and task["TaskStatus"] == "Finished":
            expected[f"out_{task['ResourceId']}_{task['TaskId']}.qcow2"] = task["ResourceId"]
    found = {o.key for o in oss2.ObjectIterator(bucket, prefix="out_")}
    assert found == set(expected), f"partial or lost objects: {found ^ set(expected)}"
    names = {}
    for image in everything(client, "DescribeImages", "Images", "Image", Status="ALL"):
        names[image["ImageId"]] = stem(image)
    for key, image in list(expected.items())[-3:]:
        if image in names:
            compare(bucket, key, int(names[image].split("-")[1]))


def compare(bucket, key, seed):
    with tempfile.TemporaryDirectory() as folder:
        exported, raw = f"{folder}/exported", f"{folder}/raw"
        bucket.get_object_to_file(key, exported)
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", exported, raw], check=True)
        with open(raw, "rb") as file:
            expected = content(seed)
            assert file.read(len(expected)) == expected, f"{key} differs from what was imported"


def main(site, log):
    site = kiln.Site(json.loads(pathlib.Path(site).read_text(encoding="utf-8")))
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "begin":
            action, seed = rest
            begin(site, log, action, int(seed))
            print("began", flush=True)
        else:
            settle(site, log)


if __name__ == "__main__":
    main(*sys.argv[1:])
