"""Keeps the patient out of free text that somebody typed a name, an ID or a birth date into.

A name is found however it is cased, accented, spaced or ordered, with its parts run together or apart, and in any
writing system: in those without spaces between words (Chinese, Japanese, Korean, Thai ...) a part of one letter counts,
and is found within a word. Rather a word too much is removed than a name is kept.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

REMOVED = "[removed]"
#: Shorter identifiers are only removed where they stand as a word, for they may be part of any.
_LONG = 4
#: Shorter names whose parts are run together are only removed as a word: "Al Li" is in "axial liver".
_LONG_TOGETHER = 6
#: Of names with more words than this not every order is looked for.
_ORDERED_WORDS = 4
#: What may stand between the parts of a name or an ID.
_BETWEEN = r"[\s\^=,.;:_/\\|+()\[\]'’`\-‐-―·・‧•]*"
_SPLIT = re.compile(r"[\s\^=,.;:_/\\|+()\[\]'’`\-‐-―·・‧•]+")
_DIGITS = re.compile(r"\d+")
#: Letters of writing systems that put no spaces between words, or attach endings to them.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3040-\u318f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U0001b000-\U0001b16f"
    "\U00020000-\U0003ffff]"
)
#: Where one word begins within another: "LiMing".
_JOINED = re.compile("([a-zà-öø-ÿ])([A-ZÀ-ÖØ-Þ])")
#: What decomposition leaves whole.
_PLAIN = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "þ": "th", "ħ": "h"})
#: The ways in which ä, ö and ü are written without these letters.
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


@dataclass(frozen=True)
class PatientWords:
    """What names one patient.

    Attributes:
        names: in DICOM's form ("Family^Given", "Li^Ming=李^明") or any other.
        ids: patient IDs.
        birth_dates: YYYYMMDD, or whatever stands there.
    """

    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    birth_dates: tuple[str, ...] = ()

    def removed_from(self, text: str) -> str:
        """The text without them."""
        if not text or not (self.names or self.ids or self.birth_dates):
            return text
        folded, places = _folded_with_places(text)
        pattern = _pattern(self)
        spans = [] if pattern is None else [found.span() for found in pattern.finditer(folded) if found.group()]
        if not spans:
            return text
        parts: list[str] = []
        end = 0
        for first, last in spans:
            begin = places[first]
            if begin > end or not parts:
                parts += [text[end:begin], REMOVED]
            end = places[last - 1] + 1
            while end < len(text) and not _fold_letter(text[end]):  # marks of the last letter
                end += 1
        return "".join([*parts, text[end:]])


@lru_cache(maxsize=512)
def _pattern(words: PatientWords) -> re.Pattern[str] | None:
    """All that names the patient, longest first, for folded text."""
    found: set[tuple[str, ...]] = set()
    for name in words.names:
        for group in name.split("="):
            for variant in {*_variants(group), *_variants(_JOINED.sub(r"\1 \2", group))}:
                found.update(_orders(_parts(variant)))
                found.update(_apart(_parts(variant)))
    for one in words.ids:
        if parts := _parts(one):
            found.add(parts)
    for one in words.birth_dates:
        found.update(_dates(one))
    kept = sorted((one for one in found if _is_telling(one)), key=lambda parts: (-sum(map(len, parts)), parts))
    return re.compile("|".join(map(_expression, kept))) if kept else None


def _variants(name: str) -> Iterator[str]:
    """A name folded, and as it is where umlauts are written as two letters, or lost their dots."""
    lower = unicodedata.normalize("NFC", name).casefold()
    yield _folded(lower)
    yield _folded(lower.translate(_UMLAUTS))
    yield _folded(re.sub("([aou])e", r"\1", lower))


def _parts(folded: str) -> tuple[str, ...]:
    return tuple(part for part in _SPLIT.split(_folded(folded)) if part)


def _orders(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The parts of a name alone, and run together in every order."""
    yield from ((part,) for part in parts)
    for part in parts:
        if len(part) in (3, 4) and all(map(_UNSPACED.match, part)):
            yield (part[len(part) - 2 :],)  # the given name of one that is written as a whole
    if all(len(part) >= _LONG or _UNSPACED.search(part) for part in parts):
        return  # each is found wherever it stands
    if len(parts) <= _ORDERED_WORDS:
        for count in range(2, len(parts) + 1):
            yield from permutations(parts, count)
    else:
        yield from (parts, parts[::-1], (*parts[1:], parts[0]), parts[:2], parts[1::-1])


def _apart(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The letters of a name that is written as one word, for it may be typed as two."""
    if len(parts) == 1 and len(parts[0]) >= _LONG_TOGETHER:
        yield tuple(parts[0])


def _dates(date: str) -> Iterator[tuple[str, ...]]:
    """A birth date in the orders in which people write it."""
    digits = "".join(_DIGITS.findall(date))
    if len(digits) != 8:
        yield _parts(date)
        return
    year, month, day = digits[:4], digits[4:6], digits[6:]
    yield from ((year, month, day), (day, month, year), (month, day, year))
    short = (day.lstrip("0"), month.lstrip("0"))
    yield from ((f"{short[0]}.", f"{short[1]}.", year), (f"{short[1]}/", f"{short[0]}/", year))
    for first, second, mark in ((day, month, "."), (month, day, "/"), (day, month, "/"), (day, month, "-")):
        yield (f"{first}{mark}{second}{mark}{year[2:]}",)


def _is_telling(parts: Sequence[str]) -> bool:
    return sum(map(len, parts)) > 1 or any(_UNSPACED.match(part) for part in parts)


def _expression(parts: Sequence[str]) -> str:
    """A regular expression for these parts in this order, whatever separates them."""
    letters: list[str] = []
    for part in parts:
        letters += list(part) if _UNSPACED.search(part) else [part]
    body = _BETWEEN.join(map(re.escape, letters))
    together = "".join(map(re.escape, letters))
    length = sum(map(len, parts))
    if any(_UNSPACED.search(part) for part in parts) or (len(parts) == 1 and length >= _LONG):
        return body
    word = rf"(?<![^\W_]){body}(?![^\W_])"
    return f"{word}|{together}" if length >= _LONG_TOGETHER else word


def _folded(text: str) -> str:
    return _folded_with_places(text)[0]


def _folded_with_places(text: str) -> tuple[str, list[int]]:
    """Without case, accents, width and kind of kana; and for each letter which one of the text it comes from."""
    letters: list[str] = []
    places: list[int] = []
    for place, letter in enumerate(text):
        plain = _fold_letter(letter)
        letters.append(plain)
        places += [place] * len(plain)
    return "".join(letters), places


@lru_cache(maxsize=8192)
def _fold_letter(letter: str) -> str:
    if "\uac00" <= letter <= "\ud7a3":  # a syllable of Hangul is one letter, not its parts
        return letter
    decomposed = unicodedata.normalize("NFKD", letter.casefold())
    kept = (one for one in decomposed.casefold() if not unicodedata.combining(one))
    return "".join(chr(ord(one) - 0x60) if "\u30a1" <= one <= "\u30f6" else one for one in kept).translate(_PLAIN)


def patient_words(names: Iterable[str] = (), ids: Iterable[str] = (), birth_dates: Iterable[str] = ()) -> PatientWords:
    """What names a patient, each once and without what is empty."""
    given = (names, ids, birth_dates)
    return PatientWords(*(tuple(sorted({one.strip() for one in some if one.strip()})) for some in given))
