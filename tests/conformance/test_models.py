"""Each field of the SDK's response models against a real answer: a field that the model has and the
answer lacks is listed in absent_fields.toml with the reason, and nothing is listed that is there."""

import inspect
import pathlib
import tomllib

import conftest as kiln
import pytest
from alibabacloud_ecs20140526 import models

ALLOWED = tomllib.loads(
    pathlib.Path(__file__).with_name("absent_fields.toml").read_text(encoding="utf-8")
)


@pytest.fixture(scope="module")
def answers(site, objects, kept):
    """A rich answer of each action, as an object of the SDK."""
    client = site.connect("new")
    imported = client.call(
        "ImportImage", ImageName=kiln.fresh(), DiskDeviceMapping=[kiln.mapping(site)]
    )
    kiln.task(client, imported["TaskId"])
    shared = imported["ImageId"]
    client.call("ModifyImageSharePermission", ImageId=shared, AddAccount=[site.keys["other"].account])
    failing = client.call(
        "ImportImage",
        ImageName=kiln.fresh(),
        DiskDeviceMapping=[kiln.mapping(site)],
    )
    kiln.task(client, failing["TaskId"])
    calls = {
        "DescribeImages": {"ImageId": kept},
        "DescribeImageFromFamily": {"ImageFamily": "kept-family"},
        "DescribeTasks": {"TaskIds": imported["TaskId"]},
        "DescribeTaskAttribute": {"TaskId": imported["TaskId"]},
        "DescribeImageSharePermission": {"ImageId": shared},
        "ListTagResources": {"ResourceType": "image", "ResourceId": [kept]},
        "DescribeRegions": {},
        "DescribeZones": {},
        "DescribeInstanceTypes": {},
        "DescribeImageSupportInstanceTypes": {"ImageId": kept},
    }
    return {action: client.call(action, **more) for action, more in calls.items()}


def fields(model, path=""):
    """Every field of a model, by the names that the wire has; lists as name[]."""
    sample = model()
    for name in inspect.signature(model.__init__).parameters:
        if name in ("self", "_map"):
            continue
        hint = inspect.signature(model.__init__).parameters[name].annotation
        yield from field(hint, f"{path}{wire_name(model, sample, name)}")


def field(hint, path):
    args = getattr(hint, "__args__", ())
    if isinstance(hint, str):
        is_list = hint.startswith("List[")
        inner = hint.removeprefix("List[").removesuffix("]")
        args = (getattr(models, inner.split(".")[-1], inner),) if is_list else ()
        hint = getattr(models, inner.split(".")[-1], None)
    if args:
        yield f"{path}[]"
        if inspect.isclass(args[0]) and hasattr(args[0], "to_map"):
            yield from fields(args[0], f"{path}[].")
        return
    yield path
    if inspect.isclass(hint) and hasattr(hint, "to_map"):
        yield from fields(hint, f"{path}.")


class Mark:
    """Stands in for any value, and for any object of a model."""

    def to_map(self):
        return self

    def validate(self):
        pass

    def __iter__(self):
        return iter(())


def wire_name(model, _, name):
    """The name under which to_map puts the field."""
    sample = model()
    setattr(sample, name, Mark())
    (key,) = sample.to_map()
    return key


def present(value, path=""):
    """Every field of an answer, named alike."""
    for name, item in value.items():
        if isinstance(item, list):
            yield f"{path}{name}[]"
            for entry in item:
                if isinstance(entry, dict):
                    yield from present(entry, f"{path}{name}[].")
        else:
            yield f"{path}{name}"
            if isinstance(item, dict):
                yield from present(item, f"{path}{name}.")


ACTIONS = [
    "DescribeImages", "DescribeImageFromFamily", "DescribeTasks", "DescribeTaskAttribute",
    "DescribeImageSharePermission", "ListTagResources", "DescribeRegions", "DescribeZones",
    "DescribeInstanceTypes", "DescribeImageSupportInstanceTypes",
]  # fmt: skip


@pytest.mark.parametrize("action", ACTIONS)
def test_each_field_is_answered_or_reasoned(answers, action):
    known = set(fields(getattr(models, f"{action}ResponseBody")))
    there = set(present(answers[action]))
    allowed = ALLOWED.get(action, {})

    def is_allowed(name):
        """A reason for an object or list is one for all below it."""
        return any(name == entry or name.startswith((f"{entry}.", f"{entry}[]")) for entry in allowed)

    unreasoned = sorted(name for name in known - there if not is_allowed(name))
    assert not unreasoned, "\n".join(["absent without a reason:", *unreasoned])
    stale = sorted(name for name in allowed if name in there or name not in known)
    assert not stale, "\n".join(["listed as absent, and there or unknown:", *stale])
    assert all(len(reason) > 10 for reason in allowed.values()), "a reason is a sentence"


def test_the_walk_finds_fields():
    """Or an empty set would pass for everything."""
    known = set(fields(models.DescribeImagesResponseBody))
    assert "Images.Image[].DiskDeviceMappings.DiskDeviceMapping[].Size" in known
    assert len(known) > 60
