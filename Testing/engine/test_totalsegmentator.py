"""Paper A's experiments, on a made-up data set in the public one's layout, with answers worked out by hand.

The query's CT is that of one database subject with a little noise, so that every slice finds its like. What is right
then follows from the masks alone.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from engine.archives import a_scan, write_image
from evaluation.errors import EvaluationError
from evaluation.totalsegmentator import __main__ as command
from evaluation.totalsegmentator.archive import build_archive
from evaluation.totalsegmentator.dataset import read_dataset
from evaluation.totalsegmentator.presence import PresenceCache
from evaluation.totalsegmentator.structures import classes_of, structures_of
from VolumeRetrievalEngine.encoders.request import EncoderRequest

#: Slices (first, last) by structure and subject. s0000 and s0001 are the database; s0002 looks like s0000.
MASKS = {
    "s0000": {"liver": (4, 9), "gluteus_maximus_left": (2, 3)},
    "s0001": {"heart": (0, 5), "liver": (20, 21)},
    "s0002": {"liver": (4, 9), "heart": (6, 11), "gluteus_medius_right": (2, 5)},
}
META = "\ufeffimage_id;age;gender;institute;study_type;split\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("public") / "Totalsegmentator_dataset_v201"
    scans = {"s0000": a_scan(0, "chest"), "s0001": a_scan(0, "head"), "s0002": a_scan(0, "chest")}
    noise = np.random.default_rng(0)
    for subject, one in scans.items():
        voxels = one.voxels.astype(np.int16)
        if subject == "s0002":
            voxels = voxels + noise.integers(-2, 3, voxels.shape, dtype=np.int16)
        write_image(folder / subject / "ct.nii.gz", voxels, one.affine)
        masks = folder / subject / "segmentations"
        empty = write_image(masks / "spleen.nii.gz", np.zeros(voxels.shape, np.uint8), one.affine)
        for name in structures_of("v2") - {"spleen", *MASKS[subject]}:
            shutil.copyfile(empty, masks / f"{name}.nii.gz")
        for name, (first, last) in MASKS[subject].items():
            mask = np.zeros(voxels.shape, np.uint8)
            mask[first : last + 1, 5:9, 5:9] = 1
            write_image(masks / f"{name}.nii.gz", mask, one.affine)
    (folder / "meta.csv").write_text(f"{META}s0000;1;m;A;ct;train\ns0001;1;m;A;ct;train\ns0002;1;f;A;ct;test\n")
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def report(made, work) -> str:
    arguments = [str(made), "--encoders", "descriptor", "--jobs", "1", "--work", str(work)]
    results = work / "RESULTS.md"
    assert command.main([*arguments, "--results", str(results)]) == 0
    answers = list(work.glob("v2/answers/*/s0002.json"))
    assert len(answers) == 1
    # A second run reads what the first one found; whatever stands in the file counts.
    answers[0].write_text(answers[0].read_text().replace('"found": 1.0', '"found": 0.5'))
    assert command.main([*arguments, "--results", str(work / "again.md")]) == 0
    assert (work / "again.md").read_text() != results.read_text()
    return results.read_text()


def cells(report: str, section: str, row: str) -> dict[str, str]:
    """One row of the table of a section, by column."""
    lines = report.split(f"## {section}\n")[1].split("\n## ")[0].strip().splitlines()
    head, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return dict(zip(head, next(one for one in rows if one[0] == row), strict=True))


def test_each_mode_counts_what_the_masks_say(report):
    liver = cells(report, "descriptor: every structure", "liver")
    heart = cells(report, "descriptor: every structure", "heart")
    assert liver["slice-wise recall"] == "1.000"
    assert heart["slice-wise recall"] == "0.000"  # every slice finds its like in s0000, which has no heart
    for ranking in ("count", "re-ranked"):
        assert liver[f"volume-based recall, {ranking}"] == "1.000"
        assert liver[f"region-based recall, {ranking}"] == "1.000"
        assert liver[f"localized recall, {ranking}"] == "1.000"
        assert liver[f"localization-ratio (L = 15), {ranking}"] == "1.000"
        assert heart[f"region-based recall, {ranking}"] == "0.000"
        assert heart[f"localized recall, {ranking}"] == "0.000"
    assert float(liver["distance of the middles, mm, re-ranked"]) == 0.0
    assert float(liver["overlap of the extents (IoU), re-ranked"]) == 1.0
    assert heart["overlap of the extents (IoU), re-ranked"] == ""  # there is no extent to compare with


def test_coarse_classes_join_what_belongs_together(report):
    # The query shows the right gluteus medius in slices 2 to 5, s0000 the left gluteus maximus in 2 and 3.
    medius = cells(report, "descriptor: every structure", "gluteus_medius_right")
    gluteus = cells(report, "descriptor: coarse classes", "gluteus")
    assert (medius["slice-wise recall"], gluteus["slice-wise recall"]) == ("0.000", "0.500")
    assert (medius["region-based recall, re-ranked"], gluteus["region-based recall, re-ranked"]) == ("0.000", "1.000")
    assert gluteus["localization-ratio (L = 15), count"] == "0.500"
    assert float(gluteus["overlap of the extents (IoU), re-ranked"]) == 0.5


def test_means_and_deviations_are_taken_over_classes_beside_the_papers_figures(report):
    volume = cells(report, "Mean and standard deviation over every structure", "volume-based recall, re-ranked")
    assert volume["descriptor"] == "0.333 +- 0.471 (3)"
    assert volume["paper A, its best encoder"] == ".924"
    slices = cells(report, "Mean and standard deviation over coarse classes", "slice-wise recall")
    assert slices["descriptor"] == "0.500 +- 0.408 (3)"


def test_subjects_of_an_earlier_run_are_not_found(made, work, report):
    dataset = read_dataset(made)
    few = replace(dataset, subjects={name: one for name, one in dataset.subjects.items() if name != "s0000"})
    archive = build_archive(
        few, work / "v2" / "index", EncoderRequest("descriptor"), PresenceCache(work / "v2" / "masks")
    )
    with archive.retriever:
        assert archive.search(few.subjects["s0002"])[1] == "s0001"


def test_the_tables_of_structures_are_complete():
    assert (len(structures_of("v1")), len(structures_of("v2"))) == (104, 117)
    coarse = {classes_of(name).get("coarse") for name in structures_of("v1")} - {None}
    assert len(coarse) == 29  # as many as in paper A


# What users get wrong


def changed(made: Path, folder: Path) -> Path:
    """The data set with links in place of its files, to take something away from."""
    shutil.copytree(made, folder, copy_function=lambda source, target: Path(target).symlink_to(source))
    return folder


def test_a_folder_that_is_not_the_data_set_says_what_was_expected(made, tmp_path, capsys):
    with pytest.raises(EvaluationError, match=r"no meta\.csv; expected.*Totalsegmentator_dataset_v201 looks like it"):
        read_dataset(made.parent)
    with pytest.raises(EvaluationError, match="odd letters in its path; rename"):
        read_dataset(tmp_path / "two\nlines")
    (tmp_path / "s0000").mkdir()
    (tmp_path / "s0000" / "mri.nii.gz").touch()
    assert command.main([str(tmp_path)]) == 1
    assert "this is the MR data set" in capsys.readouterr().err


def test_subjects_of_an_interrupted_download_are_left_out_by_name(made, tmp_path):
    folder = changed(made, tmp_path / "partial")
    (folder / "s0001" / "segmentations" / "liver.nii.gz").unlink()
    dataset = read_dataset(folder)
    assert dataset.left_out == {"s0001": "1 of 117 masks are missing (liver)"}
    (folder / "s0002" / "ct.nii.gz").unlink()
    with pytest.raises(EvaluationError, match=r"no complete subject of the test split.*no ct\.nii\.gz.*interrupted"):
        read_dataset(folder)


def test_two_versions_in_one_folder_are_refused(made, tmp_path):
    folder = changed(made, tmp_path / "mixed")
    masks = folder / "s0001" / "segmentations"
    for name in structures_of("v2") - structures_of("v1"):
        (masks / f"{name}.nii.gz").unlink()
    (masks / "face.nii.gz").symlink_to(masks / "liver.nii.gz")
    with pytest.raises(EvaluationError, match="1 subjects of v1, 2 subjects of v2: unpack the two versions"):
        read_dataset(folder)


def test_a_mask_that_breaks_off_leaves_its_subject_out(made, tmp_path, capsys):
    folder = changed(made, tmp_path / "broken")
    mask = folder / "s0001" / "segmentations" / "liver.nii.gz"
    content = mask.read_bytes()
    mask.unlink()
    mask.write_bytes(content[:60])
    arguments = [str(folder), "--encoders", "descriptor", "--jobs", "1", "--work", str(tmp_path / "work")]
    assert command.main([*arguments, "--results", str(tmp_path / "results.md")]) == 0
    assert "s0001: left out" in capsys.readouterr().err
    assert "liver.nii.gz" in (tmp_path / "results.md").read_text().split("Left out")[1].split("##")[0]


def test_a_first_look_takes_a_few_subjects_of_both_splits(made):
    few = read_dataset(made).first(2)
    assert [(one.id, one.role) for one in few.subjects.values()] == [("s0000", "DATABASE"), ("s0002", "QUERY")]
