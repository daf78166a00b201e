"""Requests made by hand, for what no SDK would send: tampered, unsigned, expired, replayed, too big.

Written from the rules of the two signatures and not from kiln's code, so it is a second opinion too.
"""

import base64
import datetime
import hashlib
import hmac
import http.client
import urllib.parse
import uuid

VERSION = "2014-05-26"


def now(offset_s=0):
    """The time as requests have it, `offset_s` seconds from now."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset_s)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def encode(text):
    """Percent-encode all but the unreserved characters."""
    return urllib.parse.quote(str(text), safe="-_.~")


def query(parameters):
    """The sorted, encoded query: what both schemes sign."""
    return "&".join(f"{encode(k)}={encode(v)}" for k, v in sorted(parameters.items()))


def v1(key, action, parameters, method="GET", **changes):
    """All parameters of a request with the older signature; `changes` replace common ones, None
    takes one away."""
    common = {
        "Action": action,
        "Version": VERSION,
        "AccessKeyId": key.id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": str(uuid.uuid4()),
        "Timestamp": now(),
        "Format": "JSON",
    }
    common.update(changes)
    signed = {k: v for k, v in {**common, **parameters}.items() if v is not None}
    text = f"{method}&%2F&{encode(query(signed))}"
    mac = hmac.new(f"{key.secret}&".encode(), text.encode(), hashlib.sha1)
    return {**signed, "Signature": base64.b64encode(mac.digest()).decode()}


def v3(key, action, parameters, host, /, method="POST", body=b"", **changes):
    """The headers of a request with the newer signature; `changes` replace signed headers by name
    with _ for -, None takes one away."""
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": VERSION,
        "x-acs-date": now(),
        "x-acs-signature-nonce": str(uuid.uuid4()),
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
    }
    for name, value in changes.items():
        headers[name.replace("_", "-")] = value
    headers = {name: value for name, value in headers.items() if value is not None}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    hashed = headers.get("x-acs-content-sha256", "")
    canonical = f"{method}\n/\n{query(parameters)}\n{lines}\n{names}\n{hashed}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={key.id},SignedHeaders={names},Signature={signature}"
    headers["Authorization"] = f"ACS3-HMAC-SHA256 {credential}"
    return headers


def send(endpoint, parameters, method="GET", body=None, headers=None, path="/"):
    """Send a request as it is; status, headers and text of the answer."""
    connection = http.client.HTTPConnection(endpoint, timeout=30)
    try:
        target = f"{path}?{query(parameters)}" if parameters else path
        connection.request(method, target, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
