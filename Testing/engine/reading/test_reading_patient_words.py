"""A patient's name, however it is written, is taken out of free text; the words around it stay."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest
from engine.commands import run
from engine.dicom_files import slice_data_set, stored_values, write
from VolumeRetrievalEngine.reading.patient_words import patient_words

#: Names, what somebody typed, and what is kept of it.
TYPED = [
    ("Li^Ming=李^明", "李明 chest", "[removed] chest"),
    ("Li^Ming=李^明", "chest 明李", "chest [removed]"),
    ("Li^Ming=李^明", "李　明 胸部", "[removed]　[removed] 胸部"),
    ("Li^Ming=李^明", "李先生胸部", "[removed]先生胸部"),
    ("李明", "胸部 李明", "胸部 [removed]"),
    ("Li^Ming", "LiMing liver", "[removed] liver"),
    ("Li^Ming", "MINGLI_axial li", "[removed]_axial [removed]"),
    ("Li^Al", "li AXIAL LIVER al", "[removed] AXIAL LIVER [removed]"),
    ("X^A", "XA axial a.x MAX", "[removed] axial [removed] MAX"),
    ("LiMing", "Li Ming, Ming Li and LIMING T1", "[removed], [removed] and [removed] T1"),
    ("KIRNBERGEROTTILIE", "Kirnberger, Ottilie T1", "[removed] T1"),
    ("Kirnberger^Ottilie", "KIRNBERGEROTTILIE T1", "[removed] T1"),
    ("Kirnberger^Ottilie", "ottiliekirnberger", "[removed]"),
    ("Müller^Jörg", "MUELLER Joerg T1", "[removed] [removed] T1"),
    ("Mueller^Joerg", "Müller, Jörg T1", "[removed], [removed] T1"),
    ("Buc^Jérôme", "JEROME thorax", "[removed] thorax"),
    ("Buc^Jérôme", "jerôme buc thorax", "[removed] thorax"),
    ("Łukasz^Ørsted", "lukasz orsted", "[removed] [removed]"),
    ("Yamada^Tarou=山田^太郎=やまだ^たろう", "ヤマダ・タロウ 胸部", "[removed]・[removed] 胸部"),
    ("ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", "やまだたろう様 CT", "[removed]様 CT"),
    ("Hong^Gildong=洪^吉洞=홍^길동", "홍길동 흉부", "[removed] 흉부"),
    ("김희중", "희중 흉부", "[removed] 흉부"),
    ("Люкceмбypг^Ян", "люкceмбypг ян голова", "[removed] голова"),
    ("Διονυσιος", "ΔΙΟΝΎΣΙΟΣ θώρακας", "[removed] θώρακας"),
    ("שרון^דבורה", "דבורהשרון חזה", "[removed] חזה"),
    ("قباني^لنزار", "لنزار قباني صدر", "[removed] [removed] صدر"),
    ("สมชาย^ใจดี", "สมชายใจดี ทรวงอก", "[removed] ทรวงอก"),
    ("Nguyễn^Văn", "NGUYEN VAN phoi", "[removed] phoi"),
    ("", "nobody at all", "nobody at all"),
]


@pytest.mark.parametrize(("name", "typed", "kept"), TYPED)
def test_a_name_is_taken_out_however_it_is_written(name: str, typed: str, kept: str):
    assert patient_words([name]).removed_from(typed) == kept


@pytest.mark.parametrize(
    "typed", ["PID-7731-Q", "pid7731q", "PID_7731 Q", "1942-11-30", "30.11.1942", "11/30/1942", "30.11.42", "19421130"]
)
def test_ids_and_birth_dates_are_taken_out_however_they_are_written(typed: str):
    words = patient_words(ids=["PID-7731-Q"], birth_dates=["19421130"])
    assert words.removed_from(f"lung {typed} thin") == "lung [removed] thin"


def test_numbers_of_a_sequence_are_no_identifiers():
    assert patient_words(ids=["1", "30"], birth_dates=["19421130"]).removed_from("T1 3 mm 300 ms") == "T1 3 mm 300 ms"


#: Character sets of DICOM (PS3.3 C.12.1.1.2) and a name in each; the part before "=" has to fit the first of them.
CHARACTER_SETS = {
    "ISO_IR 100": "Äneas^Rüdiger",
    "ISO_IR 101": "Wałęsa^Łukasz",
    "ISO_IR 109": "Ĉapek^Ŝidor",
    "ISO_IR 110": "Bērziņš^Jānis",
    "ISO_IR 148": "Yıldız^Şükrü",
    "ISO_IR 144": "Люксембург^Ян",
    "ISO_IR 127": "قباني^لنزار",
    "ISO_IR 126": "Διονυσιος^Εω",
    "ISO_IR 138": "שרון^דבורה",
    "ISO_IR 166": "สมชาย^ใจดี",
    "ISO_IR 192": "Wang^XiaoDong=王^小東",
    "GB18030": "Wang^Cheng=王^誠",  # its second half is a backslash
    "GBK": "Wang^XiaoDong=王^小东",
    r"\ISO 2022 IR 87": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    r"ISO 2022 IR 13\ISO 2022 IR 87": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    r"\ISO 2022 IR 159": "Takahashi^Jun=丂^丄",
    r"\ISO 2022 IR 149": "Hong^Gildong=洪^吉洞=홍^길동",
    r"\ISO 2022 IR 58": "Zhang^XiaoDong=张^小东",
}


def parts_of(name: str) -> set[str]:
    return {part for group in name.split("=") for part in group.split("^") if part}


def written_as(text: str, charset: str) -> set[bytes]:
    """A text as it could be hidden in a file: in any encoding, or as JSON escapes it."""
    codes = ["utf-8", "utf-16-le", "utf-16-be", "gb18030", "shift_jis", "euc_jp", "euc_kr", "iso2022_jp"]
    found = {json.dumps(text)[1:-1].encode()}
    for code in codes:
        encoded = text.encode(code, "ignore")
        found |= {encoded} if encoded.decode(code, "ignore") == text else set()
    found.add(pydicom.charset.encode_string(text, pydicom.charset.convert_encodings(charset.split("\\"))))
    return {one for one in found if len(one) > 2}


def test_no_byte_of_the_store_has_a_name_in_any_character_set_of_dicom(tmp_path: Path):
    for number, (charset, name) in enumerate(CHARACTER_SETS.items()):
        groups = name.split("=")
        typed = f"{groups[-1].replace('^', '')} abc {groups[0].replace('^', ' ')}"
        for k, pixels in enumerate(stored_values((3, 6, 6), number)):
            data_set = slice_data_set(
                pixels,
                (0, 0, 3.0 * k),
                series=f"1.2.826.0.1.{number}",
                instance=k + 1,
                SpecificCharacterSet=charset.split("\\") if "\\" in charset else charset,
                PatientName=name,
                SeriesDescription=typed,
                ContrastBolusAgent=f"def {typed}",
                Manufacturer=groups[-1].replace("^", ""),
            )
            write(tmp_path / "archive" / str(number) / f"{k}.dcm", data_set)
        encoded = (tmp_path / "archive" / str(number) / "0.dcm").read_bytes()
        assert any(form in encoded for part in parts_of(name) for form in written_as(part, charset)), charset
    indexed = run("index", tmp_path / "archive", "--store", tmp_path / "store", "--json")
    assert indexed.json["added"] == len(CHARACTER_SETS)
    contents = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    contents += [indexed.out.encode(), indexed.err.encode()]
    contents.append(run("list", "--store", tmp_path / "store", "--json").out.encode())
    for charset, name in CHARACTER_SETS.items():
        for part in parts_of(name):
            for form in written_as(part, charset):
                assert not any(form in content for content in contents), (charset, part, form)
    descriptions = run("list", "--store", tmp_path / "store", "--json").json
    assert {one["series_description"].replace("[removed]", "").strip() for one in descriptions} == {"abc"}


def test_names_in_a_sidecar_are_taken_out_of_its_descriptions(tmp_path: Path):
    from VolumeRetrievalEngine.reading.metadata import read_sidecar

    (tmp_path / "x.json").write_text(
        '{"PatientName": "Li^Ming", "PatientID": "PID-7731-Q", "SeriesDescription": "LiMing T1 PID7731Q", '
        '"BodyPart": "head"}'
    )
    attributes, _ = read_sidecar(tmp_path / "x.nii.gz")
    assert attributes.series_description == "[removed] T1 [removed]"
    assert attributes.body_part == "HEAD"
