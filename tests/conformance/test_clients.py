"""The tests' own tool: the three clients send one and the same request, and read one and the same
error. Without this, a parameter that a client drops would make a test pass for nothing."""

import http.server
import json
import threading
import urllib.parse

import pytest
import sdk
import wire

COMMON = {
    "AccessKeyId", "Action", "Format", "Signature", "SignatureMethod", "SignatureNonce",
    "SignatureType", "SignatureVersion", "Timestamp", "Version",
}  # fmt: skip


@pytest.fixture
def echo():
    """A server that keeps the parameters of each request and answers as it is told."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            target = urllib.parse.urlsplit(self.path)
            pairs = dict(urllib.parse.parse_qsl(target.query, keep_blank_values=True))
            server.seen.append(
                {name: value for name, value in pairs.items() if name not in COMMON}
            )
            body = json.dumps(server.answer).encode()
            self.send_response(server.status)
            self.send_header("Content-Type", "application/json;charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.status, server.answer = [], 200, {"RequestId": "R"}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def clients(server):
    key = sdk.Key("1", "id", "secret")
    endpoint = f"127.0.0.1:{server.server_address[1]}"
    return [sdk.connect(kind, endpoint, key, "r-1") for kind in sdk.CLIENTS]


@pytest.mark.parametrize(
    "action, parameters, wire",
    [
        (
            "ImportImage",
            {
                "ImageName": "a name",
                "DiskDeviceMapping": [{"OSSBucket": "b", "OSSObject": "o", "DiskImageSize": 5}],
                "Tag": [{"Key": "k", "Value": ""}],
                "Features": {"NvmeSupport": "supported"},
            },
            {
                "ImageName": "a name",
                "DiskDeviceMapping.1.OSSBucket": "b",
                "DiskDeviceMapping.1.OSSObject": "o",
                "DiskDeviceMapping.1.DiskImageSize": "5",
                "Tag.1.Key": "k",
                "Tag.1.Value": "",
                "Features.NvmeSupport": "supported",
            },
        ),
        (
            "ModifyImageSharePermission",
            {"ImageId": "m-1", "AddAccount": ["1", "2"]},
            {"ImageId": "m-1", "AddAccount.1": "1", "AddAccount.2": "2"},
        ),
        (
            "DescribeTasks",
            {"ResourceIds": ["m-1"], "PageSize": 5},
            {"ResourceIds.1": "m-1", "PageSize": "5"},
        ),
        (
            "UntagResources",
            {"ResourceType": "image", "ResourceId": ["m-1"], "TagKey": ["k"]},
            {"ResourceType": "image", "ResourceId.1": "m-1", "TagKey.1": "k"},
        ),
    ],
)
def test_three_clients_send_one_request(echo, action, parameters, wire):
    for client in clients(echo):
        client.call(action, **parameters)
    assert echo.seen == [{"RegionId": "r-1", **wire}] * len(sdk.CLIENTS)


def test_three_clients_read_one_error(echo):
    echo.status = 403
    echo.answer = {"RequestId": "ID-1", "HostId": "h", "Code": "A.B", "Message": "No: not so."}
    for client in clients(echo):
        with pytest.raises(sdk.Refusal) as caught:
            client.call("DeleteImage", ImageId="m-1")
        error = caught.value
        found = (error.status, error.code, error.message, error.request_id)
        assert found == (403, "A.B", "No: not so.", "ID-1")


def test_a_parameter_that_a_class_lacks_is_an_error(echo):
    for client in clients(echo):
        with pytest.raises(AssertionError):
            client.call("DeleteImage", ImageId="m-1", NoSuchThing="1")


def test_requests_by_hand_are_signed_as_the_documentation_signs_its_examples():
    signed = wire.v1(
        sdk.Key("1", "testid", "testsecret"),
        "DescribeRegions",
        {},
        Format="XML",
        Timestamp="2016-02-23T12:46:24Z",
        SignatureNonce="3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf",
    )
    assert signed["Signature"] == "OLeaidS1JvxuMvnyHOwuJ+uX5qY="
    headers = wire.v3(
        sdk.Key("1", "YourAccessKeyId", "YourAccessKeySecret"),
        "RunInstances",
        {
            "ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd",
            "RegionId": "cn-shanghai",
        },
        "ecs.cn-shanghai.aliyuncs.com",
        x_acs_date="2023-10-26T10:22:32Z",
        x_acs_signature_nonce="3156853299f313e23d1673dc12e1703d",
    )
    expected = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    assert headers["Authorization"].endswith(f"Signature={expected}")
