"""Downloading weights from a server on loopback that cuts, stalls, redirects, refuses and cheats."""

from __future__ import annotations

import errno
import hashlib
import select
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from engine.weights_server import CONTENT, WeightsServer, serving
from VolumeRetrievalEngine.encoders.catalog.entry import CatalogEntry
from VolumeRetrievalEngine.encoders.weights import download as download_module
from VolumeRetrievalEngine.encoders.weights.download import download, size_on_server
from VolumeRetrievalEngine.encoders.weights.part_file import PartFile
from VolumeRetrievalEngine.errors import WeightsError
from VolumeRetrievalEngine.progress import Cancelled, Progress

pytest.importorskip("requests")

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serving() as running:
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "net.pth"


def fails(entry: CatalogEntry, file: Path, timeout_s: float = 600) -> str:
    """What the error says; and nothing seems to be there."""
    with pytest.raises(WeightsError) as raised:
        download(entry, file, timeout_s=timeout_s)
    assert not file.exists()
    return str(raised.value)


def left_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def until(n_bytes: int):
    """A progress callback that cancels once so many bytes have come."""

    def stop(step: Progress) -> None:
        if step.done >= n_bytes:
            raise Cancelled

    return stop


def test_a_server_is_asked_for_the_size_without_the_file(server: WeightsServer) -> None:
    server.redirects["/old.pth"] = server.url("/net.pth")
    addresses = (server.url("/old.pth"), server.url("/nothing.pth"), "http://127.0.0.1:1/net.pth")
    assert [size_on_server(server.entry(url=url)) for url in addresses] == [len(CONTENT), 0, 0]
    assert server.asked == []


def test_the_whole_file_arrives_and_nothing_else_stays(server: WeightsServer, file: Path) -> None:
    steps: list[Progress] = []
    download(server.entry(), file, steps.append)
    assert file.read_bytes() == CONTENT
    assert left_in(file.parent) == ["net.pth"]
    assert [one.done for one in steps] == sorted(one.done for one in steps)
    assert (steps[-1].stage, steps[-1].done, steps[-1].total, steps[-1].item) == (
        "download",
        len(CONTENT),
        len(CONTENT),
        "test-net",
    )
    assert steps[-1].remaining == 0


@pytest.mark.parametrize("kind", ["md5", "sha256", "sha256-prefix"])
def test_every_kind_of_hash_that_publishers_state_is_checked(server: WeightsServer, file: Path, kind: str) -> None:
    digits = getattr(hashlib, kind.partition("-")[0])(CONTENT).hexdigest()
    right, wrong = (digits, f"0{digits[1:]}" if digits[0] != "0" else f"1{digits[1:]}")
    if kind == "sha256-prefix":
        right, wrong = right[:8], wrong[:8]
    said = fails(server.entry(hash=f"{kind}:{wrong}"), file)
    assert f"{kind}:{wrong}" in said and "net.pth of test-net" in said and "removed" in said
    assert left_in(file.parent) == []  # what is wrong is never gone on with
    download(server.entry(hash=f"{kind}:{right}"), file)
    assert file.read_bytes() == CONTENT


def test_a_cut_connection_is_gone_on_with_at_once(server: WeightsServer, file: Path) -> None:
    server.cuts = [300_000, 200_000]
    download(server.entry(), file)
    assert file.read_bytes() == CONTENT
    assert [one for _, one in server.asked] == ["", "bytes=300000-", "bytes=500000-"]


def test_what_came_before_a_lasting_cut_stays_and_the_next_try_goes_on(server: WeightsServer, file: Path) -> None:
    entry = server.entry()
    server.cuts = [300_000, 0]
    said = fails(entry, file)
    assert "300000 of 1000000 bytes" in said or "too early" in said
    assert "300 kB have come and are kept" in said and "weights install test-net" in said
    assert PartFile(file).size == 300_000
    steps: list[Progress] = []
    download(entry, file, steps.append)
    assert file.read_bytes() == CONTENT
    assert server.asked[-1] == ("/net.pth", "bytes=300000-")
    assert steps[0].done == 300_000
    assert left_in(file.parent) == ["net.pth"]


def test_a_server_that_cuts_again_and_again_is_not_asked_for_ever(server: WeightsServer, file: Path) -> None:
    server.cuts = [10_000] * 100
    assert "50.0 kB have come" in fails(server.entry(), file)
    assert len(server.asked) < 10


def test_a_chunked_answer_that_is_cut_is_no_whole_file(server: WeightsServer, file: Path) -> None:
    server.says_length = False
    server.cuts = [300_000, 0]
    assert "too early" in fails(server.entry(size_bytes=0), file)
    download(server.entry(size_bytes=0), file)
    assert file.read_bytes() == CONTENT


def test_a_file_that_changed_between_two_tries_is_begun_again(server: WeightsServer, file: Path) -> None:
    server.cuts = [300_000, 0]
    fails(server.entry(), file)
    changed = CONTENT[::-1]
    server.files["/net.pth"] = changed
    download(server.entry(content=changed), file)
    assert file.read_bytes() == changed
    assert server.asked[-1] == ("/net.pth", "bytes=300000-")  # answered with all of it: If-Range


def test_a_server_that_goes_on_with_another_file_is_not_believed(server: WeightsServer, file: Path) -> None:
    server.cuts = [300_000, 0]
    fails(server.entry(), file)
    server.heeds_if_range = False
    server.files["/net.pth"] = CONTENT[::-1]
    download(server.entry(content=CONTENT[::-1]), file)
    assert file.read_bytes() == CONTENT[::-1]
    assert [one for _, one in server.asked[-2:]] == ["bytes=300000-", ""]


def test_a_file_that_has_become_shorter_is_begun_again(server: WeightsServer, file: Path) -> None:
    server.cuts = [300_000, 0]
    server.etags["/net.pth"] = '"same"'
    fails(server.entry(), file)
    server.files["/net.pth"] = CONTENT[:1000]
    download(server.entry(content=CONTENT[:1000]), file)
    assert file.read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_etag_a_download_begins_again(server: WeightsServer, file: Path, etag: str) -> None:
    server.etags["/net.pth"] = etag
    server.cuts = [300_000, 0]
    fails(server.entry(), file)
    download(server.entry(), file)
    assert file.read_bytes() == CONTENT
    assert {one for _, one in server.asked} == {""}


def test_a_server_without_ranges_sends_everything_again(server: WeightsServer, file: Path) -> None:
    server.knows_ranges = False
    server.cuts = [300_000, 0]
    fails(server.entry(), file)
    download(server.entry(), file)
    assert file.read_bytes() == CONTENT
    assert len(CONTENT) == file.stat().st_size


def test_a_cancelled_download_goes_on_where_it_ended(server: WeightsServer, file: Path) -> None:
    entry = server.entry()
    with pytest.raises(Cancelled):
        download(entry, file, until(200_000))
    assert not file.exists()
    came = PartFile(file).size
    assert 200_000 <= came < len(CONTENT)
    download(entry, file)
    assert file.read_bytes() == CONTENT
    assert server.asked[-1] == ("/net.pth", f"bytes={came}-")


def test_a_download_that_was_stopped_after_its_last_byte_asks_for_nothing_more(
    server: WeightsServer, file: Path
) -> None:
    with pytest.raises(Cancelled):
        download(server.entry(), file, until(len(CONTENT)))
    server.asked.clear()
    download(server.entry(), file)
    assert file.read_bytes() == CONTENT
    assert server.asked == []


def patient_until_it_stalls(server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading from this server times out when it stalls and all that it has sent was read; never because it is slow."""
    receive = socket.socket.recv_into

    def receive_or_time_out(self: socket.socket, *arguments: object) -> int:
        def has_something(seconds: float) -> bool:
            return bool(select.select([self], [], [], seconds)[0])

        while self.getpeername()[1] == server.port and not has_something(0.005):
            if server.stalled.is_set() and not has_something(0):
                raise TimeoutError("timed out")
        return receive(self, *arguments)

    monkeypatch.setattr(socket.socket, "recv_into", receive_or_time_out)


def test_a_server_that_stalls_is_given_up_with_what_came_kept(
    server: WeightsServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stall_after = 100_000
    server.cuts = [None, 0]
    with monkeypatch.context() as patch:
        patient_until_it_stalls(server, patch)
        said = fails(server.entry(), file)
    assert "100 kB have come and are kept" in said
    server.going_on.set()
    server.stall_after = None
    download(server.entry(), file)
    assert file.read_bytes() == CONTENT


def test_a_server_that_never_answers_is_given_up_in_words(server: WeightsServer, file: Path) -> None:
    server.stall_after = 0
    said = fails(server.entry(), file, timeout_s=0.1)
    assert "sent nothing for 0.1 s" in said and server.url("/net.pth") in said


def test_a_redirect_is_followed_also_when_going_on(server: WeightsServer, file: Path) -> None:
    server.redirects["/old/net.pth"] = server.url("/net.pth")
    server.entry()
    entry = server.entry(url=server.url("/old/net.pth"))
    server.cuts = [300_000]
    download(entry, file)
    assert file.read_bytes() == CONTENT
    assert server.asked == [
        ("/old/net.pth", ""),
        ("/net.pth", ""),
        ("/old/net.pth", "bytes=300000-"),
        ("/net.pth", "bytes=300000-"),
    ]


def test_a_circle_of_redirects_is_named(server: WeightsServer, file: Path) -> None:
    entry = server.entry()
    server.redirects["/net.pth"] = "/net.pth"
    assert "without end" in fails(entry, file)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "weights install test-net --file FILE"),
        (403, "only to those who have asked or signed in, or a proxy forbids it (HTTP 403)"),
        (404, "not there any more (HTTP 404)"),
        (410, "not there any more"),
        (407, "proxy"),
        (429, "HTTP 429"),
        (503, "Try later"),
    ],
)
def test_a_refusal_says_what_to_do_and_loses_nothing(
    server: WeightsServer, file: Path, status: int, words: str
) -> None:
    server.cuts = [300_000, 0]
    fails(server.entry(), file)
    server.refusals["/net.pth"] = status
    said = fails(server.entry(), file)
    assert words in said and server.url("/net.pth") in said
    assert PartFile(file).size == 300_000


def test_a_gated_file_says_where_to_ask_for_it(server: WeightsServer, file: Path) -> None:
    server.refusals["/net.pth"] = 403
    entry = server.entry(request_url="https://example.org/ask")
    assert "Ask for it at https://example.org/ask" in fails(entry, file)


def test_a_web_page_instead_of_the_file_is_told_apart(server: WeightsServer, file: Path) -> None:
    server.content_type = "text/html; charset=utf-8"
    assert "web page" in fails(server.entry(), file)
    assert left_in(file.parent) == []


def test_a_file_of_quite_another_size_is_not_even_downloaded(server: WeightsServer, file: Path) -> None:
    said = fails(server.entry(size_bytes=2_000_000), file)
    assert "1000000 bytes" in said and "2000000" in said
    assert left_in(file.parent) == []
    download(server.entry(size_bytes=1_010_000), file)  # publishers round
    assert file.read_bytes() == CONTENT


def test_nobody_listening_is_said_with_the_way_around(server: WeightsServer, file: Path) -> None:
    with serving() as gone:
        entry = gone.entry()
    said = fails(entry, file)
    assert "no connection to 127.0.0.1" in said and "--file FILE" in said


def test_the_proxy_of_the_environment_is_used(
    server: WeightsServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = server.entry(url="http://weights.invalid/net.pth")  # a name that nothing but the proxy knows
    monkeypatch.setenv("HTTP_PROXY", server.url(""))
    monkeypatch.setenv("http_proxy", server.url(""))
    download(entry, file)
    assert file.read_bytes() == CONTENT
    assert server.asked == [("/net.pth", "")]


def test_a_proxy_that_does_not_answer_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as gone:
        entry = gone.entry(url="http://weights.invalid/net.pth")
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, gone.url(""))
    assert "the proxy that the environment names" in fails(entry, file)


def test_a_proxy_of_a_kind_that_cannot_be_used_is_an_error_in_words(
    file: Path, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "gopher://127.0.0.1:1")
    said = fails(server.entry(), file)
    assert "proxy" in said and "--file FILE" in said
    assert server.asked == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 with its key, signed by itself, made for this run."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the program openssl, to make a certificate")
    path = tmp_path_factory.mktemp("certificate") / "loopback.pem"
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    command = [
        openssl,
        *words.split(),
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        path,
        "-out",
        f"{path}.crt",
    ]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[WeightsServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(wrap=context) as running:
        yield running


def test_an_encrypted_address_may_not_lead_to_an_open_one(
    secure: WeightsServer, server: WeightsServer, file: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server.entry()
    entry = secure.entry()
    download(entry, file)  # the certificate is accepted
    file.unlink()
    secure.redirects["/net.pth"] = server.url("/net.pth")
    said = fails(entry, file)
    assert "not encrypted" in said
    assert server.asked == []


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: WeightsServer, file: Path) -> None:
    said = fails(secure.entry(), file)
    assert "certificate" in said and "REQUESTS_CA_BUNDLE" in said
    assert secure.asked == []


def test_too_little_room_on_the_disk_is_said_before_the_first_byte(
    server: WeightsServer, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module.shutil, "disk_usage", lambda _: SimpleNamespace(free=500_000))
    said = fails(server.entry(size_bytes=0), file)
    assert "1.0 MB are needed and 500 kB are free" in said and str(file.parent) in said
    assert PartFile(file).size == 0


def test_a_disk_that_fills_up_meanwhile_is_said_and_what_came_is_kept(server: WeightsServer, file: Path) -> None:
    def full(step: Progress) -> None:
        if step.done > 100_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WeightsError, match=r"the disk is full; 1\d\d kB have come"):
        download(server.entry(), file, full)
    download(server.entry(), file)
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("note", ["", "no JSON", "[]", '{"url": 3, "etag": null}'])
def test_a_note_that_makes_no_sense_starts_again(server: WeightsServer, file: Path, note: str) -> None:
    PartFile(file).path.write_bytes(b"of whatever")
    PartFile(file).note.write_text(note)
    download(server.entry(), file)
    assert file.read_bytes() == CONTENT
    assert left_in(file.parent) == ["net.pth"]


def test_bytes_from_another_address_are_not_gone_on_with(server: WeightsServer, file: Path) -> None:
    server.cuts = [300_000, 0]
    fails(server.entry(), file)
    download(server.entry("/v2/net.pth"), file)
    assert file.read_bytes() == CONTENT
    assert server.asked[-1] == ("/v2/net.pth", "")
