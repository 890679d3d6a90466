"""Weights over HTTP, in as many tries as that takes; a file gets its name when its hash is right.

A download that was cut or stopped goes on where it ended (Range and If-Range, RFC 9110), if the server still has the
same file. Proxies and certificates are taken from the environment, as requests does (HTTPS_PROXY, NO_PROXY,
REQUESTS_CA_BUNDLE).
"""

from __future__ import annotations

import errno
import logging
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from ...errors import MissingPackageError, WeightsError
from ...progress import Progress, ProgressCallback
from ...readable import readable_size
from ..catalog.entry import CatalogEntry
from .part_file import PartFile
from .records import has_hash

if TYPE_CHECKING:
    import requests

log = logging.getLogger(__name__)

#: Seconds to wait for a connection, and for the next bytes.
TIMEOUT_S = 30.0

#: Tries in one go, as long as each brings something.
_TRIES = 5

_CHUNK_BYTES = 1 << 16

#: Left free on the disk besides the file.
_SPARE_BYTES = 16 << 20

#: How far a file's length may be from what the publisher says, which is sometimes rounded.
_SIZE_TOLERANCE = 0.05

_ELSEWHERE = "a file that was fetched elsewhere can be installed, too"
#: For the command line.
_INSTALL_FILE = "weights install {name} --file FILE"


class _Cut(Exception):
    """The connection ended or stalled; the text says how."""


def require_requests() -> None:
    """MissingPackageError where requests, which Slicer ships, is not installed."""
    try:
        import requests  # noqa: F401 - imported where it is used, because it takes time
    except ImportError as error:
        purpose = "downloading weights (weights that you have as a file can be installed without it)"
        raise MissingPackageError("requests", purpose, ", or --file FILE") from error


def download(
    entry: CatalogEntry, file: Path, progress: ProgressCallback | None = None, timeout_s: float = TIMEOUT_S
) -> None:
    """Fetch an entry's weights into `file`, which appears under this name only when it is whole and its hash is right.

    Args:
        progress: called with the bytes of stage "download"; may raise Cancelled, which keeps what has come.
        timeout_s: seconds to wait for the server each time.

    Raises:
        WeightsError: the server does not give the file, or gives another one.
        MissingPackageError: requests is not installed.
    """
    require_requests()
    part = PartFile(file)
    _Transfer(entry, part, progress, timeout_s).fetch(entry.source.url)
    if entry.source.hash and not has_hash(part.path, entry.source.hash):
        part.discard()
        raise _another_file(entry)
    part.hand_over()


def size_on_server(entry: CatalogEntry, timeout_s: float = TIMEOUT_S) -> int:
    """The bytes that the server says the entry's file has, for one whose publisher states no size; 0 if it does not."""
    import requests

    try:
        with _session() as session:
            headers = {"Accept-Encoding": "identity"}
            answer = session.head(entry.source.url, headers=headers, timeout=timeout_s, allow_redirects=True)
    except (requests.exceptions.RequestException, WeightsError) as error:  # the download itself will say it better
        log.debug("%s: its size could not be asked for (%s)", entry.source.url, type(error).__name__)
        return 0
    return _total_bytes(answer) if answer.status_code == 200 else 0


class _Transfer:
    """One download into a part file."""

    def __init__(self, entry: CatalogEntry, part: PartFile, progress: ProgressCallback | None, timeout_s: float):
        self._entry, self._part, self._progress, self._timeout_s = entry, part, progress, timeout_s

    def fetch(self, url: str) -> None:
        """Until every byte has come; what has come before is not asked for again."""
        if not self._part.is_whole(url):
            with _session() as session, self._disk_has_room():
                self._try(session, url)

    def _try(self, session: requests.Session, url: str) -> None:
        """Try until all is there, as long as each try brings something."""
        for tries_left in reversed(range(_TRIES)):
            before = self._part.size
            try:
                if self._attempt(session, url):
                    return
            except _Cut as cut:
                if not tries_left or self._part.size <= before:
                    raise self._again(f"{url}: {cut}") from cut
        raise self._again(f"{url}: the server answers with other bytes than it was asked for")

    def _attempt(self, session: requests.Session, url: str) -> bool:
        """Whether all is there; False if what had come was of no use, and the next attempt starts over."""
        etag, size = self._part.resumable(url), self._part.size
        with self._network_errors(url), self._asked(session, url, etag) as response:
            self._refuse_other_than_the_file(response, url)
            if response.status_code != 200 and not _goes_on(response, size, etag):
                self._part.discard()
                return False
            total = _total_bytes(response)
            self._refuse_another_size(total, url)
            if response.status_code == 200:
                self._part.begin(url, response.headers.get("ETag", ""), total)
            require_space(self._part.file, total - self._part.size)
            self._receive(response, total or self._entry.source.size_bytes)
            if total and self._part.size != total:  # urllib3 notices by itself from version 2 on
                raise _Cut(f"the connection ended after {self._part.size} of {total} bytes")
        return True

    def _asked(self, session: requests.Session, url: str, etag: str) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}  # the length and the bytes of the file itself
        if etag:
            headers |= {"Range": f"bytes={self._part.size}-", "If-Range": etag}
        return session.get(url, headers=headers, stream=True, timeout=self._timeout_s)

    def _receive(self, response: requests.Response, total: int) -> None:
        clock = _Clock(self._part.size, total, self._entry.name)
        read = getattr(response.raw, "read1", response.raw.read)  # what is there at once, not when a chunk is full
        with self._part.path.open("ab") as stream:
            self._tell(clock.step(self._part.size))
            while chunk := read(_CHUNK_BYTES):
                stream.write(chunk)
                stream.flush()
                self._tell(clock.step(stream.tell()))

    def _tell(self, step: Progress) -> None:
        if self._progress is not None:
            self._progress(step)

    def _refuse_other_than_the_file(self, response: requests.Response, url: str) -> None:
        """A sentence on an answer that is no file."""
        status, source = response.status_code, self._entry.source
        if status in (401, 403):
            raise WeightsError(
                f"{url}: the publisher gives the file only to those who have asked or signed in, or a proxy forbids it "
                f"(HTTP {status}). Ask for it at {source.request_url or url}, then install it from the file",
                _INSTALL_FILE.format(name=self._entry.name),
            )
        if status in (404, 410):
            raise self._elsewhere(f"{url}: the file is not there any more (HTTP {status})")
        if status == 407:
            raise WeightsError(
                f"{url}: the proxy wants a name and a password (HTTP 407): HTTP_PROXY=http://NAME:WORD@HOST"
            )
        if status not in (200, 206, 416):
            raise self._elsewhere(f"{url}: the server cannot give the file now (HTTP {status}). Try later")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise self._elsewhere(
                f"{url}: instead of the file came a web page, as a proxy or a sign-in page sends one. Look at the "
                "address in a browser"
            )

    def _refuse_another_size(self, total: int, url: str) -> None:
        expected = self._entry.source.size_bytes
        if total and expected and abs(total - expected) > _SIZE_TOLERANCE * expected:
            self._part.discard()
            raise self._elsewhere(
                f"{url}: the server has a file of {total} bytes, but {self._entry.source.file_name} of "
                f"{self._entry.name} has {expected}; nothing was downloaded"
            )

    @contextmanager
    def _network_errors(self, url: str) -> Iterator[None]:
        """What requests and urllib3 raise, as a cut that may be tried again, or as an error that says what to do."""
        import requests
        import urllib3

        host = urlsplit(url).hostname
        try:
            yield
        except requests.exceptions.SSLError as error:
            raise self._elsewhere(
                f"{url}: the certificate of {host} is not accepted. Behind a proxy that reads along, name its "
                f"certificate in REQUESTS_CA_BUNDLE"
            ) from error
        except requests.exceptions.ProxyError as error:
            raise self._elsewhere(
                f"{url}: the proxy that the environment names (HTTPS_PROXY, HTTP_PROXY) does not answer or refuses"
            ) from error
        except requests.exceptions.ConnectTimeout as error:
            raise _Cut(f"{host} cannot be reached within {self._timeout_s:g} s") from error
        except (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise _Cut(f"the server sent nothing for {self._timeout_s:g} s") from error
        except requests.exceptions.TooManyRedirects as error:
            raise WeightsError(f"{url}: the server sends from one address to another without end") from error
        except requests.exceptions.ConnectionError as error:
            raise _Cut(f"no connection to {host} (is there a network, or a proxy to name in HTTPS_PROXY?)") from error
        except (requests.exceptions.ChunkedEncodingError, urllib3.exceptions.HTTPError) as error:
            raise _Cut("the connection ended too early") from error
        except requests.exceptions.RequestException as error:
            raise self._elsewhere(
                f"{url}: cannot be downloaded from ({type(error).__name__}); is a proxy of the environment misspelt?"
            ) from error

    @contextmanager
    def _disk_has_room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise self._again(f"{self._part.file.parent}: the disk is full") from error

    def _again(self, problem: str) -> WeightsError:
        came = f"{readable_size(self._part.size)} have come and are kept; " if self._part.size else ""
        return self._elsewhere(f"{problem}; {came}try again")

    def _elsewhere(self, problem: str) -> WeightsError:
        """What may help where this computer cannot download it."""
        return WeightsError(f"{problem}; {_ELSEWHERE}", _INSTALL_FILE.format(name=self._entry.name))


class _Clock:
    """Bytes, rate and the time that remains, counted from where this run began."""

    def __init__(self, start: int, total: int, item: str):
        self._start, self._total, self._item, self._began = start, total, item, time.monotonic()

    def step(self, done: int) -> Progress:
        elapsed = time.monotonic() - self._began
        rate = (done - self._start) / elapsed if elapsed > 0 else 0.0
        total = self._total if self._total >= done else 0  # what the publisher says may be rounded
        remaining = (total - done) / rate if rate and total else None
        return Progress("download", done, total, self._item, rate, remaining)


def _session() -> requests.Session:
    import requests

    class Session(requests.Session):
        """Follows redirects, but never from https to http, where anybody on the way could exchange the file."""

        def get_redirect_target(self, response: requests.Response) -> str | None:
            target = super().get_redirect_target(response)
            if target and response.url.startswith("https:"):
                following = urlsplit(urljoin(response.url, target))
                if following.scheme != "https":
                    raise WeightsError(
                        f"{response.request.url}: the server sends on to {following.scheme}://{following.hostname}, "
                        "which is not encrypted; nothing was downloaded"
                    )
            return target

    return Session()


def _goes_on(response: requests.Response, size: int, etag: str) -> bool:
    """Whether the answer is the rest of the same file from byte `size` on."""
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    same = bool(etag) and response.headers.get("ETag", etag) == etag
    return response.status_code == 206 and start is not None and int(start[1]) == size and same


def _total_bytes(response: requests.Response) -> int:
    """The length of the whole file; 0 where the server does not say."""
    if response.status_code == 206:
        total = response.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        total = response.headers.get("Content-Length", "")
    return int(total) if total.isdigit() else 0


def require_space(file: Path, n_bytes: int) -> None:
    """WeightsError if the disk has no room for so many more bytes where `file` lies."""
    free = shutil.disk_usage(file.parent).free
    if n_bytes > 0 and free < n_bytes + _SPARE_BYTES:
        raise WeightsError(
            f"{file.parent}: {readable_size(n_bytes)} are needed and {readable_size(free)} are free. Make "
            "room, or choose another folder",
            "--folder or VOLUME_RETRIEVAL_WEIGHTS",
        )


def _another_file(entry: CatalogEntry) -> WeightsError:
    source = entry.source
    return WeightsError(
        f"{source.url}: what came is not {source.file_name} of {entry.name}: its hash is not {source.hash}. It was "
        f"removed. Try again later; {_ELSEWHERE}",
        _INSTALL_FILE.format(name=entry.name),
    )
