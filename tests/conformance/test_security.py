"""Requests that must be refused: unsigned, tampered with, expired, replayed, of others, too large."""

import hashlib
import json
import socket
import time
import xml.etree.ElementTree as tree

import conftest as kiln
import pytest
import sdk as sdks
import wire

ACTION = "DescribeRegions"


def error(answer):
    """Status, code and message of an error, in whichever format it came."""
    status, _, text = answer
    if text.startswith("<"):
        root = tree.fromstring(text.encode())
        assert root.findtext("RequestId") and root.findtext("HostId")
        return status, root.findtext("Code"), root.findtext("Message")
    content = json.loads(text)
    assert content["RequestId"] and content["HostId"]
    return status, content["Code"], content["Message"]


def get(site, parameters, **more):
    return wire.send(site.endpoint, parameters, **more)


def post_v3(site, parameters=None, key="main", action=ACTION, send=None, body=b"", **changes):
    """A request signed with the newer scheme; `send` is what is sent instead of what was signed."""
    headers = wire.v3(site.keys[key], action, parameters or {}, site.endpoint, body=body, **changes)
    return wire.send(site.endpoint, send or parameters or {}, "POST", body, headers)


def test_sound_requests_pass(site):
    """Or the refusals below would prove nothing."""
    key = site.keys["main"]
    assert get(site, wire.v1(key, ACTION, {}))[0] == 200
    assert post_v3(site)[0] == 200
    form = wire.query(wire.v1(key, ACTION, {"AcceptLanguage": "en-US"}, method="POST"))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert get(site, {}, method="POST", body=form, headers=kind)[0] == 200
    # A form below the newer signature: named in the headers that are signed, hashed as it is.
    body = b"AcceptLanguage=en-US"
    answer = post_v3(site, body=body, **{"content-type": "application/x-www-form-urlencoded"})
    assert answer[0] == 200


@pytest.mark.short
def test_unsigned(site):
    for method in ("GET", "POST"):
        found = error(get(site, {"Action": ACTION, "Version": wire.VERSION, "Format": "JSON"}, method=method))
        assert found[:2] == (400, "MissingSignature")


@pytest.mark.parametrize(
    "changes, status, code",
    [
        ({"AccessKeyId": "LTAI-none"}, 404, "InvalidAccessKeyId.NotFound"),
        ({"AccessKeyId": None}, 400, "MissingAccessKeyId"),
        ({"SignatureNonce": None}, 400, "MissingSignatureNonce"),
        ({"Timestamp": None}, 400, "MissingTimestamp"),
        ({"Timestamp": "yesterday"}, 400, "InvalidTimeStamp.Format"),
        ({"Timestamp": -16 * 60}, 400, "InvalidTimeStamp.Expired"),
        ({"Timestamp": 16 * 60}, 400, "InvalidTimeStamp.Expired"),
        ({"SignatureMethod": "HMAC-MD5"}, 400, "InvalidSignatureMethod"),
        ({"Version": "2013-01-10"}, 400, "InvalidVersion"),
        ({"Action": "MakeTea"}, 404, "InvalidAction.NotFound"),
        ({"Format": "YAML"}, 400, "InvalidParameter.Format"),
        ({"OwnerId": "1", "OwnerAccount": "a"}, 400, "InvalidOwner"),
    ],
)
def test_common_parameters_of_v1(site, changes, status, code):
    changes = {n: wire.now(v) if isinstance(v, int) else v for n, v in changes.items()}
    parameters = wire.v1(site.keys["main"], ACTION, {}, **changes)
    assert error(get(site, parameters))[:2] == (status, code)


@pytest.mark.parametrize(
    "changes, status, code",
    [
        ({"x_acs_date": "yesterday"}, 400, "InvalidTimeStamp.Format"),
        ({"x_acs_date": -16 * 60}, 400, "InvalidTimeStamp.Expired"),
        ({"x_acs_date": 16 * 60}, 400, "InvalidTimeStamp.Expired"),
        ({"x_acs_version": "2013-01-10"}, 400, "InvalidVersion"),
        ({"x_acs_action": "MakeTea"}, 404, "InvalidAction.NotFound"),
        ({"x_acs_content_sha256": hashlib.sha256(b"other").hexdigest()}, 400, "SignatureDoesNotMatch"),
    ],
)
def test_common_headers_of_v3(site, changes, status, code):
    changes = {n: wire.now(v) if isinstance(v, int) else v for n, v in changes.items()}
    assert error(post_v3(site, **changes))[:2] == (status, code)


@pytest.mark.parametrize("name", ["host", "x_acs_action", "x_acs_date", "x_acs_signature_nonce"])
def test_headers_that_v3_must_sign(site, name):
    """A header that is sent but not signed could be anyone's."""
    headers = wire.v3(site.keys["main"], ACTION, {}, site.endpoint, **{name: None})
    sent = {
        "host": site.endpoint,
        "x-acs-action": ACTION,
        "x-acs-date": wire.now(),
        "x-acs-signature-nonce": kiln.fresh(),
    }
    headers[name.replace("_", "-")] = sent[name.replace("_", "-")]
    status, code, _ = error(wire.send(site.endpoint, {}, "POST", b"", headers))
    assert status == 400
    assert code in ("IncompleteSignature", "SignatureDoesNotMatch")


def test_a_timestamp_near_the_limit_is_good(site):
    for offset in (-14 * 60, 14 * 60):
        assert get(site, wire.v1(site.keys["main"], ACTION, {}, Timestamp=wire.now(offset)))[0] == 200


@pytest.mark.parametrize("scheme", ["v1", "v3"])
def test_tampered(site, kept, scheme):
    """The signature is of another request."""
    key = site.keys["main"]
    parameters = {"RegionId": site.region, "ImageId": "m-00000000000000000000"}
    if scheme == "v1":
        signed = wire.v1(key, "DeleteImage", parameters)
        signed["ImageId"] = kept
        answer = get(site, signed)
    else:
        answer = post_v3(site, parameters, action="DeleteImage", send={**parameters, "ImageId": kept})
    status, code, message = error(answer)
    assert (status, code) == (400, "SignatureDoesNotMatch")
    if scheme == "v1":
        assert message.startswith(
            "Specified signature is not matched with our calculation. server string to sign is:GET&%2F&"
        )
    else:
        assert "server StringToSign is [ACS3-HMAC-SHA256\n" in message
    assert kiln.image(site.connect(), kept), "the tampered request was carried out"


@pytest.mark.parametrize("kind", sdks.CLIENTS)
def test_wrong_secret(site, kind):
    key = site.keys["main"]
    wrong = sdks.Key(key.account, key.id, key.secret + "x")
    client = sdks.connect(kind, site.endpoint, wrong, site.region)
    with pytest.raises(sdks.Refusal) as caught:
        client.call(ACTION)
    # The older client compares the server's text to sign with its own, and where they are equal it
    # blames the secret: so this proves that both made the same text.
    expected = "InvalidAccessKeySecret" if kind == "old" else "SignatureDoesNotMatch"
    assert caught.value.code == expected


@pytest.mark.parametrize("kind", sdks.CLIENTS)
def test_a_key_that_is_switched_off(site, kind):
    message = "Specified access key is disabled."
    kiln.refused(site.connect(kind, "inactive"), ACTION, 400, "InvalidAccessKeyId.Inactive", message)


def test_malformed_authorization(site):
    for value in ("ACS3-HMAC-SHA256", "ACS3-HMAC-SHA256 Credential=x", "ACS3-HMAC-SHA256 " + "," * 5000):
        headers = wire.v3(site.keys["main"], ACTION, {}, site.endpoint)
        headers["Authorization"] = value
        status, code, _ = error(wire.send(site.endpoint, {}, "POST", b"", headers))
        assert (status, code) == (400, "IncompleteSignature")


def test_other_algorithms(site):
    headers = wire.v3(site.keys["main"], ACTION, {}, site.endpoint)
    headers["Authorization"] = headers["Authorization"].replace("SHA256 ", "SM3 ", 1)
    headers["Authorization"] = headers["Authorization"].replace("HMAC-SHA256", "HMAC-SM3")
    assert error(wire.send(site.endpoint, {}, "POST", b"", headers))[:2] == (400, "InvalidSignatureMethod")


@pytest.mark.short
def test_replayed(site):
    parameters = wire.v1(site.keys["main"], ACTION, {})
    assert get(site, parameters)[0] == 200
    assert error(get(site, parameters))[:2] == (400, "SignatureNonceUsed")
    headers = wire.v3(site.keys["main"], ACTION, {}, site.endpoint)
    assert wire.send(site.endpoint, {}, "POST", b"", headers)[0] == 200
    again = wire.send(site.endpoint, {}, "POST", b"", headers)
    assert error(again)[:2] == (400, "SignatureNonceUsed")


def test_a_nonce_of_a_refused_request_is_not_used_up(site):
    """Or anyone could use up the nonces of others."""
    nonce = kiln.fresh("nonce")
    bad = wire.v1(site.keys["main"], ACTION, {}, SignatureNonce=nonce)
    assert get(site, {**bad, "Signature": "AAAA"})[0] == 400
    assert get(site, wire.v1(site.keys["main"], ACTION, {}, SignatureNonce=nonce))[0] == 200


@pytest.mark.parametrize("kind", sdks.CLIENTS)
def test_denied_by_policy(site, kind, kept):
    """The user `restricted` may do all but delete images."""
    client = site.connect(kind, "restricted")
    assert kiln.image(client, kept), "of the same account"
    kiln.refused(
        client,
        "DeleteImage",
        403,
        "Forbidden.RAM",
        "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
        ImageId=kept,
    )
    assert kiln.image(client, kept)


def test_policy_comes_before_parameters(site):
    """Who may not act does not learn what is there either."""
    client = site.connect(key="restricted")
    kiln.refused(client, "DeleteImage", 403, "Forbidden.RAM", ImageId="m-00000000000000000000")


def test_other_methods(site):
    for method in ("PUT", "DELETE", "PATCH"):
        parameters = wire.v1(site.keys["main"], ACTION, {}, method=method)
        status, _, text = get(site, parameters, method=method)
        assert status == 403
        assert "UnsupportedHTTPMethod" in text


@pytest.mark.short
@pytest.mark.parametrize("action, parameters", [("DescribeRegions", {}), ("DescribeImages", {"ImageId": "KEPT"})])
def test_xml(site, kept, action, parameters):
    parameters = {name: value.replace("KEPT", kept) for name, value in parameters.items()}
    status, headers, text = site.connect("old").call_xml(action, **parameters)
    assert status == 200
    assert headers["Content-Type"] == "text/xml;charset=utf-8"
    root = tree.fromstring(text.encode())
    assert root.tag == f"{action}Response"
    assert root.findtext("RequestId")
    if action == "DescribeImages":
        assert kept in [node.text for node in root.findall("./Images/Image/ImageId")]
    else:
        names = [node.text for node in root.findall("./Regions/Region/RegionId")]
        assert sorted(names) == sorted([site.region, site.other_region])


def test_errors_in_xml(site):
    status, headers, text = site.connect("old").call_xml(
        "DescribeTaskAttribute", TaskId="t-00000000000000000000"
    )
    assert status == 400
    assert headers["Content-Type"] == "text/xml;charset=utf-8"
    root = tree.fromstring(text.encode())
    assert root.tag == "Error"
    assert root.findtext("Code") == "InvalidTaskId.NotFound"
    assert root.findtext("HostId") and root.findtext("RequestId")


def test_the_default_is_xml_for_v1_and_json_for_v3(site):
    text = get(site, wire.v1(site.keys["main"], ACTION, {}, Format=None))[2]
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>')
    assert json.loads(post_v3(site)[2])["RequestId"]


def test_both_formats_tell_the_same(site, kept):
    """Each value of the JSON is in the XML, at its place."""
    client = site.connect("old")
    _, _, text = client.call_xml("DescribeImages", ImageId=kept)
    content = client.call("DescribeImages", ImageId=kept)
    content.pop("RequestId")
    root = tree.fromstring(text.encode())

    def compare(value, node, path):
        if isinstance(value, dict):
            for name, item in value.items():
                nodes = node.findall(name)
                if isinstance(item, list):
                    assert len(nodes) == len(item), f"{path}.{name}"
                    for number, pair in enumerate(zip(item, nodes)):
                        compare(*pair, f"{path}.{name}[{number}]")
                else:
                    assert len(nodes) == 1, f"{path}.{name}"
                    compare(item, nodes[0], f"{path}.{name}")
            return
        text = {True: "true", False: "false"}.get(value, value) if isinstance(value, bool) else value
        assert (node.text or "") == str(text), path

    compare(content, root, "DescribeImages")


@pytest.mark.parametrize("size", [1 << 20, 64 << 20])
def test_too_large_bodies(site, size):
    """Refused by its size; the connection may be closed while it is still being sent."""
    head = (
        f"POST / HTTP/1.1\r\nHost: {site.endpoint}\r\nContent-Length: {size}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    host, port = site.endpoint.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        answer = b""
        try:
            connection.sendall(head.encode())
            block = b"a" * 65536
            for _ in range(size // len(block)):
                connection.sendall(block)
        except OSError:
            pass
        try:
            answer = connection.recv(4096)
        except OSError:
            pass
    if answer:
        status = int(answer.split()[1])
        assert 400 <= status < 500
    assert get(site, wire.v1(site.keys["main"], ACTION, {}))[0] == 200, "the server lives"


def test_too_many_parameters_and_too_long_queries(site):
    many = {f"Unknown.{number}": "x" for number in range(20_000)}
    for extra in (many, {"Long": "x" * 2_000_000}):
        try:
            status = get(site, wire.v1(site.keys["main"], ACTION, extra))[0]
            assert 400 <= status < 500
        except OSError:
            pass  # closed while it was being sent
    assert get(site, wire.v1(site.keys["main"], ACTION, {}))[0] == 200


def test_slow_clients_do_not_hold_the_server(site):
    """A hundred connections that send a byte now and then, and one that wants an answer."""
    host, port = site.endpoint.split(":")
    slow = [socket.create_connection((host, int(port)), timeout=30) for _ in range(100)]
    try:
        for connection in slow:
            connection.sendall(b"POST / HTTP/1.1\r\nHo")
        start = time.monotonic()
        assert get(site, wire.v1(site.keys["main"], ACTION, {}))[0] == 200
        assert time.monotonic() - start < 5
    finally:
        for connection in slow:
            connection.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /?%zz=%00%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /?a=b&a=c&&&=&=x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: \xff\xfe\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5000 + b"\r\n",
    ],
)
def test_nonsense_is_refused(site, raw):
    host, port = site.endpoint.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(4096)
        except OSError:
            answer = b""
    if answer:
        assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
    assert get(site, wire.v1(site.keys["main"], ACTION, {}))[0] == 200
