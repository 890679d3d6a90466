"""The catalog of pretrained encoders: what each entry says, and what happens when one is asked for."""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import fields, replace
from urllib.parse import urlsplit

import pytest
from VolumeRetrievalEngine.encoders.architectures import NETWORKS
from VolumeRetrievalEngine.encoders.catalog import CATALOG, CatalogEntry, License, WeightsSource, entry
from VolumeRetrievalEngine.encoders.choice import available_encoders, create_encoder, encoder_note
from VolumeRetrievalEngine.encoders.encode import recipe_for
from VolumeRetrievalEngine.encoders.pretrained import how_to_install, input_of
from VolumeRetrievalEngine.errors import EncoderError, MissingPackageError, WeightsError
from VolumeRetrievalEngine.recipe import Recipe

ENTRIES = pytest.mark.parametrize("one", CATALOG.values(), ids=lambda one: one.name)

#: Text that may be empty, and numbers that may be 0, because a publisher does not say.
MAY_BE_EMPTY = {"url", "hash", "size_bytes", "revision", "request_url", "hash_recorded_by"}
MAY_BE_EMPTY |= {"dimension", "parity", "note", "packages", "needs"}


def test_the_papers_encoders_and_those_expected_beside_them_are_there():
    assert set(CATALOG) >= {
        *("dino-vitb16", "dinov2-vits14", "dinov2-vitb14", "dreamsim", "swin-radimagenet", "resnet50-radimagenet"),
        *("resnet50-fractaldb", "resnet50-imagenet", "efficientnet-b0-imagenet", "biomedclip", "dinov3-vits16"),
    }


@ENTRIES
def test_every_fact_is_there_but_for_those_that_publishers_do_not_state(one: CatalogEntry):
    for part in (one, one.source, one.license):
        empty = {field.name for field in fields(part) if getattr(part, field.name) in ("", 0, ())}
        assert empty - MAY_BE_EMPTY - {"mean"} == set()
    assert all(std > 0 for std in one.std)
    assert one.license.commercial in (True, False, None)
    assert one.source.url or one.source.request_url


@ENTRIES
def test_names_do_for_recipes_and_folders_and_are_nobody_elses(one: CatalogEntry):
    assert re.fullmatch(r"[a-z0-9-]+", one.name)
    assert Recipe(encoder=one.name, size=one.input_size).folder_name.startswith(one.name)
    assert [choice.name for choice in available_encoders()].count(one.name) == 1
    assert one.network in NETWORKS
    assert set(one.needs) <= set(CATALOG) - {one.name}


@ENTRIES
def test_addresses_are_encrypted_and_end_in_the_files_name(one: CatalogEntry):
    addresses = [one.source.url, one.source.request_url, one.license.url]
    assert all(urlsplit(url).scheme == "https" and urlsplit(url).hostname for url in addresses if url)
    if one.source.url:
        assert one.source.url.endswith(f"/{one.source.file_name}")
    if one.source.hash.startswith("sha256-prefix:"):  # the publisher's way to state it is the file's name
        assert f"-{one.source.hash.partition(':')[2]}." in one.source.file_name


@ENTRIES
def test_what_is_missing_is_said(one: CatalogEntry):
    said = " ".join(one.cautions)
    assert ("Unverified" in said) == (not one.verified)
    assert ("not compared with a reference" in said) == (not one.parity)
    assert one.note in said
    assert ("cannot download" in said and one.source.request_url in said) == (not one.source.url)


def test_an_entry_is_verified_only_by_the_publishers_own_hash():
    known = entry("resnet50-imagenet")
    assert known.verified
    assert known.cautions == (known.note,)
    others = replace(known, source=replace(known.source, hash_recorded_by="somebody"))
    nobody = replace(known, source=replace(known.source, hash=""))
    nowhere = replace(known, source=replace(known.source, url=""))
    assert not any(one.verified for one in (others, nobody, nowhere))
    assert "somebody" in " ".join(others.cautions)
    assert "states no hash" in " ".join(nobody.cautions)


@pytest.mark.parametrize(
    "hash", ["sha256:123", "md5:" + 32 * "g", "sha256-prefix:11AD3FA6", "11ad3fa6", "sha1:" + 40 * "0"]
)
def test_a_hash_of_no_known_form_is_refused(hash):
    with pytest.raises(ValueError, match="no hash of a known form"):
        WeightsSource("https://example.org/a.pth", "a.pth", hash, 0, "", "")


def test_an_unknown_entry_is_refused_with_those_there_are():
    with pytest.raises(EncoderError, match=r"'dinov9'.*dinov2-vits14"):
        entry("dinov9")
    with pytest.raises(EncoderError, match=r"'dinov9'.*dinov2-vits14"):
        create_encoder("dinov9")


@ENTRIES
def test_values_become_what_the_network_was_trained_with(one: CatalogEntry):
    import numpy as np

    given = np.stack([np.full((2, 2), value, np.float32) for value in (0, 0.5, 1)])[None]
    mean, std = (np.float32(values)[:, None, None] for values in (one.mean, one.std))
    assert np.allclose(input_of(one).prepare(given), (given - mean) / std, atol=1e-6)
    assert input_of(one).input_size == one.input_size


# Weights that are not there


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("VOLUME_RETRIEVAL_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_weights_that_are_not_installed_are_asked_for_with_the_command_and_its_terms(no_weights):
    pytest.importorskip("torch")
    with pytest.raises(WeightsError, match=r"weights install dinov2-vits14 \(88\.3 MB, Apache License 2\.0\)"):
        create_encoder("dinov2-vits14")
    assert not no_weights.exists()


def test_weights_that_only_a_person_can_get_are_installed_from_a_file():
    said = how_to_install(entry("resnet50-fractaldb"))
    assert "--file FILE" in said
    assert "drive.google.com" in said
    assert "FractalDB-1000_resnet50_epoch90.pth" in said


def test_a_file_that_is_not_there_is_named_with_what_is_expected(tmp_path, no_weights):
    pytest.importorskip("torch")
    with pytest.raises(WeightsError, match=r"nothing\.pth: no such file; expected resnet50-11ad3fa6\.pth"):
        create_encoder("resnet50-imagenet", weights=tmp_path / "nothing.pth")


def test_choices_say_which_weights_are_to_be_installed(no_weights):
    choices = {choice.name: choice for choice in available_encoders()}
    assert choices["dreamsim"].to_install == ("dino-vitb16", "dreamsim")
    assert choices["descriptor"].to_install == ()
    assert not choices["dinov2-vits14"].needs_weights  # they are installed, not given with each command
    from VolumeRetrievalEngine.encoders.weights.folder import WeightsFolder

    dino = WeightsFolder().path(entry("dino-vitb16"))
    dino.parent.mkdir(parents=True)
    dino.write_bytes(b"weights")
    choices = {choice.name: choice for choice in available_encoders()}
    assert choices["dino-vitb16"].to_install == ()
    assert choices["dreamsim"].to_install == ("dreamsim",)


def test_what_another_entry_needs_is_compared_with_its_hash(tmp_path, no_weights):
    pytest.importorskip("torch")
    archive = tmp_path / "dreamsim_ensemble_checkpoint.zip"
    archive.write_bytes(b"an archive")
    with pytest.raises(WeightsError, match=r"needs the weights of dino-vitb16 too.*weights install dino-vitb16"):
        create_encoder("dreamsim", weights=archive)
    (tmp_path / "dino_vitbase16_pretrain.pth").write_bytes(b"of another network")
    with pytest.raises(WeightsError, match="is not the file of dino-vitb16"):
        create_encoder("dreamsim", weights=archive)


def test_installed_weights_are_found_by_name_and_an_index_does_not_note_where_they_were(tmp_path, no_weights):
    torch = pytest.importorskip("torch")
    pytest.importorskip("monai")
    from VolumeRetrievalEngine.encoders.architectures.resnet import resnet50
    from VolumeRetrievalEngine.encoders.weights.folder import WeightsFolder

    file = tmp_path / "FractalDB-1000_resnet50_epoch90.pth"
    torch.save({**resnet50().state_dict(), "fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}, file)
    folder = WeightsFolder(fit=lambda entry, weights: None)  # what is made below fits
    installed = folder.install_file(entry("resnet50-fractaldb"), file, consent=lambda entry: True)
    encoder = create_encoder("resnet50-fractaldb", device="cpu", batch_size=1)
    assert encoder.name == "resnet50-fractaldb"
    assert encoder.weights == hashlib.sha256(installed.read_bytes()).hexdigest()
    assert encoder_note(encoder) == {"name": "resnet50-fractaldb", "weights": ""}
    recipe = recipe_for(encoder)
    assert (recipe.encoder, recipe.weights, recipe.size) == ("resnet50-fractaldb", encoder.weights, 224)
    given = create_encoder("resnet50-fractaldb", weights=file, device="cpu", batch_size=1)
    assert encoder_note(given)["weights"] == str(file)
    assert recipe_for(given) == recipe


def test_timm_is_asked_for_where_an_entry_needs_it(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    file = tmp_path / "dinov3_vits16_pretrain_lvd1689m-08c60483.pth"
    torch.save({"cls_token": torch.zeros(1, 1, 384)}, file)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingPackageError, match="dinov3-vits16 needs the Python package 'timm'"):
        create_encoder("dinov3-vits16", weights=file)


def test_a_license_says_whether_commercial_use_is_allowed_or_not_known():
    assert License("x", "https://example.org", None).commercial is None
    unclear = {one.name for one in CATALOG.values() if one.license.commercial is None}
    on_request = {"swin-radimagenet", "resnet50-radimagenet", "resnet50-fractaldb"}
    assert unclear == {*on_request, "resnet50-imagenet", "resnet50-imagenet-v1"}  # ImageNet's terms may hold for them
