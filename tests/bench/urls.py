"""Signed requests for a load generator, which cannot sign: a file of paths for each of its threads.

    urls.py SITE KEY ACTION PARAMETERS(JSON) COUNT THREADS OUT

Each has a nonce of its own, or the server would refuse all but the first; they are good for 15 minutes.
"""

import json
import sys

import conftest as kiln
import wire


def main(site, key, action, parameters, count, threads, out):
    with open(site, encoding="utf-8") as file:
        site = kiln.Site(json.load(file))
    parameters = {"RegionId": site.region, **json.loads(parameters)}
    for thread in range(int(threads)):
        with open(f"{out}.{thread}", "w", encoding="utf-8") as file:
            for _ in range(int(count) // int(threads)):
                signed = wire.v1(site.keys[key], action, parameters)
                file.write(f"/?{wire.query(signed)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
