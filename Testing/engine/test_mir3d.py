"""The 3D-MIR benchmark, on made-up volumes and tables in the layout of the two downloads."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from engine.archives import a_scan, write_scan
from evaluation.errors import EvaluationError
from evaluation.mir3d import __main__ as command
from evaluation.mir3d.dataset import TASKS, Cohort, read_benchmark
from evaluation.mir3d.scores import average_precision, chance, score

HEAD = "\ufeffname,organ,max_tumor_size,number_tumors,lesion_group,cancer_flag,CaptionV1\r\n"

#: lesion group and flag by volume; liver_2 looks like liver_1, lung_1 like nothing else.
LABELS = {"liver_1": ("2", "1"), "liver_2": ("2", "1"), "liver_3": ("-1", "0"), "lung_1": ("-1", "0")}
TRAIN, TEST = ("liver_1", "liver_3", "lung_1"), ("liver_2",)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("decathlon")
    scans = {
        "Task03_Liver": {
            "liver_1": a_scan(0, "abdomen"),
            "liver_2": a_scan(0, "abdomen"),
            "liver_3": a_scan(1, "abdomen"),
        },
        "Task06_Lung": {"lung_1": a_scan(0, "head")},
    }
    for task, volumes in scans.items():
        for name, one in volumes.items():
            write_scan(folder / task / "imagesTr" / f"{name}.nii.gz", one)
    (folder / "Task03_Liver" / "imagesTr" / "._liver_1.nii.gz").write_bytes(b"macOS")
    tables = folder / "3D-MIR" / "Data"
    for part in ("Data_Splits", "3DMIR_labels"):
        (tables / part).mkdir(parents=True)
    for organ in TASKS:
        caption = '"several\nlines, and a comma"'
        lines = [f"{name}.nii.gz,{organ},1,1,{group},{flag},{caption}\r\n" for name, (group, flag) in LABELS.items()]
        (tables / "3DMIR_labels" / f"{organ}_labels_and_captions.csv").write_text(HEAD + "".join(lines), "utf-8")
        for split, column, names in (("train", "training", TRAIN), ("test", "testing", TEST)):
            rows = "".join(f"{number},{name}.nii.gz\n" for number, name in enumerate(names))
            (tables / "Data_Splits" / f"{organ}_full_{split}_split.csv").write_text(f",{column}\n{rows}", "utf-8")
    return folder


def test_the_report_has_every_cohort_with_chance_and_the_share_of_its_own_organ(made, tmp_path):
    results = tmp_path / "RESULTS.md"
    arguments = [str(made), "--tables", str(made / "3D-MIR"), "--encoders", "descriptor", "--work", str(tmp_path)]
    assert command.main([*arguments, "--results", str(results)]) == 0
    text = results.read_text()
    liver = text.split("## liver: ")[1].split("\n## ")[0]
    assert liver.startswith("1 queries, 1 of the own organ (100%); 3 volumes")
    # liver_1, the same volume, comes first and alone has the label: one of 3, 5 and 10.
    assert "| all | descriptor | 0.333 / 0.200 / 0.100 / 1.000 | 0.333 / 0.200 / 0.100 / 1.000 |" in liver
    assert "| own organ only | descriptor | 0.333 / 0.200 / 0.100 / 1.000 |" in liver
    assert "## lung: 1 queries, 0 of the own organ (0%)" in text
    assert "own organ only" not in text.split("## lung: ")[1].split("\n## ")[0]


def test_measures_are_those_of_the_benchmark():
    labels = {"q": "1", "a": "1", "b": "0", "c": "1", "d": "0"}
    cohort = Cohort("liver", ("a", "b", "c", "d"), ("q",), {"cancer_flag": labels})
    found = score(cohort, "cancer_flag", {"q": ["b", "a", "d", "c"]})
    assert found.precision == pytest.approx((1 / 3, 2 / 5, 2 / 10))
    assert found.average_precision == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert average_precision(np.zeros(10, bool)) == 0.0
    # Four of four are always returned: two of three at random are 1/2 of three places.
    random = chance(cohort, "cancer_flag", ["q"], cohort.database)
    assert random.precision[0] == pytest.approx(0.5, abs=0.05)
    assert random.precision[1:] == pytest.approx((2 / 5, 2 / 10))


def test_what_is_missing_is_said_by_name(made, tmp_path, capsys):
    assert command.main([str(made), "--tables", str(tmp_path)]) == 1
    assert "expected a clone of github.com/abachaa/3D-MIR" in capsys.readouterr().err
    with pytest.raises(EvaluationError, match=r"4 of 4 images are missing .*there is no Task03_Liver, Task06_Lung"):
        read_benchmark(tmp_path, made / "3D-MIR")
    partial = tmp_path / "partial"
    shutil.copytree(made, partial, copy_function=lambda source, target: Path(target).symlink_to(source))
    (partial / "Task03_Liver" / "imagesTr" / "liver_3.nii.gz").unlink()
    for task in TASKS.values():
        (partial / task / "imagesTr").mkdir(parents=True, exist_ok=True)
    with pytest.raises(EvaluationError, match=r"1 of 4 images are missing \(liver_3\.nii\.gz\); was the download"):
        read_benchmark(partial, partial / "3D-MIR" / "Data")
    split = partial / "3D-MIR" / "Data" / "Data_Splits" / "liver_full_test_split.csv"
    split.unlink()
    split.write_text("name\nliver_2.nii.gz\n")
    with pytest.raises(EvaluationError, match=r"liver_full_test_split\.csv: expected the columns \['testing'\]"):
        read_benchmark(partial, partial / "3D-MIR")
