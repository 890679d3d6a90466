"""The command `weights`: list, install, remove; for people, for scripts and for programs."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from engine.commands import Finished, finish, run, start
from engine.weights_server import CONTENT, WeightsServer, serving
from VolumeRetrievalEngine.commands import weights as command
from VolumeRetrievalEngine.encoders import catalog
from VolumeRetrievalEngine.encoders import choice as encoders
from VolumeRetrievalEngine.encoders.catalog.entry import CatalogEntry
from VolumeRetrievalEngine.encoders.weights.folder import WeightsFolder
from VolumeRetrievalEngine.encoders.weights.part_file import PartFile

pytest.importorskip("requests")

#: Runs the command line with a catalog of one entry, whose weights are at the address in the first argument.
WITH_ENTRY = """
import dataclasses, json, sys
from VolumeRetrievalEngine.encoders import choice as encoders
from VolumeRetrievalEngine.commands import main, weights
from VolumeRetrievalEngine.encoders import catalog
from VolumeRetrievalEngine.encoders.catalog.entry import CatalogEntry, License, WeightsSource
values = json.loads(sys.argv.pop(1))
values["source"], values["license"] = WeightsSource(**values["source"]), License(**values["license"])
catalog.CATALOG = weights.CATALOG = encoders.CATALOG = {values["name"]: CatalogEntry(**values)}
sys.exit(main(sys.argv[1:]))
"""

#: Before it, where what Slicer does not ship is not to be imported.
ON_THE_FLOOR = """
import sys
sys.modules.update(dict.fromkeys(("requests", "torch", "monai", "safetensors", "timm")))
"""


@pytest.fixture(autouse=True)
def an_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("VOLUME_RETRIEVAL_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serving() as running:
        yield running


@pytest.fixture
def entry(server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> CatalogEntry:
    """The only entry of the catalog in this process."""
    entry = server.entry()
    use(monkeypatch, entry)
    return entry


def use(monkeypatch: pytest.MonkeyPatch, *entries: CatalogEntry) -> None:
    known = {one.name: one for one in entries}
    monkeypatch.setattr(catalog, "CATALOG", known)
    monkeypatch.setattr(command, "CATALOG", known)


def started(entry: CatalogEntry, *words: object, **settings: object) -> subprocess.Popen:
    return start(json.dumps(dataclasses.asdict(entry)), *words, program=WITH_ENTRY, **settings)


def messages(finished: Finished) -> list[dict]:
    return [json.loads(line) for line in finished.out.splitlines()]


def the_only(listed: Finished) -> dict:
    (one,) = listed.json["encoders"]
    return one


def test_weights_are_listed_installed_and_removed(entry: CatalogEntry, tmp_path: Path) -> None:
    listed = run("weights", "list")
    assert listed.code == 0
    assert re.search(r"test-net +absent +1\.0 MB +Test License +not allowed +yes +4 +32", listed.out)
    assert str(tmp_path / "weights") in listed.out

    installed = run("weights", "install", "test-net", "--yes")
    assert installed.code == 0, installed.err
    for words in (
        "A network for tests",
        "size: 1.0 MB",
        "license: Test License (https://example.org/license)",
        "commercial use: not allowed",
        "please cite: Nobody et al.",
        "the publisher's file, by its hash",
    ):
        assert words in installed.out
    assert "download 1.0 MB of 1.0 MB" in installed.err
    assert (tmp_path / "weights" / "test-net" / "net.pth").read_bytes() == CONTENT
    assert "test-net  installed" in run("weights", "list").out

    removed = run("weights", "remove", "test-net")
    assert removed.out == "removed 1.0 MB\n"
    assert "nothing was installed" in run("weights", "remove", "test-net").out
    assert run("weights", "remove", "test-net", "--json").json == {"name": "test-net", "freed_bytes": 0}
    assert the_only(run("weights", "list", "--json"))["state"] == "absent"


def test_the_listing_for_machines_has_every_fact(entry: CatalogEntry, tmp_path: Path) -> None:
    listing = run("weights", "list", "--json").json
    assert listing["folder"] == str(tmp_path / "weights")
    (one,) = listing["encoders"]
    expected = {
        "name": "test-net",
        "title": "A network for tests",
        "state": "absent",
        "path": str(tmp_path / "weights" / "test-net" / "net.pth"),
        "size_bytes": len(CONTENT),
        "installed_bytes": 0,
        "verified": True,
        "checked": "",
        "problem": "",
        "license": {"name": "Test License", "url": "https://example.org/license", "commercial": False},
        "consented": False,
        "url": entry.source.url,
        "request_url": "",
        "dimension": 4,
        "input_size": 32,
        "missing": [],
        "needs": [],
        "cautions": list(entry.cautions),
        "citation": "Nobody et al.",
        "parity": "",
    }
    if not one["missing"]:  # where torch and MONAI are installed
        assert one == expected
    run("weights", "install", "test-net", "--yes")
    one = the_only(run("weights", "list", "--json"))
    assert (one["state"], one["checked"], one["consented"], one["installed_bytes"]) == (
        "installed",
        "hash",
        True,
        len(CONTENT),
    )


def test_what_an_encoder_still_misses_is_listed(entry: CatalogEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, dataclasses.replace(entry, packages=("surely-no-such-package", "numpy")))
    assert the_only(run("weights", "list", "--json"))["missing"][-1] == "surely-no-such-package"
    assert "surely-no-such-package" in run("weights", "list").out
    installed = run("weights", "install", "test-net", "--yes")
    assert "note: test-net also needs: pip install " in installed.out


def test_both_listings_of_encoders_miss_the_same_packages(
    entry: CatalogEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "homemade").mkdir()
    (tmp_path / "homemade" / "__init__.py").write_text("")  # can be imported, but pip knows nothing of it
    monkeypatch.syspath_prepend(tmp_path)
    changed = dataclasses.replace(entry, packages=("homemade", "surely_no_such_package"))
    use(monkeypatch, changed)
    monkeypatch.setattr(encoders, "CATALOG", {changed.name: changed})
    (by_encoders,) = (one.missing for one in encoders.available_encoders() if one.name == changed.name)
    by_weights = the_only(run("weights", "list", "--json"))["missing"]
    assert tuple(by_weights) == by_encoders
    assert by_weights[-1] == "surely_no_such_package" and "homemade" not in by_weights


def test_an_entry_that_is_unverified_says_so_before_and_after(
    server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "installing_folder", folder_that_fits)
    use(monkeypatch, server.entry(hash=""))
    assert " unverified " in run("weights", "list").out
    installed = run("weights", "install", "test-net", "--yes")
    assert installed.code == 0, installed.err
    assert "note: Unverified: the publisher states no hash" in installed.out
    assert "(unverified: the publisher states no hash; its tensors are those of the network)" in installed.out


def test_a_hash_that_only_others_recorded_is_not_called_the_publishers(
    server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, server.entry(hash_recorded_by="two projects"))
    assert the_only(run("weights", "list", "--json"))["verified"] is False
    installed = run("weights", "install", "test-net", "--yes")
    assert "it has the one that others recorded" in installed.out
    assert "the publisher's file" not in installed.out


def folder_that_fits(folder: Path | None = None) -> WeightsFolder:
    return WeightsFolder(folder, fit=lambda entry, file: None)


def test_the_weights_that_an_encoder_needs_too_are_installed_with_it(
    server: WeightsServer, entry: CatalogEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(server.entry("/other.pth"), name="other-net", needs=("test-net",))
    use(monkeypatch, entry, other)
    assert "weights of test-net" in run("weights", "list").out
    assert run("weights", "install", "other-net", "--yes").code == 0
    assert [one["state"] for one in run("weights", "list", "--json").json["encoders"]] == ["installed", "installed"]
    run("weights", "remove", "test-net")
    assert run("weights", "list", "other-net", "--json").json["encoders"][0]["needs"] == ["test-net"]


def test_a_damaged_file_is_listed_with_what_to_do(entry: CatalogEntry, tmp_path: Path) -> None:
    run("weights", "install", "test-net", "--yes")
    (tmp_path / "weights" / "test-net" / "net.pth").write_bytes(b"")
    for words in (["list"], ["list", "test-net"]):
        listed = run("weights", *words)
        assert listed.code == 0
        assert "is damaged, or not the file of test-net" in listed.out and "weights install test-net" in listed.out


@pytest.mark.parametrize("size", [len(CONTENT), 0])
def test_nothing_is_installed_and_nothing_sent_without_somebody_to_ask(server: WeightsServer, size: int) -> None:
    entry = server.entry(size_bytes=size)
    refused = finish(started(entry, "weights", "install", "test-net", stdin=subprocess.DEVNULL))
    assert refused.code == 1
    assert "Test License" in refused.out  # what one would agree to
    assert "--yes" in refused.err and "no terminal" in refused.err
    for_programs = finish(started(entry, "weights", "install", "test-net", "--json", stdin=subprocess.DEVNULL))
    assert for_programs.code == 1
    assert "--yes" in messages(for_programs)[-1]["error"]["text"]
    assert server.asked == server.asked_about == []


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("YES", 0), ("", 1), ("n", 1), ("what?", 1)])
def test_in_a_terminal_the_user_is_asked(
    entry: CatalogEntry, server: WeightsServer, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    questions = []
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or answer)
    finished = run("weights", "install", "test-net")
    assert finished.code == code
    assert len(questions) == 1 and "license" in questions[0]
    if code:
        assert "not agreed to" in finished.err
        assert server.asked == []
    else:
        run("weights", "remove", "test-net")
        assert run("weights", "install", "test-net").code == 0
        assert len(questions) == 1  # remembered


def test_the_size_that_only_the_server_knows_is_asked_for_after_the_terms_were_shown(
    server: WeightsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    entry = server.entry(size_bytes=0)
    use(monkeypatch, entry)
    shown = run("weights", "install", "test-net").out
    assert "size: not stated" in shown and shown.endswith("size, as the server says: 1.0 MB\n")
    assert server.asked_about == ["/net.pth"]
    (tmp_path / "net.pth").write_bytes(CONTENT)
    assert "as the server says" not in run("weights", "install", "test-net", "--file", tmp_path / "net.pth").out
    assert server.asked_about == ["/net.pth"]


def test_a_program_is_told_progress_and_outcome_line_by_line(entry: CatalogEntry, tmp_path: Path) -> None:
    process = started(entry, "weights", "install", "test-net", "--yes", "--json", "--folder", tmp_path / "elsewhere")
    finished = finish(process)
    assert finished.code == 0, finished.err
    hello, *progress, result = messages(finished)
    assert hello["type"] == "hello" and hello["pid"] == process.pid
    assert {one["type"] for one in progress} == {"progress"}
    assert {one["stage"] for one in progress} == {"download"}
    assert (progress[-1]["done"], progress[-1]["total"]) == (len(CONTENT), len(CONTENT))
    assert len(progress) < 10  # of the many chunks, a few are told
    assert result["type"] == "result"
    assert result["result"]["state"] == "installed"
    assert Path(result["result"]["path"]) == tmp_path / "elsewhere" / "test-net" / "net.pth"


def test_a_program_is_told_why_it_failed(entry: CatalogEntry, server: WeightsServer) -> None:
    server.refusals["/net.pth"] = 404
    finished = finish(started(entry, "weights", "install", "test-net", "--yes", "--json"))
    assert finished.code == 1
    last = messages(finished)[-1]
    assert last["type"] == "error"
    assert last["error"]["type"] == "WeightsError" and "HTTP 404" in last["error"]["text"]
    unknown = finish(started(entry, "weights", "install", "no-net", "--yes", "--json"))
    assert "no encoder 'no-net'" in messages(unknown)[-1]["error"]["text"]


def test_closing_its_input_stops_an_installation_and_the_next_goes_on(
    entry: CatalogEntry, server: WeightsServer
) -> None:
    server.stall_after, server.drips = 400_000, True
    process = started(entry, "weights", "install", "test-net", "--yes", "--json", stdin=subprocess.PIPE)
    wait_for(400_000, process)
    process.stdin.close()
    process.stdin = None
    finished = finish(process)
    assert finished.code == 130
    assert messages(finished)[-1]["error"]["type"] == "Cancelled"
    server.stall_after = None
    assert goes_on(entry, server)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signal to a process without a console")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_installation_that_is_ended_in_any_way_goes_on_the_next_time(
    entry: CatalogEntry, server: WeightsServer, how: signal.Signals
) -> None:
    server.stall_after = 400_000
    process = started(entry, "weights", "install", "test-net", "--yes")
    wait_for(400_000, process)
    process.send_signal(how)
    finished = finish(process)
    assert finished.code == (-how if how == signal.SIGKILL else 130)
    assert "Traceback" not in finished.err
    server.stall_after = None
    assert goes_on(entry, server)


def wait_for(n_bytes: int, process: subprocess.Popen) -> None:
    """Until the process has so much of the file."""
    part = PartFile(WeightsFolder().folder / "test-net" / "net.pth")
    while part.size < n_bytes:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def goes_on(entry: CatalogEntry, server: WeightsServer) -> bool:
    left = the_only(run("weights", "list", "--json"))
    assert left["state"] == "partial"
    assert run("weights", "install", "test-net", "--yes").code == 0
    return server.asked[-1][1] == f"bytes={left['installed_bytes']}-"


def test_a_file_is_installed_and_a_wrong_one_refused_by_name(
    entry: CatalogEntry, server: WeightsServer, tmp_path: Path
) -> None:
    right, wrong = tmp_path / "right.pth", tmp_path / "wrong.pth"
    right.write_bytes(CONTENT)
    wrong.write_bytes(CONTENT[:-1])
    refused = run("weights", "install", "test-net", "--file", wrong, "--yes")
    assert refused.code == 1
    assert str(wrong) in refused.err and "net.pth, the weights of test-net" in refused.err
    assert run("weights", "install", "test-net", "--file", right, "--yes").code == 0
    assert the_only(run("weights", "list", "--json"))["state"] == "installed"
    assert server.asked == []


def test_everything_but_the_download_works_without_requests_and_torch(entry: CatalogEntry, tmp_path: Path) -> None:
    right = tmp_path / "right.pth"
    right.write_bytes(CONTENT)
    commands = (
        ["install", "test-net", "--yes"],
        ["install", "test-net", "--yes", "--file", str(right)],
        ["list", "--json"],
        ["remove", "test-net"],
    )
    download, install, listing, remove = on_the_floor(entry, *commands)
    assert download.code == 1
    assert "'requests'" in download.err and "pip install requests" in download.err and "--file" in download.err
    assert install.code == 0, install.err
    assert "the publisher's file, by its hash" in install.out
    assert the_only(listing)["state"] == "installed"
    assert remove.out == "removed 1.0 MB\n"
    unknown = dataclasses.replace(entry, source=dataclasses.replace(entry.source, hash=""))
    (unchecked,) = on_the_floor(unknown, commands[1])
    assert unchecked.code == 0, unchecked.err
    assert "its tensors could not be compared: that takes torch, " in unchecked.out


def on_the_floor(entry: CatalogEntry, *commands: list[str]) -> list[Finished]:
    """These actions of `weights`, one after the other in one process, where only what Slicer ships can be imported."""
    each = """
import contextlib, io
def run(words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["weights", *words])
    return code, out.getvalue(), err.getvalue()
print(json.dumps([run(words) for words in json.loads(sys.argv[1])]))
"""
    program = ON_THE_FLOOR + WITH_ENTRY.replace("sys.exit(main(sys.argv[1:]))", each)
    finished = finish(start(json.dumps(dataclasses.asdict(entry)), json.dumps(commands), program=program))
    assert finished.code == 0, finished.err
    return [Finished(*one) for one in finished.json]


def test_an_unknown_name_says_which_are_known(entry: CatalogEntry) -> None:
    for words in (["install", "no-net", "--yes"], ["remove", "no-net"], ["list", "no-net"]):
        finished = run("weights", *words)
        assert finished.code == 1
        assert "'no-net'" in finished.err and "test-net" in finished.err


def test_the_real_catalog_can_be_listed() -> None:
    listing = run("weights", "list", "--json").json
    assert {one["name"] for one in listing["encoders"]} == set(catalog.CATALOG)
    assert run("weights", "list").out.count("\n") >= len(catalog.CATALOG) + 2
    for name in catalog.CATALOG:
        told = run("weights", "list", name).out
        assert f"license: {catalog.CATALOG[name].license.name}" in told
        assert f"network tested against: {catalog.CATALOG[name].parity}" in told


@pytest.mark.parametrize("words", [[], ["install"], ["list", "--file", "x"], ["remove"]])
def test_wrong_arguments_are_refused(words: list[str]) -> None:
    assert run("weights", *words).code == 2
