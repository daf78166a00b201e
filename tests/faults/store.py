"""An object store that is slow and fails now and then: enough of S3's and OSS's protocol to read
objects of a folder by.

    store.py PORT FOLDER    /BUCKET/KEY is FOLDER/KEY

It takes any signature. Of each three reads the first fails: by a 503, by an answer that is cut off, by
a connection that is closed, in turn; each other one takes a tenth of a second. Objects whose name
begins with "broken" fail always.
"""

import http.server
import itertools
import pathlib
import sys
import threading
import time
import urllib.parse

CYCLE = ("status", "slow", "slow", "cut", "slow", "slow", "close", "slow", "slow")
BUSY = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>busy</Message></Error>'
NONE = b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>none</Message></Error>'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    turns = itertools.cycle(CYCLE)
    lock = threading.Lock()
    folder = None

    def path_of_key(self):
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        return self.folder / path.lstrip("/").partition("/")[2]

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        path = self.path_of_key()
        if not path.is_file():
            return self.reply(404, NONE)
        self.send_response(200)
        self.send_header("Content-Length", str(path.stat().st_size))
        self.send_header("ETag", '"0"')
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()

    def do_GET(self):
        path = self.path_of_key()
        if not path.is_file():
            return self.reply(404, NONE)
        with self.lock:
            turn = next(self.turns)
        if path.name.startswith("broken") or turn == "status":
            return self.reply(503, BUSY)
        if turn == "close":
            self.close_connection = True
            return
        size = path.stat().st_size
        first, last = 0, size - 1
        span = self.headers.get("Range")
        if span:
            low, _, high = span.removeprefix("bytes=").partition("-")
            first, last = int(low), min(int(high or last), last)
        with open(path, "rb") as file:
            file.seek(first)
            body = file.read(last - first + 1)
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"0"')
        if span:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if turn == "cut":
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
            return
        time.sleep(0.1)
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.folder = pathlib.Path(sys.argv[2])
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
