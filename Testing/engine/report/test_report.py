"""The report: one file that needs nothing else, shows what was found, and gives away no more than it should."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from VolumeRetrievalEngine.errors import UnknownVolumeError, UnreadableFileError, VolumeRetrievalError
from VolumeRetrievalEngine.method.correspondence import Correspondence, correspondence
from VolumeRetrievalEngine.method.localization import matched_ranges
from VolumeRetrievalEngine.method.place import Place, best_pair, certainty, matched_place
from VolumeRetrievalEngine.query.oriented_box import OrientedBox
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.report.color_map import color_range
from VolumeRetrievalEngine.report.pictures import matrix_png, pictures_of_volumes, slice_picture
from VolumeRetrievalEngine.report.report import report_html, write_report
from VolumeRetrievalEngine.searching.match import Match, SearchResult
from VolumeRetrievalEngine.volume import Attributes, SliceTable, SourceFiles, Volume

WHEN = datetime(2026, 3, 1, 9, 30)


def a_jpeg(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8), level, np.uint8)).save(buffer, format="JPEG")
    return buffer.getvalue()


def placed(similarity: np.ndarray, query: SliceTable, table: SliceTable) -> tuple[Place, Correspondence]:
    found = correspondence(similarity, query.position, table.position)
    sure = certainty(similarity, query.position, table.position, found.flipped)
    return matched_place(similarity, found, query, table, sure), found


def a_match(rank: int, query: SliceTable, n_slices: int = 40, shift: int = 12, **values) -> Match:
    table = SliceTable.regular(np.diag([1.0, 1.0, 3.0, 1.0]), n_slices)
    rows, columns = np.indices((len(query), n_slices))
    similarity = (0.3 + 0.6 * np.exp(-np.abs(rows + shift - columns) / 3.0)).astype(np.float32)
    place, found = placed(similarity, query, table)
    place = replace(place, certainty=0.3)  # 27 mm of a query hardly stand out from blocks of 30
    row, column = best_pair(similarity, found, place)
    match = Match(
        rank=rank,
        volume_id=f"{rank:032x}",
        key=rank + 100,
        score=0.95 - 0.01 * rank,
        first_stage=0.5,
        files=SourceFiles("archive", (f"study {rank}/series/1.dcm", f"study {rank}/series/2.dcm")),
        series_uid="",
        attributes=Attributes(modality="CT", body_part="CHEST"),
        plane="axial",
        n_slices=n_slices,
        n_rows=n_slices,
        path=f"/home/somebody/archive/study {rank}/series",
        place=place,
        ranges=matched_ranges(similarity, query, table),
        best_query_slice=int(query.index[row]),
        best_slice=int(table.index[column]),
        best_query_row=row,
        best_row=column,
        correspondence=found,
        similarity=similarity,
        slice_index=table.index,
        positions_mm=table.position,
    )
    return replace(match, **values)


def a_result(n_matches: int = 5, n_query: int = 10, **values) -> SearchResult:
    query = SliceTable.regular(np.diag([1.0, 1.0, 3.0, 1.0]), n_query + 20).take(np.arange(20, 20 + n_query))
    result = SearchResult(
        matches=tuple(a_match(rank, query) for rank in range(1, n_matches + 1)),
        query_id="",
        query_path="/home/somebody/new/scan.nii.gz",
        query_plane="axial",
        query_table=query,
        query_thumbnail=lambda row: a_jpeg(200 + row),
        n_volumes=77,
        n_candidates=20,
        ranking="two-stage",
        filter="slices",
        seconds={"rank": 0.012},
    )
    return replace(result, **values)


class Page(HTMLParser):
    """What a browser would find in the report."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def pictures_in(page: Page) -> list[bytes]:
    return [base64.b64decode(image["src"].partition("base64,")[2]) for image in page.all("img")]


def test_the_report_is_one_well_formed_file_that_loads_nothing_from_outside():
    text = report_html(a_result(), lambda key, row: a_jpeg(50), when=WHEN)
    page = Page(text)
    assert page.open == []
    sources = [attributes.get("src") or attributes.get("href") for _, attributes in page.tags]
    assert all(source.startswith("data:image/") for source in sources if source)
    assert not page.all("script")
    assert not page.all("link")
    assert not re.search(r"https?:|@import|url\(", text)
    for drawing in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL):
        ElementTree.fromstring(drawing)


def test_it_shows_the_query_slice_and_the_three_best_volumes_at_their_best_slices():
    result = a_result()
    page = Page(report_html(result, lambda key, row: a_jpeg(key - 100), when=WHEN))
    alts = [image["alt"] for image in page.all("img")]
    first = result.matches[0]
    assert alts[:4] == [
        f"Query, axial slice {first.best_query_slice + 1}",
        *(f"Volume {match.rank}, axial slice {match.best_slice + 1}" for match in result.matches[:3]),
    ]
    assert pictures_in(page)[:4] == [a_jpeg(200 + first.best_query_row), a_jpeg(1), a_jpeg(2), a_jpeg(3)]


def test_it_ranks_every_match_with_score_slices_and_millimeters():
    result = a_result()
    page = Page(report_html(result, when=WHEN))
    for match in result.matches:
        one = match.place
        assert f"{match.score:.3f}" in page.text
        assert f"{one.first_slice + 1}–{one.last_slice + 1}" in page.text
    assert "(27 mm)" in page.text
    assert "in 77 volumes on 2026-03-01 09:30" in page.text
    assert "Searched with 10 axial slices (21–30)" in page.text
    assert "Not for clinical use" in page.text


def test_each_of_the_best_has_its_matrix_with_range_votes_and_path():
    result = a_result()
    text = report_html(result, when=WHEN)
    drawings = re.findall(r'<svg class="matrix".*?</svg>', text, flags=re.DOTALL)
    assert len(drawings) == 3
    one = result.matches[0].place
    assert one.is_certain
    assert f"Matched range: slices {one.first_slice + 1} to {one.last_slice + 1}." in drawings[0]
    elements = list(ElementTree.fromstring(drawings[0]).iter())
    by_class = {element.get("class"): element for element in elements}
    image = by_class["pixels"]
    left, width = float(image.get("x")), float(image.get("width"))
    bar = next(element for element in elements if element.get("class") == "range")
    assert float(bar.get("x")) == pytest.approx(left + width * one.first_row / 40, abs=0.1)
    assert float(bar.get("width")) == pytest.approx(width * (one.last_row + 1 - one.first_row) / 40, abs=0.1)
    assert by_class["votes"].get("d").count("M") == 10
    assert by_class["path"].get("d").count("L") == 9
    assert by_class["profile"].get("d").count("L") == 39


def test_the_pictures_of_a_matrix_are_brightest_where_slices_are_most_alike():
    rng = np.random.default_rng(0)
    similarity = rng.uniform(0, 1, (6, 9)).astype(np.float32)
    image = Image.open(io.BytesIO(matrix_png(similarity)))
    assert image.size == (9, 6)
    brightness = np.asarray(image.convert("L"), dtype=float)
    order = np.argsort(similarity, axis=None)
    assert (np.diff(brightness.ravel()[order]) >= -1).all()  # viridis ascends in lightness, up to rounding
    assert brightness.argmax() == similarity.argmax()


def test_a_constant_matrix_has_a_color_and_a_figure():
    low, high = color_range(np.full((3, 4), 0.5))
    assert low < 0.5 < high
    result = a_result(1, n_query=3)
    table = result.query_table
    flat = np.full((3, 40), 0.5, np.float32)
    place, found = placed(flat, table, SliceTable.regular(np.diag([1, 1, 3.0, 1]), 40))
    match = replace(result.matches[0], similarity=flat, place=place, correspondence=found)
    assert "The place is uncertain" in report_html(replace(result, matches=(match,)), when=WHEN)
    Page(report_html(replace(result, matches=(match,)), when=WHEN))


@pytest.mark.parametrize(("n_query", "n_slices"), [(1, 40), (1, 1), (10, 1), (300, 3)])
def test_queries_and_volumes_of_any_length_have_a_figure(n_query, n_slices):
    result = a_result(0, n_query=n_query)
    match = a_match(1, result.query_table, n_slices=n_slices, shift=0)
    page = Page(report_html(replace(result, matches=(match,)), when=WHEN))
    (drawing,) = [attributes for attributes in page.all("svg") if attributes["class"] == "matrix"]
    assert not re.search("nan|inf", drawing["viewbox"])


def test_a_larger_picture_is_preferred_and_a_thumbnail_stands_in_for_a_missing_one():
    def picture(match, row):
        return a_jpeg(10) if match is None else (a_jpeg(11) if match.rank == 1 else None)

    page = Page(report_html(a_result(), lambda key, row: a_jpeg(99), picture=picture, when=WHEN))
    assert pictures_in(page)[:4] == [a_jpeg(10), a_jpeg(11), a_jpeg(99), a_jpeg(99)]


def test_where_there_is_no_picture_the_report_says_so():
    def removed(key, row):
        raise UnknownVolumeError(f"volume {key}: not in the store")

    text = report_html(a_result(1, query_thumbnail=lambda row: b""), removed, when=WHEN)
    assert "<img" not in text
    assert text.count('class="no-picture"') == 4


def test_what_files_and_descriptions_hold_cannot_become_part_of_the_page():
    hostile = '<script>alert("x")</script>'
    result = a_result(1, notes=(hostile,), query_path=f"/data/{hostile}")
    match = replace(
        result.matches[0],
        attributes=Attributes(modality="CT", series_description=hostile),
        files=SourceFiles("archive", (hostile + ".nii",)),
    )
    page = Page(report_html(replace(result, matches=(match,)), when=WHEN))
    assert not page.all("script")
    assert page.text.count('alert("x")') >= 4


def test_folders_of_the_machine_are_not_shown():
    text = report_html(a_result(), when=WHEN)
    assert "somebody" not in text
    assert "new/scan.nii.gz" in text
    assert "study 1/series" in text


def test_a_baseline_without_matrices_and_an_empty_result_are_reported():
    bare = dict.fromkeys(("similarity", "correspondence", "slice_index", "positions_mm"))
    result = a_result(2, ranking="count")
    matches = tuple(
        replace(match, score=143.0, place=None, ranges=(), best_row=-1, best_query_row=-1, **bare)
        for match in result.matches
    )
    text = report_html(replace(result, matches=matches), when=WHEN)
    assert "there is no matrix to show" in text
    assert "143" in text
    assert "No volume was found" in report_html(a_result(0), when=WHEN)


@pytest.mark.parametrize(
    ("score", "said", "not_said"),
    [
        ("", (), ("The score",)),
        ("paper", ("The score, 1 for the same volume",), ("the other way", "lowered", "subtracted")),
        ("centering+directions", ("mean is subtracted", "the other way counts a third."), ("lowered",)),
        (
            "modality+neighbors",
            ("lowered for volumes of another modality and for volumes whose nearest",),
            ("other way",),
        ),
    ],
)
def test_the_report_says_what_the_score_is_made_of(score, said, not_said):
    text = report_html(a_result(1, score=score), when=WHEN)
    assert all(words in text for words in said) and not any(words in text for words in not_said)


def test_the_report_says_which_encoder_ran():
    text = report_html(a_result(1, encoder="radiology-resnet by onnxruntime on cpu, float32"), when=WHEN)
    assert "Encoder: radiology-resnet by onnxruntime on cpu, float32." in text


def test_a_path_that_runs_backward_is_said():
    result = a_result(1)
    match = result.matches[0]
    flipped = replace(match, correspondence=replace(match.correspondence, flipped=True))
    assert "runs backward" in report_html(replace(result, matches=(flipped,)), when=WHEN)
    assert "runs backward" not in report_html(result, when=WHEN)


def test_the_report_is_written_to_a_new_folder_with_any_name(tmp_path):
    path = write_report(a_result(), tmp_path / "Bericht für Ärzte" / "ähnliche Volumen.html", when=WHEN)
    assert path.read_text(encoding="utf-8") == report_html(a_result(), when=WHEN)
    (tmp_path / "file").write_text("")
    with pytest.raises(VolumeRetrievalError, match="cannot be written"):
        write_report(a_result(), tmp_path / "file" / "report.html")


def a_volume() -> Volume:
    voxels = np.full((12, 30, 30), -1000, np.float32)
    voxels[:, 5:25, 5:25] = np.linspace(-150, 230, 12)[:, None, None]
    return Volume.from_array(voxels, np.diag([-2.0, -2.0, 2.0, 1.0]), Attributes(modality="CT"))


def test_a_slice_is_drawn_from_its_volume_by_its_number_in_the_full_stack():
    recipe = Recipe(encoder="descriptor", slice_step_mm=6.0)
    levels = []
    for number in (0, 5, 11):
        image = Image.open(io.BytesIO(slice_picture(a_volume(), recipe, number, size=64)))
        assert image.size == (64, 64)
        levels.append(np.asarray(image)[32, 32])
    assert levels[0] < 20
    assert levels[2] > 235
    assert levels[0] < levels[1] < levels[2]
    with pytest.raises(IndexError, match="slice 12 of a stack of 12"):
        slice_picture(a_volume(), recipe, 12)


def test_volumes_that_cannot_be_read_any_more_give_no_picture():
    def read(match):
        if match is None:
            return a_volume()
        raise UnreadableFileError("gone.nii", "no such file")

    picture = pictures_of_volumes(read, Recipe(encoder="descriptor"), np.array([3, 7]))
    assert picture(None, 1) == slice_picture(a_volume(), Recipe(encoder="descriptor"), 7)
    assert picture(a_match(1, a_result().query_table), 2) is None
    assert pictures_of_volumes(read, Recipe(encoder="descriptor"), np.array([3, 99]))(None, 1) is None


# 60 rows fill 120 pixels, or 300 mm do where no border of a body is seen.
@pytest.mark.parametrize(("mm", "scale"), [(6.0, 1.0), (2.0, 120 / 300)])
def test_the_box_is_drawn_in_the_slices_that_pass_through_it(mm, scale):
    voxels = np.full((10, 60, 40), 40.0, np.float32)
    volume = Volume.from_array(voxels, np.diag([-mm, -mm, 4.0, 1.0]), Attributes(modality="CT"))
    corners = np.array([[-20.0, -45.0, 10.0], [-10.0, -15.0, 22.0]]) * [mm, mm, 1.0]
    box = OrientedBox.around(corners, np.eye(3))
    recipe = Recipe("descriptor", crop=False)

    def picture(number: int) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(slice_picture(volume, recipe, number, 120, box))).convert("RGB"), int)

    assert np.ptp(picture(1), axis=2).max() < 20 and np.ptp(picture(8), axis=2).max() < 20, "gray: no box there"
    rows, columns = np.nonzero(np.ptp(picture(4), axis=2) > 100)
    # The 40 columns lie in the middle, from pixel 20 on; R and A run backward.
    assert (rows.min(), rows.max()) == pytest.approx((60 - 29 * scale, 60 + 31 * scale), abs=3)
    assert (columns.min(), columns.max()) == pytest.approx((60 - 19 * scale, 60 + 1 * scale), abs=3)
