"""The folder of weights: installed by download or from a file, agreed to, checked at use, removed."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import pickle
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from engine.weights_server import CONTENT, WeightsServer, an_entry, serving
from VolumeRetrievalEngine.encoders import catalog, pretrained
from VolumeRetrievalEngine.encoders.architectures.resnet import resnet50
from VolumeRetrievalEngine.encoders.catalog.entry import CatalogEntry, WeightsSource
from VolumeRetrievalEngine.encoders.choice import available_encoders, create_encoder
from VolumeRetrievalEngine.encoders.networks.tensors import read_tensors
from VolumeRetrievalEngine.encoders.pretrained import installing_folder
from VolumeRetrievalEngine.encoders.weights import folder as weights_module
from VolumeRetrievalEngine.encoders.weights.folder import WeightsFolder, default_weights_folder
from VolumeRetrievalEngine.encoders.weights.part_file import PartFile
from VolumeRetrievalEngine.errors import MissingPackageError, WeightsError
from VolumeRetrievalEngine.progress import Cancelled, Progress

pytest.importorskip("requests")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[WeightsServer]:
    with serving() as running:
        yield running


@pytest.fixture
def weights(tmp_path: Path) -> WeightsFolder:
    return WeightsFolder(tmp_path / "weights", fit=fits)


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """The right file, as somebody brings it."""
    path = tmp_path / "from a friend.pth"
    path.write_bytes(CONTENT)
    return path


def fits(entry: CatalogEntry, file: Path) -> None:
    if file.read_bytes() != CONTENT:
        raise WeightsError(f"{file}: the tensors are not those of {entry.name}")


def agree(entry: CatalogEntry) -> bool:
    return True


def never_asked(entry: CatalogEntry) -> bool:
    raise AssertionError("nobody should have been asked")


def offline_entry(content: bytes = CONTENT, **source: object) -> CatalogEntry:
    values = {"url": "", "file_name": "net.pth", "hash": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    values |= {"size_bytes": len(content), "revision": "", "read_from": "the publisher's list of hashes"}
    return an_entry(WeightsSource(**{**values, **source}))


def test_weights_are_installed_from_the_network_and_found_afterwards(
    server: WeightsServer, weights: WeightsFolder
) -> None:
    entry = server.entry()
    assert weights.installed(entry) is None
    assert weights.status(entry).state == "absent"
    path = weights.install(entry, consent=agree)
    assert path == weights.installed(entry) == weights.folder / "test-net" / "net.pth"
    assert path.read_bytes() == CONTENT
    status = weights.status(entry)
    assert (status.state, status.size_bytes, status.checked) == ("installed", len(CONTENT), "hash")


def test_installing_what_is_there_asks_nobody_and_downloads_nothing(
    server: WeightsServer, weights: WeightsFolder
) -> None:
    entry = server.entry()
    weights.install(entry, consent=agree)
    server.asked.clear()
    assert weights.install(entry, consent=never_asked) == weights.installed(entry)
    assert server.asked == []


def test_nothing_is_downloaded_without_consent(server: WeightsServer, weights: WeightsFolder) -> None:
    with pytest.raises(WeightsError, match=r"test-net: nothing was installed.*Test License"):
        weights.install(server.entry(), consent=lambda one: False)
    assert server.asked == []
    assert not weights.consented(server.entry())
    assert weights.status(server.entry()).state == "absent"


def test_nothing_is_sent_before_somebody_has_agreed(server: WeightsServer, weights: WeightsFolder) -> None:
    with pytest.raises(WeightsError, match="not agreed to"):
        weights.install(server.entry(size_bytes=0), consent=lambda one: False)
    assert server.asked == server.asked_about == []


def test_consent_is_remembered_for_this_entry_and_this_license(server: WeightsServer, weights: WeightsFolder) -> None:
    entry = server.entry()
    weights.install(entry, consent=agree)
    weights.remove(entry)
    again = WeightsFolder(weights.folder)
    assert again.consented(entry)
    again.install(entry, consent=never_asked)
    noted = json.loads((weights.folder / "consents.json").read_text())
    assert noted["test-net"]["license"] == "Test License"
    assert noted["test-net"]["date"].startswith("20")

    again.remove(entry)
    terms = dataclasses.replace(entry.license, name="Another License")
    for changed in (dataclasses.replace(entry, license=terms), dataclasses.replace(entry, name="another-net")):
        assert not again.consented(changed)
        asked = []
        again.install(changed, consent=lambda one, asked=asked: asked.append(one) is None)
        assert asked == [changed]
    assert {"test-net", "another-net"} == set(json.loads((weights.folder / "consents.json").read_text()))


def test_a_list_of_consents_that_is_damaged_asks_again(server: WeightsServer, weights: WeightsFolder) -> None:
    weights.folder.mkdir()
    for damaged in ("", "[1]", '{"test-net": 3}', '{"test-net": {"license": "Test License"}}'):
        (weights.folder / "consents.json").write_text(damaged)
        assert not weights.consented(server.entry())
    weights.install(server.entry(), consent=agree)
    assert weights.consented(server.entry())


def test_a_stopped_download_is_partial_and_goes_on(server: WeightsServer, weights: WeightsFolder) -> None:
    entry = server.entry()

    def stop(step: Progress) -> None:
        if step.done >= 200_000:
            raise Cancelled

    with pytest.raises(Cancelled):
        weights.install(entry, consent=agree, progress=stop)
    status = weights.status(entry)
    assert status.state == "partial" and 200_000 <= status.size_bytes < len(CONTENT)
    assert weights.installed(entry) is None
    weights.install(entry, consent=never_asked)
    assert weights.installed(entry).read_bytes() == CONTENT
    assert server.asked[-1] == ("/net.pth", f"bytes={status.size_bytes}-")


@pytest.mark.parametrize("kind", ["sha256", "sha256-prefix", "none"])
def test_an_installed_file_that_was_damaged_is_refused_by_name_and_can_be_installed_again(
    server: WeightsServer, weights: WeightsFolder, kind: str
) -> None:
    digits = hashlib.sha256(CONTENT).hexdigest()
    entry = server.entry(
        hash={"sha256": f"sha256:{digits}", "sha256-prefix": f"sha256-prefix:{digits[:8]}"}.get(kind, "")
    )
    path = weights.install(entry, consent=agree)
    for damaged in (CONTENT[:-1], CONTENT[:-1] + b"?", b""):
        path.write_bytes(damaged)
        os.utime(path, (1, 1))
        with pytest.raises(WeightsError, match="damaged, or not the file of test-net") as raised:
            weights.installed(entry)
        assert str(path) in str(raised.value) and "weights install test-net" in str(raised.value)
        status = weights.status(entry)
        assert (status.state, status.problem, status.hint) == ("damaged", raised.value.text, raised.value.hint)
        weights.install(entry, consent=never_asked)
        assert weights.installed(entry).read_bytes() == CONTENT


def test_an_installed_file_is_read_again_only_if_it_has_changed(
    server: WeightsServer, weights: WeightsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = server.entry()
    path = weights.install(entry, consent=agree)
    read = []
    check = weights_module.has_hash
    monkeypatch.setattr(weights_module, "has_hash", lambda *words: read.append(words) or check(*words))
    assert weights.installed(entry) == path
    assert read == []
    os.utime(path, (5, 5))  # as after copying the folder to another computer
    assert weights.installed(entry) == path
    assert len(read) == 1
    assert weights.installed(entry) == path
    assert len(read) == 1


def test_a_catalog_that_now_expects_another_file_does_not_accept_the_old(
    server: WeightsServer, weights: WeightsFolder
) -> None:
    weights.install(server.entry(), consent=agree)
    newer = server.entry(hash="sha256:" + "0" * 64)
    with pytest.raises(WeightsError, match="not the file of test-net"):
        weights.installed(newer)


def test_a_file_that_was_put_there_by_hand_is_checked(weights: WeightsFolder) -> None:
    entry = offline_entry()
    weights.path(entry).parent.mkdir(parents=True)
    weights.path(entry).write_bytes(CONTENT)
    assert weights.installed(entry) == weights.path(entry)
    unknown = offline_entry(hash="")
    (weights.path(entry).parent / "installed.json").unlink()
    with pytest.raises(WeightsError, match="weights install test-net --file"):
        weights.installed(unknown)
    weights.install_file(unknown, weights.path(unknown), consent=agree)  # onto itself
    assert weights.installed(unknown).read_bytes() == CONTENT


@pytest.mark.parametrize("meanwhile", [False, True])
def test_a_file_that_was_put_there_by_hand_is_not_deleted(
    server: WeightsServer, weights: WeightsFolder, meanwhile: bool
) -> None:
    entry = server.entry(hash="")
    weights.install(entry, consent=agree)  # a record of a file that is gone says nothing of another one
    weights.path(entry).rename(weights.folder / "test-net" / "renamed.pth")
    record = weights.folder / "test-net" / "installed.json"
    record.write_text(record.read_text().replace("net.pth", "gone.safetensors"))
    (weights.folder / "consents.json").unlink()
    server.asked.clear()

    def put(one: CatalogEntry) -> bool:
        weights.path(entry).write_bytes(b"of somebody")
        return True

    if not meanwhile:
        put(entry)
    with pytest.raises(WeightsError, match=r"put there by hand.*weights install test-net --file .*net\.pth"):
        weights.install(entry, consent=put if meanwhile else never_asked)
    assert weights.path(entry).read_bytes() == b"of somebody"
    assert server.asked == []


def test_weights_that_need_others_are_not_downloaded_before_these(
    server: WeightsServer, weights: WeightsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed, entry = with_needed(server, monkeypatch)
    with pytest.raises(WeightsError, match="test-net: needs the weights of needed-net first"):
        weights.install(entry, consent=never_asked)
    assert server.asked == []
    weights.install(needed, consent=agree)
    weights.install(entry, consent=agree)
    assert weights.installed(entry).read_bytes() == CONTENT


def test_the_weights_that_it_needs_are_taken_from_the_same_folder(
    server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("monai")
    monkeypatch.setenv("VOLUME_RETRIEVAL_WEIGHTS", str(tmp_path / "another folder"))
    used = []

    def network_of(entry: CatalogEntry, path: Path, others: tuple[Path, ...]) -> torch.nn.Module:
        used.append((path, *others))
        return torch.nn.Flatten()

    monkeypatch.setattr(pretrained, "network_of", network_of)
    needed, entry = with_needed(server, monkeypatch)
    weights = installing_folder(tmp_path / "weights")
    for one in (needed, entry):
        weights.install(one, consent=agree)
    assert weights.status(entry).checked == "fit"
    assert used == [(weights.path(entry), weights.path(needed))]


def test_a_download_is_kept_where_what_checks_it_went_missing_meanwhile(
    server: WeightsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("monai")
    needed, entry = with_needed(server, monkeypatch)
    weights = installing_folder(tmp_path / "weights")
    weights.install(needed, consent=agree)

    def agree_and(spoil: Callable[[CatalogEntry], object]) -> Callable[[CatalogEntry], bool]:
        return lambda one: spoil(needed) is not None

    for spoil in (lambda one: weights.path(one).write_bytes(b"damaged"), weights.remove):
        (weights.folder / "consents.json").unlink()
        path = weights.install(entry, consent=agree_and(spoil))
        assert path.read_bytes() == CONTENT
        assert weights.installed(entry) == path
        assert weights.status(entry).checked == "nothing"
        weights.remove(entry)
        weights.install(needed, consent=agree)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert weights.install(entry, consent=agree).read_bytes() == CONTENT
    assert weights.status(entry).checked == "nothing"


def with_needed(server: WeightsServer, monkeypatch: pytest.MonkeyPatch) -> tuple[CatalogEntry, CatalogEntry]:
    """The only entries of the catalog: one with a hash, and one without, which needs it."""
    needed = dataclasses.replace(server.entry("/needed.pth"), name="needed-net")
    entry = dataclasses.replace(server.entry(hash=""), needs=("needed-net",))
    monkeypatch.setattr(catalog, "CATALOG", {one.name: one for one in (needed, entry)})
    return needed, entry


def test_what_another_process_has_installed_meanwhile_is_not_downloaded_again(
    server: WeightsServer, weights: WeightsFolder
) -> None:
    def agree_slowly(entry: CatalogEntry) -> bool:
        WeightsFolder(weights.folder).install(entry, consent=agree)
        return True

    weights.install(server.entry(), consent=agree_slowly)
    assert len(server.asked) == 1


def test_two_installations_of_one_entry_do_not_disturb_each_other(
    server: WeightsServer, weights: WeightsFolder
) -> None:
    entry = server.entry()
    server.stall_after = 100_000
    first = threading.Thread(target=weights.install, args=(entry,), kwargs={"consent": agree})
    first.start()
    try:
        assert server.stalled.wait(600)
        for attempt in (
            lambda: WeightsFolder(weights.folder).install(entry, consent=agree),
            lambda: WeightsFolder(weights.folder).remove(entry),
        ):
            with pytest.raises(WeightsError, match=f"test-net: process {os.getpid()} .* is working on it"):
                attempt()
        assert len(server.asked) == 1
        other = dataclasses.replace(server.entry("/other.pth"), name="other-net")
        server.stall_after = None
        weights.install(other, consent=agree)  # another entry need not wait
    finally:
        server.going_on.set()
        first.join(600)
    assert weights.installed(entry).read_bytes() == CONTENT


def test_weights_are_removed_with_everything_but_the_consent(server: WeightsServer, weights: WeightsFolder) -> None:
    entry = server.entry()
    weights.install(entry, consent=agree)
    PartFile(weights.path(entry)).path.write_bytes(b"123")
    assert weights.remove(entry) >= len(CONTENT) + 3
    assert weights.status(entry).state == "absent"
    assert weights.consented(entry)
    assert weights.remove(entry) == 0
    assert WeightsFolder(weights.folder / "nowhere").remove(entry) == 0


def test_weights_on_request_say_where_to_ask(weights: WeightsFolder) -> None:
    with pytest.raises(WeightsError, match=r"get it at https://example\.org/ask.*--file FILE"):
        weights.install(offline_entry(request_url="https://example.org/ask"), consent=never_asked)
    with pytest.raises(WeightsError, match=r"publisher's list of hashes says.*--file FILE"):
        weights.install(offline_entry(), consent=never_asked)


def test_a_file_is_installed_without_the_network(weights: WeightsFolder, given: Path) -> None:
    entry = offline_entry()
    path = weights.install_file(entry, given, consent=agree)
    assert path == weights.installed(entry)
    assert path.read_bytes() == given.read_bytes() == CONTENT
    assert weights.status(entry).checked == "hash"
    assert weights.consented(entry)


def test_a_file_from_elsewhere_ends_a_download_that_was_stopped(weights: WeightsFolder, given: Path) -> None:
    entry = offline_entry()
    weights.path(entry).parent.mkdir(parents=True)
    PartFile(weights.path(entry)).begin("http://example.org", '"x"', 7)
    PartFile(weights.path(entry)).path.write_bytes(b"123")
    weights.install_file(entry, given, consent=agree)
    names = {one.name for one in weights.path(entry).parent.iterdir()}
    assert names == {"net.pth", "installed.json", "writer.lock"}


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"?", b"", CONTENT + b"?"])
def test_a_file_that_is_cut_off_or_tampered_with_is_refused_by_name(
    weights: WeightsFolder, given: Path, content: bytes
) -> None:
    given.write_bytes(content)
    with pytest.raises(WeightsError) as raised:
        weights.install_file(offline_entry(), given, consent=never_asked)
    said = str(raised.value)
    assert str(given) in said and "net.pth, the weights of test-net" in said and "sha256:" in said
    assert given.read_bytes() == content
    assert weights.status(offline_entry()).state == "absent"


def test_a_copy_that_did_not_arrive_whole_is_not_installed(
    weights: WeightsFolder, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_module.shutil, "copyfileobj", lambda source, target, *_: target.write(CONTENT[:-1]))
    with pytest.raises(WeightsError, match="changed while it was copied") as raised:
        weights.install_file(offline_entry(), given, consent=agree)
    assert str(given) in str(raised.value)
    assert [one.name for one in (weights.folder / "test-net").iterdir()] == ["writer.lock"]


def test_a_file_of_another_entry_is_named(weights: WeightsFolder, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = dataclasses.replace(offline_entry(), name="owner-net")
    monkeypatch.setattr(catalog, "CATALOG", {"owner-net": owner})
    with pytest.raises(WeightsError, match=r"is the file of owner-net.*weights install owner-net --file"):
        weights.install_file(offline_entry(b"another"), given, consent=never_asked)


def test_a_file_of_another_entry_is_named_also_where_only_the_first_digits_of_its_hash_are_known(
    weights: WeightsFolder, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = hashlib.sha256(CONTENT).hexdigest()[:8]
    owner = dataclasses.replace(offline_entry(hash=f"sha256-prefix:{digits}"), name="owner-net")
    unknown = dataclasses.replace(offline_entry(hash=""), name="unknown-net")
    monkeypatch.setattr(catalog, "CATALOG", {"unknown-net": unknown, "owner-net": owner})
    with pytest.raises(WeightsError, match=r"is the file of owner-net.*weights install owner-net --file"):
        weights.install_file(offline_entry(b"another"), given, consent=never_asked)


def test_a_file_that_is_not_there_is_named(weights: WeightsFolder, tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.pth", tmp_path):
        with pytest.raises(WeightsError, match=r"no such file; expected net\.pth") as raised:
            weights.install_file(offline_entry(), path, consent=never_asked)
        assert str(path) in str(raised.value)


def test_declining_installs_no_file(weights: WeightsFolder, given: Path) -> None:
    with pytest.raises(WeightsError, match="not agreed to"):
        weights.install_file(offline_entry(), given, consent=lambda one: False)
    assert weights.status(offline_entry()).state == "absent"


def test_without_a_hash_the_tensors_are_compared_and_the_file_is_known_again(
    weights: WeightsFolder, given: Path
) -> None:
    entry = offline_entry(hash="")
    safetensors = given.rename(given.with_suffix(".safetensors"))
    path = weights.install_file(entry, safetensors, consent=agree)
    assert path.name == "net.safetensors"  # another format than the publisher's stays what it is
    assert weights.installed(entry) == path
    assert weights.status(entry).checked == "fit"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="damaged"):
        weights.installed(entry)
    wrong = given.with_name("wrong.pth")
    wrong.write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match=r"wrong\.pth: the tensors are not those of test-net"):
        weights.install_file(entry, wrong, consent=agree)


def test_a_second_file_in_another_format_replaces_the_first(weights: WeightsFolder, given: Path) -> None:
    entry = offline_entry(hash="")
    weights.install_file(entry, given, consent=agree)
    other = given.rename(given.with_suffix(".safetensors"))
    weights.install_file(entry, other, consent=agree)
    assert weights.installed(entry).name == "net.safetensors"
    assert not (weights.folder / "test-net" / "net.pth").exists()


def test_where_nothing_can_be_checked_that_is_said(tmp_path: Path, given: Path) -> None:
    def no_torch(entry: CatalogEntry, file: Path) -> None:
        raise MissingPackageError("torch", "the encoder")

    weights = WeightsFolder(tmp_path / "weights", fit=no_torch)
    given.write_bytes(b"hello, or a web page of some proxy")
    with pytest.raises(WeightsError, match=r"from a friend\.pth: holds no weights"):
        weights.install_file(offline_entry(hash=""), given, consent=agree)
    for start in (b"PK\x03\x04", b"\x80\x02", (1000).to_bytes(8, "little") + b'{"a": 1}'):  # zip, pickle, safetensors
        given.write_bytes(start + b"tensors")
        weights.install_file(offline_entry(hash=""), given, consent=agree)
        assert weights.status(offline_entry(hash="")).checked == "nothing"


def test_a_download_without_a_hash_whose_tensors_do_not_fit_is_removed(
    server: WeightsServer, weights: WeightsFolder
) -> None:
    entry = server.entry(content=b"no tensors", hash="")
    with pytest.raises(WeightsError, match="tensors are not those of test-net"):
        weights.install(entry, consent=agree)
    assert weights.status(entry).state == "absent"
    right = server.entry("/right.pth", hash="")
    weights.install(right, consent=agree)
    assert weights.status(right).checked == "fit"


class Harmful:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self):
        return (open, (str(self.mark), "w"))


def test_a_pickle_with_code_in_it_is_refused_by_name_and_does_not_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    mark, harmful = tmp_path / "it ran", tmp_path / "net.pth"
    harmful.write_bytes(pickle.dumps({"state_dict": Harmful(mark)}, protocol=2))
    weights = installing_folder(tmp_path / "weights")
    entry = next(one for one in catalog.CATALOG.values() if not one.source.hash and not one.needs)
    with pytest.raises(WeightsError, match=r"net\.pth: .*tensors") as raised:
        weights.install_file(entry, harmful, consent=agree)
    assert str(harmful) in str(raised.value)
    assert weights.status(entry).state == "absent"
    with pytest.raises(WeightsError, match=r"net\.pth: .*tensors"):
        create_encoder(entry.name, weights=harmful, device="cpu")
    assert not mark.exists()
    pickle.loads(harmful.read_bytes())["state_dict"].close()  # it is harmful
    assert mark.exists()


@pytest.mark.parametrize("kept", [0, 1, 20, 60, 200, -900, -700, -40, -1])
@pytest.mark.parametrize("as_zip", [True, False])
def test_a_file_of_tensors_that_is_cut_off_anywhere_is_refused_by_name(tmp_path: Path, kept: int, as_zip: bool) -> None:
    torch = pytest.importorskip("torch")
    file = tmp_path / "net.pth"
    torch.save({"a": torch.ones(300), "b": torch.zeros(9)}, file, _use_new_zipfile_serialization=as_zip)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"net\.pth: cannot be read as a file of tensors only"):
        read_tensors(file)


@pytest.mark.parametrize(
    "content", [b"a", b"0", b"K", b"]", b"(", b"version https://git-lfs.github.com/spec/v1\n", b"<html>"]
)
def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("torch")
    file = tmp_path / "net.pth"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"net\.pth: cannot be read as a file of tensors only"):
        read_tensors(file)


def test_tensors_without_names_are_refused_by_name(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for content in ({0: torch.ones(3)}, [torch.ones(3)], {}, {"a": 1}):
        torch.save(content, tmp_path / "net.pth")
        with pytest.raises(WeightsError, match=r"net\.pth: holds no state dict"):
            read_tensors(tmp_path / "net.pth")


def test_tensors_of_the_network_fit_and_those_of_another_do_not(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    nets = pytest.importorskip("monai.networks.nets")
    made = []

    def fit(entry: CatalogEntry, file: Path) -> None:
        made.append(create_encoder("monai:resnet10", weights=file, device="cpu"))

    weights = WeightsFolder(tmp_path / "weights", fit=fit)
    entry = offline_entry(hash="")
    options = {"spatial_dims": 2, "n_input_channels": 3, "conv1_t_stride": 2, "bias_downsample": False}
    right, wrong = tmp_path / "right.pth", tmp_path / "wrong.pth"
    torch.save(nets.resnet10(feed_forward=False, **options).state_dict(), right)
    torch.save({"layer.weight": torch.zeros(3)}, wrong)
    small = '{"input_size": 32, "mean": 0, "std": 1}'
    right.with_suffix(".json").write_text(small)
    with pytest.raises(WeightsError, match=r"wrong\.pth"):
        weights.install_file(entry, wrong, consent=agree)
    path = weights.install_file(entry, right, consent=agree)
    path.with_suffix(".json").write_text(small)
    slices = np.random.default_rng(0).random((2, 3, 32, 32), np.float32)
    installed = create_encoder("monai:resnet10", weights=path, device="cpu")
    np.testing.assert_array_equal(installed.embed(slices), made[-1].embed(slices))


def test_a_real_network_comes_over_the_wire_as_it_was(shared: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    original = shared / "weights" / "mobilenet_v2_imagenet.torchscript.pt"
    digits = "6763d4402a40d0ac612146dfc550d23661c3bb4177f57aa8fd5b22168658e88f"  # as its publisher states it
    spec = '{"name": "mobilenet", "input_size": 224, "value_range": [-1, 1]}'
    with serving() as server:
        entry = server.entry("/v2/mobilenet.pt", original.read_bytes(), hash=f"sha256:{digits}")
        server.redirects["/mobilenet.pt"] = server.url("/v2/mobilenet.pt")
        entry = dataclasses.replace(entry, source=dataclasses.replace(entry.source, url=server.url("/mobilenet.pt")))
        server.cuts = [5_000_000]
        path = WeightsFolder(tmp_path / "weights").install(entry, consent=agree)
        assert server.asked[-1] == ("/v2/mobilenet.pt", "bytes=5000000-")
    path.with_suffix(".json").write_text(spec)
    direct = tmp_path / "direct.json"
    direct.write_text(json.dumps({**json.loads(spec), "file": str(original)}))
    ours = create_encoder("torchscript", weights=path, device="cpu")
    theirs = create_encoder("torchscript", weights=direct, device="cpu")
    assert ours.weights == theirs.weights == digits
    slices = np.random.default_rng(0).random((3, 3, 224, 224), np.float32)
    np.testing.assert_array_equal(ours.embed(slices), theirs.embed(slices))


def test_a_network_of_the_catalog_is_installed_found_by_its_name_and_refused_when_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("monai")
    monkeypatch.setenv("VOLUME_RETRIEVAL_WEIGHTS", str(tmp_path / "weights"))
    original = tmp_path / "original.pth"
    torch.save(resnet50().state_dict(), original)  # with the publisher's names, which are MONAI's
    content = original.read_bytes()
    real = catalog.entry("resnet50-imagenet")
    with serving() as server:
        served = server.entry(content=content, hash=f"sha256-prefix:{hashlib.sha256(content).hexdigest()[:8]}")
        entry = dataclasses.replace(real, source=served.source)
        monkeypatch.setattr(catalog, "CATALOG", {**catalog.CATALOG, entry.name: entry})
        with pytest.raises(WeightsError, match="weights install resnet50-imagenet"):
            create_encoder("resnet50-imagenet")
        assert server.asked == []  # making an encoder never downloads
        server.cuts = [len(content) // 2]
        path = WeightsFolder().install(entry, consent=agree)
        assert server.asked[-1] == ("/net.pth", f"bytes={len(content) // 2}-")
    installed = create_encoder("resnet50-imagenet", device="cpu")
    direct = create_encoder("resnet50-imagenet", weights=original, device="cpu")
    assert installed.weights == direct.weights
    slices = np.random.default_rng(0).random((1, 3, 224, 224), np.float32)
    np.testing.assert_array_equal(installed.embed(slices), direct.embed(slices))
    whole = path.stat()
    with path.open("r+b") as stream:
        stream.seek(len(content) // 2)
        stream.write(b"damaged")
    with pytest.raises(WeightsError, match="is damaged, or not the file of resnet50-imagenet"):
        create_encoder("resnet50-imagenet", device="cpu")
    os.utime(path, ns=(whole.st_atime_ns, whole.st_mtime_ns))  # as on a disk that forgets bits
    with pytest.raises(WeightsError, match="is damaged, or not the file of resnet50-imagenet"):
        create_encoder("resnet50-imagenet", device="cpu")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, given: Path) -> None:
    (tmp_path / "file").write_text("")
    weights = WeightsFolder(tmp_path / "file" / "weights", fit=fits)
    with pytest.raises(WeightsError, match=r"cannot be written.*VOLUME_RETRIEVAL_WEIGHTS") as raised:
        weights.install_file(offline_entry(), given, consent=agree)
    assert str(tmp_path / "file") in str(raised.value)


@pytest.mark.parametrize("call", ["is_file", "stat"])
def test_a_folder_that_cannot_be_read_is_named(
    server: WeightsServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
) -> None:
    pytest.importorskip("torch")
    closed = tmp_path / "closed"
    monkeypatch.setenv("VOLUME_RETRIEVAL_WEIGHTS", str(closed))
    asked = getattr(Path, call)

    def refuse(path: Path, **options: bool) -> object:
        if closed in path.parents:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return asked(path, **options)

    entry = server.entry()
    weights = WeightsFolder()
    weights.install(entry, consent=agree)
    server.asked.clear()
    monkeypatch.setattr(Path, call, refuse)
    said = f"{closed / 'test-net'}: cannot be read (Permission denied)"
    status = weights.status(entry)
    assert status.state == "damaged" and status.problem.startswith(said)
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.install(entry, consent=never_asked)
    with pytest.raises(WeightsError, match="dinov2-vits14: cannot be read"):
        create_encoder("dinov2-vits14")
    choices = {one.name: one for one in available_encoders()}
    assert choices["dinov2-vits14"].to_install == ("dinov2-vits14",)
    (warned,) = (one.getMessage() for one in caplog.records if one.levelname == "WARNING")
    assert warned.startswith(str(closed)) and "cannot be read" in warned


def test_a_copied_folder_works_elsewhere(server: WeightsServer, weights: WeightsFolder, tmp_path: Path) -> None:
    known, unknown = server.entry(), dataclasses.replace(server.entry("/u.pth", hash=""), name="unknown-net")
    for entry in (known, unknown):
        weights.install(entry, consent=agree)
    shutil.copytree(weights.folder, tmp_path / "stick", copy_function=shutil.copy)  # with new times
    elsewhere = WeightsFolder(tmp_path / "stick")
    for entry in (known, unknown):
        assert elsewhere.installed(entry).read_bytes() == CONTENT
        assert elsewhere.status(entry).checked == weights.status(entry).checked


def test_a_name_that_leads_out_of_the_folder_is_refused(weights: WeightsFolder) -> None:
    for entry in (offline_entry(file_name="../x.pth"), dataclasses.replace(offline_entry(), name="..")):
        with pytest.raises(WeightsError, match="cannot be the name"):
            weights.path(entry)


def test_the_folder_is_the_variables_or_the_users_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOLUME_RETRIEVAL_WEIGHTS", "~/weights of mine")
    assert default_weights_folder() == Path.home() / "weights of mine"
    assert WeightsFolder().folder == default_weights_folder()
    platformdirs = pytest.importorskip("platformdirs")
    monkeypatch.delenv("VOLUME_RETRIEVAL_WEIGHTS")
    assert default_weights_folder() == Path(platformdirs.user_data_dir("VolumeRetrieval", False)) / "weights"
    if sys.platform not in ("win32", "darwin"):
        monkeypatch.setenv("XDG_DATA_HOME", "/elsewhere")
        assert default_weights_folder() == Path("/elsewhere/VolumeRetrieval/weights")
        assert Path(platformdirs.user_data_dir("VolumeRetrieval", False)) == Path("/elsewhere/VolumeRetrieval")
