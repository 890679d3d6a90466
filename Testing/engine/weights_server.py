"""A publisher of weights on loopback, with the faults that real servers and networks have."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from VolumeRetrievalEngine.encoders.catalog.entry import CatalogEntry, License, WeightsSource

#: Large enough for many chunks, small enough to be at once.
CONTENT = b"PK\x03\x04" + hashlib.shake_256(b"weights").digest(999_996)  # as torch.save begins


@dataclass
class WeightsServer:
    """What it serves, how it fails, and what it was asked.

    Attributes:
        files: content by path.
        etags: by path; a path without one gets one of its content, "" sends none.
        redirects: address by path.
        refusals: HTTP status by path.
        cuts: for the next answers, the bytes after which the connection ends; None for not at all.
        stall_after: bytes after which it sends nothing until `going_on` is set; None for no stall.
        drips: it does send something while it stalls, byte by byte.
        knows_ranges: otherwise it always sends the whole file.
        heeds_if_range: otherwise it goes on with whatever file it has now.
        says_length: otherwise the answer is chunked.
        asked: (path, Range) of every request for content.
        asked_about: path of every request for headers alone.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    cuts: list[int | None] = field(default_factory=list)
    stall_after: int | None = None
    drips: bool = False
    knows_ranges: bool = True
    heeds_if_range: bool = True
    says_length: bool = True
    content_type: str = "application/octet-stream"
    asked: list[tuple[str, str]] = field(default_factory=list)
    asked_about: list[str] = field(default_factory=list)
    stalled: threading.Event = field(default_factory=threading.Event)
    going_on: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    scheme: str = "http"

    def url(self, path: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{path}"

    def entry(self, path: str = "/net.pth", content: bytes = CONTENT, **source: object) -> CatalogEntry:
        """An entry of a catalog whose weights are here, with their sha256, and serve them."""
        self.files.setdefault(path, content)
        values = {
            "url": self.url(path),
            "file_name": path.rpartition("/")[2],
            "hash": f"sha256:{hashlib.sha256(content).hexdigest()}",
            "size_bytes": len(content),
            "revision": "v1",
            "read_from": "the publisher's list of hashes",
        }
        return an_entry(WeightsSource(**{**values, **source}))


def an_entry(source: WeightsSource, name: str = "test-net", license: str = "Test License") -> CatalogEntry:
    return CatalogEntry(
        name=name,
        title="A network for tests",
        architecture="none",
        network="none",
        input_size=32,
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        embedding="pooled",
        dimension=4,
        source=source,
        license=License(license, "https://example.org/license", False),
        citation="Nobody et al.",
        read_from="nowhere",
    )


@contextmanager
def serving(server: WeightsServer | None = None, wrap: object = None) -> Iterator[WeightsServer]:
    """Serve until the end of the block; `wrap` is an SSL context."""
    server = server or WeightsServer()

    class Handler(_Handler):
        site = server

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.daemon_threads = True
        server.port = running.server_address[1]
        if wrap is not None:
            server.scheme = "https"
            running.socket = wrap.wrap_socket(running.socket, server_side=True)
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.going_on.set()
            running.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: WeightsServer

    def do_GET(self) -> None:
        site = self.site
        path = urlsplit(self.path).path  # a proxy is asked with the whole address
        site.asked.append((path, self.headers.get("Range", "")))
        if path in site.redirects:
            return self._answer(302, {"Location": site.redirects[path], "Content-Length": "0"})
        if path in site.refusals or path not in site.files:
            return self._answer(site.refusals.get(path, 404), {"Content-Length": "0"})
        self._send_file(site.files[path], site.etags.get(path, f'"{hashlib.md5(site.files[path]).hexdigest()}"'))

    def do_HEAD(self) -> None:
        path = urlsplit(self.path).path
        self.site.asked_about.append(path)
        if path in self.site.redirects:
            return self._answer(302, {"Location": self.site.redirects[path], "Content-Length": "0"})
        content = self.site.files.get(path)
        self._answer(404 if content is None else 200, {"Content-Length": str(len(content or b""))})

    def _send_file(self, content: bytes, etag: str) -> None:
        site, first = self.site, 0
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and site.knows_ranges and (self.headers.get("If-Range") == etag or not site.heeds_if_range):
            first = int(wanted[1])
            if first >= len(content):
                return self._answer(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
        headers = {"Content-Type": site.content_type, **({"ETag": etag} if etag else {})}
        if first:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        if site.says_length:
            headers["Content-Length"] = str(len(content) - first)
        else:
            headers["Transfer-Encoding"] = "chunked"
        self._answer(206 if first else 200, headers)
        self._send(content[first:])

    def _send(self, content: bytes) -> None:
        site = self.site
        cut = site.cuts.pop(0) if site.cuts else None
        end = len(content) if cut is None else cut
        stall = site.stall_after
        if stall is not None and stall < end:
            self._write(content[:stall])
            site.stalled.set()
            while not site.going_on.wait(0.005) and not self.close_connection:
                if site.drips and stall < end - 1:
                    self._write(content[stall : stall + 1])
                    stall += 1
            content, end = content[stall:], end - stall
        self._write(content[:end])
        if cut is not None:
            self.close_connection = True
        elif not site.says_length:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, content: bytes) -> None:
        try:
            if not self.site.says_length and content:
                content = b"%x\r\n%b\r\n" % (len(content), content)
            self.wfile.write(content)
            self.wfile.flush()
        except OSError:  # whoever asked has gone
            self.close_connection = True

    def _answer(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""
