"""What all tests share: where the server is (site.json, which `cargo xtask test serve` writes), the
clients, the uploaded disks, and waiting for what takes time."""

import itertools
import json
import os
import time
import uuid

import disks as disk_files
import oss2
import pytest
import sdk as sdks
import unreachable

WAIT_S = 180

# The tests of the OSS endpoint take their address and key from the environment, as they can be
# pointed at any endpoint. Where a site is under test, it is that one.
if "KILN_SITE" in os.environ and "KILN_OSS_ENDPOINT" not in os.environ:
    with open(os.environ["KILN_SITE"], encoding="utf-8") as _file:
        _site = json.load(_file)
    os.environ["KILN_OSS_ENDPOINT"] = f"http://{_site['oss']}"
    os.environ["KILN_ACCESS_KEY_ID"] = _site["keys"]["main"]["id"]
    os.environ["KILN_ACCESS_KEY_SECRET"] = _site["keys"]["main"]["secret"]
    os.environ["KILN_BUCKET"] = _site["buckets"]["usable"]


class Site:
    """The server under test: its endpoints, accounts, regions and buckets."""

    def __init__(self, content):
        self.endpoint = content["endpoint"]
        self.oss = content["oss"]
        self.region, self.other_region = content["regions"]
        self.buckets = content["buckets"]
        self.keys = {
            name: sdks.Key(key["account"], key["id"], key["secret"])
            for name, key in content["keys"].items()
        }

    def connect(self, kind="old", key="main", region=None, product="ecs"):
        """A client that signs with the named key."""
        return sdks.connect(kind, self.endpoint, self.keys[key], region or self.region, product)

    def bucket(self, name):
        """The official object store client on a bucket, named by its part in the tests."""
        key = self.keys["main"]
        auth = oss2.Auth(key.id, key.secret)
        return oss2.Bucket(auth, f"http://{self.oss}", self.buckets[name])


@pytest.fixture(scope="session")
def site():
    path = os.environ.get("KILN_SITE")
    if not path:
        pytest.fail("KILN_SITE is not set; run these tests by: cargo xtask test serve")
    with open(path, encoding="utf-8") as file:
        return Site(json.load(file))


@pytest.fixture(params=sdks.CLIENTS)
def kind(request):
    """The name of each client in turn."""
    return request.param


@pytest.fixture
def sdk(site, kind):
    """Each client in turn, with the key of the account that most tests use."""
    return site.connect(kind)


@pytest.fixture(scope="session")
def objects(site, tmp_path_factory):
    """All disks, uploaded to the bucket that may be used, and one to each of the others."""
    made = disk_files.make(tmp_path_factory.mktemp("disks"))
    for name, path in made.items():
        site.bucket("usable").put_object_from_file(name, str(path))
    site.bucket("elsewhere").put_object_from_file("system.raw", str(made["system.raw"]))
    site.bucket("refused").put_object_from_file("system.raw", str(made["system.raw"]))
    return made


def fresh(prefix="image"):
    """A name that no test used before."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def mapping(site, name="system.raw", **more):
    """DiskDeviceMapping of one uploaded disk."""
    return {"OSSBucket": site.buckets["usable"], "OSSObject": name, **more}


def until(ask, is_done, what):
    """Ask again and again until it is done; fail with the last answer."""
    deadline = time.monotonic() + WAIT_S
    for attempt in itertools.count():
        answer = ask()
        if is_done(answer):
            return answer
        if time.monotonic() > deadline:
            pytest.fail(f"{what} is not so after {WAIT_S} s: {answer}")
        time.sleep(min(0.05 * (attempt + 1), 1))


def image(client, image_id):
    """The image as DescribeImages has it, whatever its status; None where there is none."""
    answer = client.call("DescribeImages", ImageId=image_id, Status="ALL")
    found = answer["Images"]["Image"]
    assert len(found) <= 1
    return found[0] if found else None


def settled(client, image_id):
    """The image when its making has ended, well or badly."""
    pending = ("Creating", "Waiting")
    ask = lambda: image(client, image_id)  # noqa: E731
    return until(ask, lambda found: not found or found["Status"] not in pending, "a settled image")


def checked(client, image_id):
    """The image when its check has ended."""
    ask = lambda: image(client, image_id)  # noqa: E731
    is_done = lambda found: found.get("DetectionOptions", {}).get("Status") == "Finished"  # noqa: E731
    return until(ask, is_done, "a finished check")


def task(client, task_id):
    """The task as DescribeTaskAttribute has it, when it has ended."""
    ask = lambda: client.call("DescribeTaskAttribute", TaskId=task_id)  # noqa: E731
    is_done = lambda found: found["TaskStatus"] not in ("Waiting", "Processing")  # noqa: E731
    return until(ask, is_done, "a finished task")


def make_image(site, client=None, disk="system.raw", **more):
    """Import an image and wait until it is available; its id."""
    client = client or site.connect()
    parameters = {"ImageName": fresh(), "DiskDeviceMapping": [mapping(site, disk)], **more}
    answer = client.call("ImportImage", **parameters)
    made = settled(client, answer["ImageId"])
    assert made and made["Status"] == "Available", (made, task(client, answer["TaskId"]))
    return answer["ImageId"]


@pytest.fixture(scope="session")
def kept(site, objects):
    """An image with tags, a family and a description, which no test changes."""
    client = site.connect()
    image_id = make_image(
        site,
        client,
        Description="kept by the tests",
        Tag=[{"Key": "purpose", "Value": "tests"}, {"Key": "bare", "Value": ""}],
        DetectionStrategy="Standard",
    )
    client.call("ModifyImageAttribute", ImageId=image_id, ImageFamily="kept-family")
    checked(client, image_id)
    return image_id


def pages(client, action, most=1000, **parameters):
    """The answers of a list that is continued by a token."""
    more = {}
    for _ in range(most):
        page = client.call(action, **parameters, **more)
        yield page
        if not page.get("NextToken"):
            return
        more = {"NextToken": page["NextToken"]}
    raise AssertionError(f"{action} has more than {most} pages")


def refused(client, action, status, code, message=None, **parameters):
    """The call must be refused so; `message` is the whole text, or a pattern where it begins with
    ^."""
    with pytest.raises(sdks.Refusal) as caught:
        client.call(action, **parameters)
    error = caught.value
    assert (error.status, error.code) == (status, code), error.message
    if message and message.startswith("^"):
        import re

        assert re.search(message, error.message), error.message
    elif message:
        assert error.message == message
    assert error.request_id, "a refusal without RequestId"
    return error


def pytest_terminal_summary(terminalreporter):
    """Errors that are documented and cannot be brought about, each with its reason."""
    terminalreporter.section("documented errors of ImportImage that kiln never answers with")
    for code, reason in unreachable.IMPORT_IMAGE.items():
        terminalreporter.line(f"{code}: {reason}")
