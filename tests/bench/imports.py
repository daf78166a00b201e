"""Import objects at once and wait for all of them.

    imports.py SITE OBJECT...

Prints the seconds from the first call to the last end of a task.
"""

import json
import sys
import time

import conftest as kiln


def main(site, *objects):
    with open(site, encoding="utf-8") as file:
        site = kiln.Site(json.load(file))
    client = site.connect()
    start = time.monotonic()
    answers = [
        client.call(
            "ImportImage", ImageName=kiln.fresh(), DiskDeviceMapping=[kiln.mapping(site, name)]
        )
        for name in objects
    ]
    for answer in answers:
        ended = kiln.task(client, answer["TaskId"])
        assert ended["TaskStatus"] == "Finished", ended
    print(time.monotonic() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
