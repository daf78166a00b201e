"""The official OSS client against kiln's OSS endpoint.

Needs the packages oss2 and pytest, and in the environment KILN_OSS_ENDPOINT, KILN_ACCESS_KEY_ID,
KILN_ACCESS_KEY_SECRET and KILN_BUCKET. Objects are put under a prefix of their own and removed.
"""

import hashlib
import os
import uuid

import oss2
import pytest

ENDPOINT = os.environ["KILN_OSS_ENDPOINT"]
KEY_ID = os.environ["KILN_ACCESS_KEY_ID"]
SECRET = os.environ["KILN_ACCESS_KEY_SECRET"]
BUCKET = os.environ["KILN_BUCKET"]
REGION = os.environ.get("KILN_REGION", "cn-hangzhou")


def client(version, secret=SECRET, bucket=BUCKET):
    if version == "v1":
        return oss2.Bucket(oss2.Auth(KEY_ID, secret), ENDPOINT, bucket)
    return oss2.Bucket(oss2.AuthV4(KEY_ID, secret), ENDPOINT, bucket, region=REGION)


@pytest.fixture(params=["v1", "v4"])
def version(request):
    return request.param


@pytest.fixture
def bucket(version):
    return client(version)


@pytest.fixture
def prefix(bucket):
    prefix = f"test-{uuid.uuid4().hex}/"
    yield prefix
    for item in list(oss2.ObjectIteratorV2(bucket, prefix=prefix)):
        bucket.delete_object(item.key)


def test_put_get_range_head_delete(bucket, prefix):
    key, content = prefix + "disk.raw", bytes(range(256)) * 5000
    put = bucket.put_object(key, content, headers={"x-oss-meta-origin": "test"})
    assert put.etag == hashlib.md5(content).hexdigest().upper()
    assert bucket.get_object(key).read() == content
    assert bucket.get_object(key, byte_range=(10, 299)).read() == content[10:300]
    assert bucket.get_object(key, byte_range=(None, 7)).read() == content[-7:]
    head = bucket.head_object(key)
    assert head.content_length == len(content)
    assert head.headers["x-oss-meta-origin"] == "test"
    assert bucket.object_exists(key)
    assert bucket.delete_object(key).status == 204
    assert not bucket.object_exists(key)


@pytest.mark.parametrize("name", ["a/b/c d+e%2F.raw", "镜像/磁盘 1.qcow2", "x&y=z?#;'\"<>"])
def test_odd_keys(bucket, prefix, name):
    bucket.put_object(prefix + name, name.encode())
    assert bucket.get_object(prefix + name).read() == name.encode()
    for iterator in (oss2.ObjectIterator, oss2.ObjectIteratorV2):
        assert [item.key for item in iterator(bucket, prefix=prefix)] == [prefix + name]


def test_lists(bucket, prefix):
    names = ["a", "b/1", "b/2", "b-", "b0", "c/d/e"]
    for name in names:
        bucket.put_object(prefix + name, name)
    wanted = sorted(prefix + name for name in names)
    for iterator in (oss2.ObjectIterator, oss2.ObjectIteratorV2):
        for page in (1, 2, 100):
            found = [item.key for item in iterator(bucket, prefix=prefix, max_keys=page)]
            assert found == wanted
            found = [
                (item.key[len(prefix):], item.is_prefix())
                for item in iterator(bucket, prefix=prefix, delimiter="/", max_keys=page)
            ]
            assert sorted(found) == sorted(
                [("a", False), ("b-", False), ("b/", True), ("b0", False), ("c/", True)]
            )
    deleted = bucket.batch_delete_objects([prefix + name for name in names])
    assert sorted(deleted.deleted_keys) == wanted
    assert not list(oss2.ObjectIteratorV2(bucket, prefix=prefix))


def test_resumable_upload_and_download(bucket, prefix, tmp_path):
    content = os.urandom(1_300_000)
    local, back, key = tmp_path / "disk", tmp_path / "back", prefix + "disk.raw"
    local.write_bytes(content)
    done = oss2.resumable_upload(
        bucket, key, str(local), store=oss2.ResumableStore(root=str(tmp_path)),
        multipart_threshold=200_000, part_size=300_000, num_threads=3)
    assert done.etag.endswith("-5")
    assert bucket.get_object(key).read() == content
    oss2.resumable_download(
        bucket, key, str(back), store=oss2.ResumableDownloadStore(root=str(tmp_path)),
        multiget_threshold=200_000, part_size=300_000)
    assert back.read_bytes() == content


def test_parts(bucket, prefix):
    key = prefix + "parts"
    upload = bucket.init_multipart_upload(key).upload_id
    bucket.upload_part(key, upload, 2, b"end")
    first = bucket.upload_part(key, upload, 1, b"x" * 102_400)
    parts = bucket.list_parts(key, upload).parts
    assert [(part.part_number, part.size) for part in parts] == [(1, 102_400), (2, 3)]
    with pytest.raises(oss2.exceptions.ServerError) as refused:
        bucket.complete_multipart_upload(key, upload, [oss2.models.PartInfo(3, first.etag)])
    assert refused.value.code == "InvalidPart"
    bucket.abort_multipart_upload(key, upload)
    with pytest.raises(oss2.exceptions.NoSuchUpload):
        bucket.list_parts(key, upload)
    assert not bucket.object_exists(key)


def test_bucket(bucket):
    assert bucket.get_bucket_location().location == f"oss-{REGION}"
    assert bucket.get_bucket_info().name == BUCKET
    bucket.create_bucket()


def test_service(version):
    auth = oss2.Auth(KEY_ID, SECRET) if version == "v1" else oss2.AuthV4(KEY_ID, SECRET)
    service = oss2.Service(auth, ENDPOINT, region=REGION)
    assert BUCKET in [one.name for one in service.list_buckets().buckets]


def test_signed_url(bucket, prefix):
    key = prefix + "signed url"
    bucket.put_object_with_url(bucket.sign_url("PUT", key, 60), b"by url")
    assert bucket.get_object_with_url(bucket.sign_url("GET", key, 60)).read() == b"by url"


def test_refusals(bucket, version, prefix):
    with pytest.raises(oss2.exceptions.SignatureDoesNotMatch):
        client(version, secret="wrong").get_object("any")
    with pytest.raises(oss2.exceptions.NoSuchKey):
        bucket.get_object(prefix + "missing")
    with pytest.raises(oss2.exceptions.NoSuchBucket):
        client(version, bucket="no-such-bucket").get_object("any")
    with pytest.raises(oss2.exceptions.AccessDenied):
        client(version, bucket="no-such-bucket").create_bucket()
    for key in ("../outside", "a/../../outside", ".kiln/meta/x"):
        with pytest.raises(oss2.exceptions.ServerError) as refused:
            bucket.put_object(key, b"x")
        assert refused.value.code == "InvalidObjectName"
    with pytest.raises(oss2.exceptions.ServerError) as refused:
        bucket.put_object(prefix + "x", b"x", headers={"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="})
    assert refused.value.code == "InvalidDigest"
    assert not bucket.object_exists(prefix + "x")
