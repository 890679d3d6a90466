"""The evaluation of places, on phantoms whose organs are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from engine.archives import a_scan, write_image, write_scan
from evaluation.certainty import ALONE, WITHIN, evaluate_certainty
from evaluation.database import Database, build_database
from evaluation.dataset import Case, Mask, read_cases
from evaluation.evaluated import Evaluated
from evaluation.places import BODY, CONTEXT, HEIGHT, MAPPED, MIDDLE, PATH, REFINED, WAYS, evaluate_places
from evaluation.questions import HEAD_AND_NECK, LESIONS, Question, head_and_neck_organs, lesions, organs_of_the_trunk
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.options import SearchOptions

#: The heart is an organ that every patient has, the liver a lesion that only the first has, in both of his volumes.
ORGAN, LESION = "heart", "liver"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Trunks of two patients and an abdomen of the first, with masks and a manifest, indexed below `store`."""
    folder = tmp_path_factory.mktemp("places")
    rows = ["id,path,modality,body_part,region,patient,labels"]
    for name, seed, view, masks in (
        ("one", 0, "chest-abdomen", {"Heart": ORGAN, "GTV": LESION}),
        ("two", 1, "chest-abdomen", {"Heart": ORGAN}),
        ("again", 0, "abdomen", {"GTV": LESION}),
    ):
        scan = a_scan(seed, view)
        write_scan(folder / f"{name}.nii.gz", scan)
        for label, organ in masks.items():
            path = folder / "labels" / name / f"{label}.nii.gz"
            write_image(path, scan.masks[organ].astype(np.uint8), scan.affine)
        labels = ";".join(f"labels/{name}/{label}.nii.gz" for label in masks)
        rows.append(f"{name},{name}.nii.gz,CT,HEADNECK,trunk (phantom),patient {seed},{labels}")
    (folder / "manifest.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def cases(folder: Path) -> list[Case]:
    return read_cases(folder)


@pytest.fixture(scope="module")
def evaluated(folder: Path, cases: list[Case]) -> Evaluated:
    return Evaluated("descriptor", {0: build_database(cases, folder / "store", "descriptor")})


@pytest.fixture
def database(evaluated: Evaluated) -> Database:
    return evaluated.databases[0]


def test_the_evaluation_ranks_and_places_as_a_search_does(folder, database, cases):
    query = database.query(cases[0], "Heart")
    with Retriever.open(folder / "store") as retriever:
        record = database.records["one"]
        result = retriever.search(record.volume_id, region=cases[0].masks["Heart"].region(), options=SearchOptions())
    order = database.order(query)
    assert order.keys.tolist() == [match.key for match in result.matches]
    assert np.allclose(order.scores, [match.score for match in result.matches])
    for match in result.matches:
        ours = database.match(query, database.cases[match.key])
        assert (ours.place, ours.box, ours.ranges) == (match.place, match.box, match.ranges)


def test_so_many_candidates_are_compared_and_the_others_stay_behind_them(database, cases):
    query = database.query(cases[0])
    every = database.archive.order_of_candidates(query, 9)
    assert every.compared == 2 and (np.diff(every.scores) <= 0).all()
    one = database.archive.order_of_candidates(query, 1)
    assert one.compared == 1 and sorted(one.keys) == sorted(every.keys)
    assert one.scores[0] == every.scores[every.keys == one.keys[0]]


def test_an_organ_is_judged_in_another_patient_by_every_way(evaluated, cases):
    questions = list(head_and_neck_organs(evaluated, cases, "two-stage"))
    assert [(one.case.id, one.other.id, one.organ) for one in questions] == [
        ("one", "two", "Heart"),
        ("two", "one", "Heart"),
    ]
    scores = evaluate_places(questions, refined=1)
    assert list(scores) == list(WAYS)
    assert {way for way, several in scores.items() if len(several) == 1} == {MAPPED, REFINED}
    assert scores[MAPPED][0] in scores[CONTEXT]
    for shown, middle in zip(scores[CONTEXT], scores[MIDDLE], strict=True):
        assert shown.middle_mm < 15 and shown.overlap > 0.6 and shown.center_mm < 25
        assert shown.middle_mm < middle.middle_mm
        assert shown.certain and shown.certainty > 0.15
        # A range that is as long as the organ lies off by as much at both ends as in its middle.
        assert abs(shown.first_mm - shown.last_mm) <= 2 * shown.middle_mm + 1e-6
    assert np.isnan(scores[BODY][0].middle_mm) and scores[BODY][0].center_mm > scores[CONTEXT][0].center_mm


def test_in_the_volume_itself_nothing_is_off_and_the_controls_are_by_what_the_mask_says(database, cases):
    one = cases[0]
    question = Question(HEAD_AND_NECK, database, database.query(one, "Heart"), one, one, "Heart")
    scores = {way: several[0] for way, several in evaluate_places([question]).items()}
    for way in (CONTEXT, PATH, HEIGHT):
        assert scores[way].middle_mm < 1 and scores[way].overlap > 0.95 and scores[way].center_mm < 2
    heights = np.flatnonzero(a_scan(0, "chest-abdomen").masks["heart"].any(axis=(1, 2))) * 6.0
    positions = database.slices_of(one).position
    off = abs((heights[0] + heights[-1]) / 2 - np.ptp(positions) / 2)
    assert scores[MIDDLE].middle_mm == pytest.approx(off, abs=3.1)


def test_a_lesion_is_judged_in_the_same_patient_alone(evaluated, cases):
    asked = [(one.kind, one.case.id, one.other.id, one.organ) for one in lesions(evaluated, cases)]
    assert asked == [(LESIONS, "one", "again", "GTV"), (LESIONS, "again", "one", "GTV")]


def test_an_organ_of_the_trunk_is_asked_for_where_both_volumes_hold_all_of_it(evaluated, cases):
    asked = {(one.case.id, one.other.id, one.organ) for one in organs_of_the_trunk(evaluated, cases)}
    assert asked == {("one", "two", "Heart"), ("two", "one", "Heart")}


def test_certainty_is_read_with_and_without_the_rest_of_the_volume(evaluated, cases):
    scores = evaluate_certainty(list(head_and_neck_organs(evaluated, cases, "two-stage")))
    assert list(scores) == [WITHIN, ALONE]
    assert all(len(several) == 2 and not one.is_control for several in scores.values() for one in several)


def test_a_map_of_labels_has_a_mask_for_each_organ_that_others_have(tmp_path):
    (tmp_path / "manifest.csv").write_text(
        "id,path,modality,body_part,region,patient,labels\na,a.nii.gz,CT,ABDOMEN,,p,a/example_seg_mr.nii.gz\n"
    )
    masks = read_cases(tmp_path)[0].masks
    assert masks["Spleen"] == Mask(tmp_path / "a" / "example_seg_mr.nii.gz", 1)
    assert masks["LeftAdrenal"].label == 9
