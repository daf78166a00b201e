"""Quotas, on a server of their own: an account may have one image in a region."""

import conftest as kiln
import pytest

pytestmark = pytest.mark.quota


def test_no_more_images_than_the_quota(site, kind, objects):
    """For each client anew: what is deleted no longer counts."""
    client = site.connect(kind)
    sound = lambda: {"ImageName": kiln.fresh(), "DiskDeviceMapping": [kiln.mapping(site)]}  # noqa: E731
    image_id = kiln.make_image(site, client)
    message = "The Image Quota exceeds."
    kiln.refused(client, "ImportImage", 403, "QuotaExceed.Image", message, **sound())
    copy = {"ImageId": image_id, "DestinationRegionId": site.other_region}
    copied = client.call("CopyImage", **copy)["ImageId"]
    kiln.refused(client, "CopyImage", 403, "QuotaExceed.Image", None, **copy)
    other = site.connect(kind, "other")
    answer = other.call("ImportImage", **sound())
    for one, made in ((other, answer["ImageId"]), (client, image_id)):
        kiln.settled(one, made)
        one.call("DeleteImage", ImageId=made)
    there = site.connect(kind, region=site.other_region)
    kiln.settled(there, copied)
    there.call("DeleteImage", ImageId=copied)
