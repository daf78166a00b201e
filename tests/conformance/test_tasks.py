"""Tasks: lists, one with its progress, and cancelling."""

import random
import re

import conftest as kiln
import pytest
import sdk as sdks

NO_SUCH_TASK = (400, "InvalidTaskId.NotFound", 'The specified "TaskId" is not found.')


@pytest.fixture(scope="module")
def done(site, objects):
    """An import that is finished: task and image."""
    answer = site.connect().call(
        "ImportImage", ImageName=kiln.fresh(), DiskDeviceMapping=[kiln.mapping(site)]
    )
    kiln.task(site.connect(), answer["TaskId"])
    return answer["TaskId"], answer["ImageId"]


@pytest.mark.short
@pytest.mark.parametrize(
    "filters, is_found",
    [
        ({"TaskIds": "TASK"}, True),
        ({"TaskIds": "TASK,t-00000000000000000000"}, True),
        ({"TaskIds": "t-00000000000000000000"}, False),
        ({"TaskAction": "ImportImage"}, True),
        ({"TaskAction": "ExportImage"}, False),
        ({"TaskStatus": "Finished"}, True),
        ({"TaskStatus": "Failed"}, False),
        ({"TaskStatus": "Sleeping"}, True),  # a value of no effect is ignored
        ({"ResourceIds": ["IMAGE"]}, True),
        ({"ResourceIds": ["m-00000000000000000000"]}, False),
        ({"StartTime": "2020-01-01T00:00:00Z"}, True),
        ({"StartTime": "2999-01-01T00:00:00Z"}, False),
        ({"EndTime": "2020-01-01T00:00:00Z"}, False),
    ],
)
def test_each_filter(sdk, done, filters, is_found):
    task_id, image_id = done
    filters = dict(filters)
    if "TaskIds" in filters:
        filters["TaskIds"] = filters["TaskIds"].replace("TASK", task_id)
    if "ResourceIds" in filters:
        filters["ResourceIds"] = [name.replace("IMAGE", image_id) for name in filters["ResourceIds"]]
    # Other tests make tasks too: look at all of them.
    answer = sdk.call("DescribeTasks", PageSize=100, **filters)
    found = {task["TaskId"]: task for task in answer["TaskSet"]["Task"]}
    for page in range(2, answer["TotalCount"] // 100 + 2):
        more = sdk.call("DescribeTasks", PageSize=100, PageNumber=page, **filters)
        found |= {task["TaskId"]: task for task in more["TaskSet"]["Task"]}
    assert (task_id in found) is is_found
    if is_found:
        task = found[task_id]
        assert task["TaskAction"] == "ImportImage"
        assert task["TaskStatus"] == "Finished"
        assert task["ResourceId"] == image_id
        assert task["SupportCancel"] in ("true", "false"), "a truth as text"
        for field in ("CreationTime", "FinishedTime"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", task[field]), field


def test_pages(sdk, done, site, objects):
    answer = sdk.call("DescribeTasks", PageSize=1, PageNumber=1)
    assert len(answer["TaskSet"]["Task"]) == 1
    beyond = sdk.call("DescribeTasks", PageSize=100, PageNumber=1000)
    assert beyond["TaskSet"]["Task"] == []
    assert beyond["TotalCount"] >= answer["TotalCount"] > 0


def test_one_task(site, sdk, done):
    task_id, image_id = done
    task = sdk.call("DescribeTaskAttribute", TaskId=task_id)
    assert (task["TaskId"], task["RegionId"]) == (task_id, site.region)
    assert (task["TaskAction"], task["TaskStatus"]) == ("ImportImage", "Finished")
    assert task["TaskProcess"] == "100%"
    assert (task["TotalCount"], task["SuccessCount"], task["FailedCount"]) == (1, 1, 0)
    (progress,) = task["OperationProgressSet"]["OperationProgress"]
    assert progress["OperationStatus"] == "Success"
    items = {item["Name"]: item["Value"] for item in progress["RelatedItemSet"]["RelatedItem"]}
    expected = {"ImageId": image_id, "OSSBucket": site.buckets["usable"], "OSSObject": "system.raw"}
    assert items == expected


@pytest.mark.parametrize("action", ["DescribeTaskAttribute", "CancelTask"])
def test_refused_questions(sdk, action):
    kiln.refused(sdk, action, *NO_SUCH_TASK, TaskId="t-00000000000000000000")
    kiln.refused(sdk, action, 400, "MissingParameter", '^.*"TaskId" that is mandatory')
    kiln.refused(
        sdk, action, 400, "InvalidRegionId.NotFound", TaskId="t-00000000000000000000", RegionId="x-1"
    )


def test_a_finished_task_is_not_cancelled(sdk, done):
    kiln.refused(
        sdk,
        "CancelTask",
        403,
        "InvalidTaskId.IncorrectTaskStatus",
        "The specified task status is not invalid.",
        TaskId=done[0],
    )


def test_cancelling_an_import_leaves_nothing(site, sdk, objects):
    """The disk is large enough that the import is still at work."""
    key = f"{kiln.fresh('slow')}.raw"
    site.bucket("usable").put_object(key, random.Random(8).randbytes(96 << 20))
    for _ in range(5):
        answer = sdk.call(
            "ImportImage", ImageName=kiln.fresh(), DiskDeviceMapping=[kiln.mapping(site, key)]
        )
        try:
            kiln.refused(sdk, "DeleteImage", 403, "ImageIsImporting", ImageId=answer["ImageId"])
            sdk.call("CancelTask", TaskId=answer["TaskId"])
        except sdks.Refusal as refusal:
            assert refusal.code == "InvalidTaskId.IncorrectTaskStatus"
            continue
        task = kiln.task(sdk, answer["TaskId"])
        if task["TaskStatus"] == "Finished":
            continue
        assert task["TaskStatus"] == "Cancelled", task
        assert kiln.image(sdk, answer["ImageId"]) is None, "cancelled, and still there"
        return
    pytest.fail("five times an import ended before it could be cancelled")
