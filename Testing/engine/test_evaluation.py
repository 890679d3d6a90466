"""The evaluation's own promises: nobody is scored by a network that saw him, and differences are paired."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from evaluation.archive import Order
from evaluation.certainty import WITHIN, CertaintyScore, area_under_curve
from evaluation.database import Database
from evaluation.dataset import Case
from evaluation.differences import difference_rows, localization, paired_difference
from evaluation.errors import EvaluationError
from evaluation.evaluated import Evaluated, cross_validated
from evaluation.folds import Fold, Folds, including, read_folds
from evaluation.halves import HALVES, half_of
from evaluation.localization import LocalizationScore
from evaluation.localization_ratio import hit_localization_ratio, localization_ratio
from evaluation.marks import evaluate_marks
from evaluation.metrics import mean, score_ranking
from evaluation.places import BODY, CONTEXT, PlaceScore
from evaluation.questions import HEAD_AND_NECK
from evaluation.quotes import DOCUMENTS, as_block, blocks_in, section, with_blocks
from evaluation.report import page
from evaluation.results import Extent, Results, evaluate
from evaluation.score_parts import PLAIN, USERS
from evaluation.selection import Choice
from evaluation.tables import pooled
from evaluation.unusualness import WHOLE, StandingScore
from evaluation.whole_volume import evaluate_orders, orders_by_distance
from VolumeRetrievalEngine.searching.options import SearchOptions

PATIENTS = ("anna", "bert", "carl", "dora", "emil", "fred")


def a_case(number: int, patient: str, body_part: str = "HEAD") -> Case:
    return Case(f"case{number}", Path(f"{number}.nii"), "CT", body_part, "", patient)


CASES = [a_case(number, patient) for number, patient in enumerate(PATIENTS)]


class FakeArchive:
    """Returns every volume but the query, those named by `order` first, and remembers who queried."""

    def __init__(self, weights: str, order: tuple[int, ...] = ()):
        self.recipe = SimpleNamespace(weights=weights, encoder="fake", to_json=lambda: f'{{"weights":"{weights}"}}')
        self.every = order or tuple(range(len(CASES)))
        self.queried: list[str] = []

    def listing(self) -> list:
        return [SimpleNamespace(key=n, volume_id=f"id{n}") for n in range(len(CASES))]

    def query(self, record: SimpleNamespace, region: object = None) -> SimpleNamespace:
        self.queried.append(CASES[record.key].patient)
        return SimpleNamespace(key=record.key)

    def order(self, query: SimpleNamespace, options: SearchOptions) -> Order:
        keys = np.array([key for key in self.every if key != query.key])
        return Order(keys, np.linspace(1, 0, len(keys)), len(keys))

    def close(self) -> None:
        pass


def a_database(weights: str = "w", seen: tuple[str, ...] = (), order: tuple[int, ...] = ()) -> Database:
    return Database(FakeArchive(weights, order), dict(enumerate(CASES)), frozenset(seen))


def a_folder_of_folds(folder: Path, folds: dict[str, int], seen: dict[int, list[str]]) -> Path:
    folder.mkdir()
    (folder / "folds.json").write_text(json.dumps({"folds": folds}))
    for number, patients in seen.items():
        (folder / f"fold-{number}.safetensors").write_bytes(b"weights %d" % number)
        (folder / f"fold-{number}.json").write_text(json.dumps({"trained_patients": patients}))
    return folder


# Folds


def test_a_patient_who_belongs_to_no_fold_is_named(tmp_path):
    folder = a_folder_of_folds(tmp_path / "folds", {"anna": 0}, {0: ["bert"]})
    with pytest.raises(EvaluationError, match="no fold: bert"):
        read_folds(folder, {"anna", "bert"})


def test_a_fold_that_was_trained_on_its_held_out_patient_is_refused(tmp_path):
    folder = a_folder_of_folds(tmp_path / "folds", {"anna": 0, "bert": 1}, {0: ["bert"], 1: ["anna", "bert"]})
    with pytest.raises(EvaluationError, match=r"fold-1\.safetensors.*: bert"):
        read_folds(folder, {"anna", "bert"})


def test_folds_without_weights_or_without_the_list_of_their_patients_are_refused(tmp_path):
    folder = a_folder_of_folds(tmp_path / "folds", {"anna": 0, "bert": 1}, {0: ["bert"]})
    with pytest.raises(EvaluationError, match=r"fold-1\.safetensors: no such file"):
        read_folds(folder, {"anna", "bert"})
    (folder / "fold-0.json").write_text(json.dumps({"layers": [1]}))
    with pytest.raises(EvaluationError, match=r"fold-0\.json: expected JSON with 'trained_patients'"):
        read_folds(folder, {"anna"})
    (folder / "fold-0.json").unlink()
    with pytest.raises(EvaluationError, match=r"fold-0\.json: cannot be read"):
        read_folds(folder, {"anna"})


def test_a_description_of_other_weights_is_refused(tmp_path):
    folder = a_folder_of_folds(tmp_path / "folds", {"anna": 0}, {0: ["bert"]})
    described = {
        "trained_patients": ["bert"],
        "sha256": {"fold-0.safetensors": hashlib.sha256(b"weights 0").hexdigest()},
    }
    (folder / "fold-0.json").write_text(json.dumps(described))
    assert read_folds(folder, {"anna"}).networks[0].trained_patients == {"bert"}
    (folder / "fold-0.safetensors").write_bytes(b"weights of another training")
    with pytest.raises(EvaluationError, match="describes other weights"):
        read_folds(folder, {"anna"})


def test_a_network_is_never_searched_with_a_patient_that_it_saw():
    database = a_database(seen=("anna",))
    with pytest.raises(EvaluationError, match=r"case0.*trained on its patient anna"):
        database.query(CASES[0])
    assert database.archive.queried == []
    database.query(CASES[1])
    assert database.archive.queried == ["bert"]


def test_each_patient_queries_the_network_of_his_own_fold_alone():
    fold_of = {patient: number % 3 for number, patient in enumerate(PATIENTS)}
    networks = {
        number: Fold(Path(f"fold-{number}"), frozenset(name for name in PATIENTS if fold_of[name] != number))
        for number in range(3)
    }
    # The first fold's network ranks everybody backwards.
    orders = {"fold-0": (5, 4, 3, 2, 1, 0)}
    evaluated = cross_validated(
        "three",
        Folds(fold_of, networks),
        lambda fold: a_database(str(fold.weights), tuple(fold.trained_patients), orders.get(str(fold.weights), ())),
    )
    results = evaluate(evaluated, CASES, Extent(("two-stage",), (), controls=False, trunk=False, scores=False))
    for number, database in evaluated.databases.items():
        assert sorted(database.archive.queried) == [name for name in PATIENTS if fold_of[name] == number]
    scores = results.whole_volume["body_part"]["two-stage"]["CT", "HEAD"]
    assert [score.patient for score in scores] == list(PATIENTS)
    assert not results.in_sample


def test_a_patient_of_no_fold_queries_a_network_that_never_saw_him():
    networks = {0: Fold(Path("0"), frozenset({"gina"})), 1: Fold(Path("1"), frozenset())}
    more = including(Folds({"anna": 0}, networks), {"anna", "gina", "hugo"})
    assert more.of_patient == {"anna": 0, "gina": 1, "hugo": 0}
    networks[1] = Fold(Path("1"), frozenset({"gina"}))
    assert "gina" not in including(Folds({"anna": 0}, networks), {"gina"}).of_patient


def test_two_folds_with_the_same_weights_are_refused():
    networks = {number: Fold(Path(f"fold-{number}"), frozenset()) for number in range(2)}
    with pytest.raises(EvaluationError, match="the same weights as fold 0"):
        cross_validated("two", Folds({"anna": 0, "bert": 1}, networks), lambda fold: a_database("w"))


# Differences


def test_a_difference_is_taken_query_by_query_and_its_interval_over_patients():
    theirs = {f"q{number}": (f"p{number // 2}", value) for number, value in enumerate([0.1, 0.9, 0.4, 0.2])}
    ours = {query: (patient, value + 0.05) for query, (patient, value) in theirs.items()}
    difference = paired_difference(ours, {**theirs, "another": ("p9", 1.0)})
    assert difference.queries == 4
    assert np.allclose([difference.mean, difference.low, difference.high], 0.05)
    assert paired_difference(ours, {"another": ("p9", 1.0)}) is None


def test_the_interval_of_a_difference_takes_queries_of_one_patient_together():
    # One patient of many queries is better and one worse: over queries this is certain, over patients it is not.
    theirs = {f"q{number}": ("a" if number < 20 else "b", 0.0) for number in range(22)}
    ours = {query: (patient, 1.0 if patient == "a" else -1.0) for query, (patient, _) in theirs.items()}
    difference = paired_difference(ours, theirs)
    assert (difference.low, difference.high) == (-1.0, 1.0)


def results_of(name: str, ratio: float, in_sample: bool = False) -> Results:
    organs = [
        LocalizationScore(f"{case.id} Liver", case.patient, 1.0, ratio, 1.0, 10 - 5 * ratio, 0.1, 50.0, 30.0)
        for case in CASES
    ]
    order = np.abs(np.subtract.outer(np.arange(6), np.arange(6))).astype(float)
    table = evaluate_orders(CASES, "body_part", orders_by_distance(CASES, order))
    whole = {attribute: {"two-stage": table} for attribute in ("body_part", "region")}
    return Results(name, in_sample, whole, {"two-stage": {"Liver": organs}}, {"CT finds MR": organs})


def test_in_sample_rows_are_marked_and_are_not_compared():
    reference, better = results_of("plain", 0.5), results_of("better", 0.75)
    seen = results_of("shipped", 1.0, in_sample=True)
    figure = localization("ratio", lambda results: results.organs["two-stage"]["Liver"], "ratio")
    assert difference_rows([reference, better, seen], reference, [figure]) == [["better", "**+0.25 (+0.25 to +0.25)**"]]
    text = page("# Results\n", [reference, better, seen], {}, ["plain", "absent"])
    assert "| shipped (in-sample) |" in text
    assert "## Difference to plain" in text
    assert "absent" not in text
    assert "shipped" not in text.split("## Difference to plain")[1]


def test_the_parts_of_the_score_are_compared_with_the_papers_query_by_query():
    """The default finds all of a group first; the paper's score finds everybody backwards."""
    plain = results_of("plain", 0.5)
    order = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    groups = {("CT", "HEADNECK"): CASES[:3], ("CT", "HEAD"): CASES[3:]}
    tables = {}
    for name, distance in ((PLAIN, -order), (USERS, order)):
        ranked = orders_by_distance(CASES, distance.astype(float))
        tables[name] = {
            group: [
                score_ranking(one.id, one.patient, [other in members for other in ranked[one.id]], len(members) - 1)
                for one in members
            ]
            for group, members in groups.items()
        }
    text = page("", [replace(plain, scores=tables, candidates={"10": tables[PLAIN], "all": tables[USERS]})], {}, [])
    every, harder = (
        [mean(pooled(tables[name], harder), "average_precision") for name in (PLAIN, USERS)] for harder in (False, True)
    )
    assert every[0] < every[1] and harder[0] < harder[1] and every[0] != harder[0]
    parts = text.split("## The score's parts")[1]
    first = parts.split("### Group by group")[0]
    lines = {line.split(" | ")[1]: line.split(" | ") for line in first.splitlines() if line.startswith("| plain | ")}
    for place, score in enumerate((PLAIN, USERS)):
        assert lines[score][2:6:2] == [f"{every[place]:.3f}", f"{harder[place]:.3f}"]
    assert f"| **{harder[1] - harder[0]:+.3f} (" in parts
    assert f"| plain | {harder[0]:.3f} ({every[0]:.3f}) | {harder[1]:.3f} ({every[1]:.3f}) |" in parts


class MarkedArchive(FakeArchive):
    """Puts volumes of the parity of those that fit first, and those of the parity of the others last."""

    def order(self, query: SimpleNamespace, options: SearchOptions) -> Order:
        order = super().order(query, options)
        like, unlike = ({int(one[2:]) % 2 for one in ids} for ids in (options.like, options.unlike))
        place = (order.keys % 2 == min(unlike, default=2)) * 1 - (order.keys % 2 == min(like, default=2)) * 1
        return replace(order, keys=order.keys[np.argsort(place, kind="stable")])


@pytest.fixture
def two_parts() -> Evaluated:
    """Heads and chests in turn; every network ranks by number."""
    cases = [a_case(number, one, ("HEAD", "CHEST")[number % 2]) for number, one in enumerate(PATIENTS)]
    return Evaluated("one", {0: Database(MarkedArchive("w"), dict(enumerate(cases)))})


def test_marks_are_judged_by_what_was_not_looked_at_yet(two_parts):
    cases = list(two_parts.databases[0].cases.values())
    scores = {one.query: one for one in evaluate_marks(two_parts, cases, 1)}
    # Case 0 is shown 1, which does not fit; of 2, 3, 4, 5 then 2 and 4 do.
    assert scores["case0"].before == pytest.approx((1 + 2 / 3) / 2) and scores["case0"].after == 1.0
    # Case 2 is shown 0, which fits: 4 is left to find, in 1, 3, 4, 5.
    assert scores["case2"].before == pytest.approx(1 / 3) and scores["case2"].after == 1.0
    assert len(evaluate_marks(two_parts, cases, 5)) == 0
    text = page("", [replace(results_of("plain", 0.5), marks={1: list(scores.values())})], {}, [])
    assert "| plain | 1 | without head and neck | 6 |" in text.split("## Marks")[1]


def test_likeness_is_told_with_halves_and_words():
    scores = [
        StandingScore(one.id, one.patient, ("CT", "HEAD"), 0.5 if number else 0.1, 0.2 if number == 5 else 0.0)
        for number, one in enumerate(CASES)
    ]
    text = page("", [replace(results_of("plain", 0.5), likeness={WHOLE: scores})], {}, [])
    line = text.split("## Is there anything like it?")[1].split("| plain | whole volume |")[1].splitlines()[0]
    assert line.startswith(" 6 | 0.97 |")
    assert "close match 0.83, some likeness 0.00, nothing like it 0.17 |" in line
    assert "close match 0.00, some likeness 0.17, nothing like it 0.83 |" in line


def test_a_patient_is_in_the_same_half_in_every_run():
    halves = [half_of(patient) for patient in PATIENTS]
    assert set(halves) == set(HALVES) and halves == [half_of(patient) for patient in PATIENTS]
    assert half_of("anna") == "half B"


def test_every_table_has_a_row_for_each_encoder():
    several = [results_of("plain", 0.5), results_of("better", 0.75)]
    tables = page("", several, {}, []).split("## Reading")[0].split("\n\n| ")[1:]
    assert len(tables) == 5
    for table in tables:
        assert "\n| plain |" in table
        assert "\n| better |" in table


def test_places_are_told_by_way_and_by_organ_with_how_many_of_the_certain_are_near():
    nan = float("nan")
    shown = [
        PlaceScore(HEAD_AND_NECK, f"{one.id} Liver", one.patient, "Liver", 5.0 + number, 0.7, 6, 7, 9.0, number < 4)
        for number, one in enumerate(CASES)
    ]
    shown[3] = replace(shown[3], middle_mm=30.0)
    shown[5] = replace(shown[5], organ="Heart")
    body = [replace(one, middle_mm=nan, overlap=nan, first_mm=nan, last_mm=nan, center_mm=80.0) for one in shown]
    ways = {CONTEXT: shown, BODY: [replace(one, certain=False) for one in body]}
    certainty = {
        WITHIN: [CertaintyScore(one.patient, 0.3, True, 5.0 + 10 * number) for number, one in enumerate(CASES)]
        + [CertaintyScore(one.patient, 0.1 if number else 0.4, not number, nan) for number, one in enumerate(CASES)]
    }
    several = replace(results_of("plain", 0.5), places={HEAD_AND_NECK: ways}, certainty=certainty)
    text = page("", [several], {}, []).split("## Where it lies")[1]
    assert "| plain | path with context | 6 | 11.2 (8.0) |" in text and "| 0.67 | 0.75 |" in text
    assert "| plain | control: body's center | 6 |  |  |  |  |  |  | 80.0 (80.0) |" in text
    assert "| plain | path with context | 10.0 (10.0) / 9.0 (9.0) | 11.4 (7.0) / 9.0 (9.0) |" in text
    assert "| plain | within the whole volume | all | 0.83 | 1.00 | 0.33 |" in text


def test_area_under_curve_is_the_share_of_pairs_in_the_right_order():
    assert area_under_curve([3, 1], [2, 0]) == 0.75
    assert area_under_curve([1], [1]) == 0.5
    assert np.isnan(area_under_curve([], [1]))


def test_blocks_of_a_document_are_written_anew_and_nothing_else():
    text = f"before\n{as_block('one', '| 1 |')}\nbetween\n{as_block('two', '')}\nafter\n"
    blocks = {"one": "| 3 |", "two": "| 4 |", "three": ""}
    after = with_blocks(text, blocks, "README.md")
    assert after == f"before\n{as_block('one', '| 3 |')}\nbetween\n{as_block('two', '| 4 |')}\nafter\n"
    assert blocks_in(section(blocks)) == blocks
    with pytest.raises(EvaluationError, match=r"README\.md: has a block 'one'"):
        with_blocks(text, {"two": ""}, "README.md")


def test_documents_quote_only_what_the_results_print():
    printed = blocks_in((DOCUMENTS[0].parent / "Testing" / "RESULTS.md").read_text(encoding="utf-8"))
    for file in DOCUMENTS:
        for name, text in blocks_in(file.read_text(encoding="utf-8")).items():
            assert text == printed[name], f"{file.name}: {name}"


def test_a_row_can_be_asked_for_with_other_weights(tmp_path):
    assert Choice.parse("descriptor") == Choice("descriptor")
    assert Choice.parse(f"folds={tmp_path}") == Choice("folds", tmp_path.resolve())


def test_one_network_answers_all_of_its_queries():
    database = a_database()
    evaluate(
        Evaluated("one", {0: database}), CASES, Extent(("two-stage",), (), controls=False, trunk=False, scores=False)
    )
    assert database.archive.queried == list(PATIENTS)


def test_localization_ratio_counts_the_slices_that_contribute_most():
    matrix = np.zeros((4, 12), np.float32)
    matrix[np.arange(4), [2, 2, 3, 9]] = [0.9, 0.9, 0.8, 0.7]
    assert localization_ratio(matrix, [2, 3], length=2) == 1.0
    assert localization_ratio(matrix, [2, 9], length=2) == 0.5
    assert localization_ratio(matrix, [0, 1], length=2) == 0.0
    assert localization_ratio(matrix, [2, 3]) == pytest.approx(2 / 3)  # three contribute, fewer than 15
    assert localization_ratio(matrix, np.array([], np.int64)) == 0.0


def test_localization_ratio_of_hits_goes_by_how_often_a_slice_was_hit_then_by_similarity():
    rows, similarity = [5, 5, 7, 8, 8, 1], [0.1, 0.2, 0.99, 0.6, 0.7, 0.5]
    assert hit_localization_ratio(rows, similarity, [8], length=1) == 1.0
    assert hit_localization_ratio(rows, similarity, [8, 5], length=2) == 1.0
    assert hit_localization_ratio(rows, similarity, [8, 5, 7], length=3) == 1.0
    assert hit_localization_ratio(rows, similarity, [1], length=3) == 0.0
    assert hit_localization_ratio(rows, similarity, [1]) == 0.25
    with pytest.raises(ValueError, match="at least one"):
        hit_localization_ratio([], [], [1])
