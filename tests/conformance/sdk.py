"""One way to call an action, by three clients: both generations of the official SDK, of which the
newer one knows both signatures.

A test names parameters as the wire does and gives lists and objects as Python has them; what becomes
of them on the wire is the SDK's own work, by its own request classes. A parameter that a request
class does not have would be dropped in silence, so that is an error here.
"""

import json
import re

from alibabacloud_ecs20140526 import models as ecs_models
from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_oos20190601 import models as oos_models
from alibabacloud_oos20190601.client import Client as OosClient
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException
from aliyunsdkcore.client import AcsClient
from darabonba.exceptions import ResponseException
from darabonba.runtime import RuntimeOptions

CLIENTS = ("new", "new-v1", "old")
TIMEOUT_S = 30

# Of each product: the newer SDK's client and models, and where the older one has its requests.
PRODUCTS = {
    "ecs": (EcsClient, ecs_models, "aliyunsdkecs.request.v20140526"),
    "oos": (OosClient, oos_models, "aliyunsdkoos.request.v20190601"),
}


class Refusal(Exception):
    """An error that the server answered with, alike for all clients."""

    def __init__(self, status, code, message, request_id):
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.request_id = request_id


class Key:
    """An access key, as site.json has it."""

    def __init__(self, account, access_key_id, access_key_secret):
        self.account = account
        self.id = access_key_id
        self.secret = access_key_secret


def connect(kind, endpoint, key, region, product="ecs"):
    """A client of the named kind at `endpoint` (host:port), signing with `key`."""
    if kind == "old":
        return OldSdk(endpoint, key, region, product)
    algorithm = "v2" if kind == "new-v1" else None
    return NewSdk(endpoint, key, region, algorithm, product)


class NewSdk:
    """alibabacloud_ecs20140526, alibabacloud_oos20190601."""

    def __init__(self, endpoint, key, region, algorithm, product="ecs"):
        self.region = region
        client, self.models, _ = PRODUCTS[product]
        self.client = client(
            Config(
                access_key_id=key.id,
                access_key_secret=key.secret,
                region_id=region,
                endpoint=endpoint,
                protocol="http",
                signature_algorithm=algorithm,
            )
        )

    def call(self, action, **parameters):
        """Call an action; its answer as the wire has it, without what the model does not know."""
        return self.response(action, **parameters).body.to_map()

    def response(self, action, **parameters):
        """Call an action; its answer as an object of the SDK."""
        parameters = {"RegionId": self.region, **parameters}
        # None stands for "not sent": the way to leave out RegionId.
        parameters = {name: value for name, value in parameters.items() if value is not None}
        request = getattr(self.models, f"{action}Request")().from_map(parameters)
        # An absent list is an empty one to these classes, which sends nothing.
        kept = {name: value for name, value in request.to_map().items() if value != []}
        # Some classes have no field for the region, which is that of the client.
        if "RegionId" not in kept and parameters.get("RegionId") == self.region:
            del parameters["RegionId"]
        if strings(kept) != strings(parameters):
            raise AssertionError(f"{action}Request keeps {kept} of {parameters}")
        method = getattr(self.client, f"{snake(action)}_with_options")
        runtime = RuntimeOptions(
            autoretry=False, read_timeout=TIMEOUT_S * 1000, connect_timeout=TIMEOUT_S * 1000
        )
        try:
            return method(request, runtime)
        except ResponseException as error:
            data = error.data if isinstance(getattr(error, "data", None), dict) else {}
            request_id = getattr(error, "request_id", None) or data.get("RequestId")
            message = plain_message(error.message, request_id)
            status = error.status_code or data.get("statusCode")
            raise Refusal(status, error.code, message, request_id) from error


class OldSdk:
    """aliyun-python-sdk-ecs, aliyun-python-sdk-oos."""

    def __init__(self, endpoint, key, region, product="ecs"):
        self.region = region
        self.product = product
        self.requests = PRODUCTS[product][2]
        self.endpoint = endpoint
        self.client = AcsClient(
            key.id, key.secret, region, auto_retry=False, timeout=TIMEOUT_S, connect_timeout=TIMEOUT_S
        )

    def call(self, action, **parameters):
        """Call an action; its answer as the wire has it."""
        request = self.request(action, **parameters)
        try:
            return json.loads(self.client.do_action_with_exception(request))
        except ServerException as error:
            raise Refusal(
                error.get_http_status(),
                error.get_error_code(),
                error.get_error_msg(),
                error.get_request_id(),
            ) from error
        except ClientException as error:
            raise AssertionError(f"{action}: the client gave up: {error}") from error

    def call_xml(self, action, **parameters):
        """Call an action for XML; status, headers and text of the answer."""
        request = self.request(action, **parameters)
        request.set_accept_format("XML")
        status, headers, body = self.client.get_response(request)
        return status, headers, body.decode("utf-8")

    def request(self, action, **parameters):
        """A request of the SDK's own class."""
        module = __import__(f"{self.requests}.{action}Request", fromlist=[f"{action}Request"])
        request = getattr(module, f"{action}Request")()
        request.set_endpoint(self.endpoint)
        for name, value in {"RegionId": self.region, **parameters}.items():
            if value is None:
                continue
            if name == "RegionId":
                # The client adds its own region unless the request bears one.
                request.add_query_param(name, value)
                continue
            setter = getattr(request, f"set_{name}s", None) if isinstance(value, list) else None
            setter = setter or getattr(request, f"set_{name}", None)
            if setter is None:
                raise AssertionError(f"{action}Request has no {name}")
            is_json = self.product == "oos" and setter.__name__ == f"set_{name}"
            if is_json and isinstance(value, (dict, list)):
                # Its requests of OOS take maps and lists as the JSON text that goes over the wire.
                value = json.dumps(value)
            setter(value)
        return request


def snake(name):
    """ImportImage -> import_image."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def strings(value):
    """`value` with its numbers and truths as text, so that 1 and "1" compare equal."""
    if isinstance(value, dict):
        return {name: strings(item) for name, item in value.items()}
    if isinstance(value, list):
        return [strings(item) for item in value]
    return str(value)


def plain_message(message, request_id):
    """The server's message without what the newer SDK writes around it."""
    message = re.sub(r"^code: \d+, ", "", message or "")
    return message.replace(f" request id: {request_id}", "")
