"""slicer.i18n: `tr` and `translate`. Read in Slicer 5.12, Base/Python/slicer/i18n.py.

Translates by what a test puts into `translations`, so that tests find texts that are not translatable.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: A function from text to text; identity in most tests.
translation: list[Callable[[str], str]] = []


def translate(context: str, text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"only text can be translated, got {text!r}")
    return translation[-1](text) if translation else text


def tr(text: str) -> str:
    translated = translate("", text)
    # A translation that lost a placeholder is not used (i18n.py, tr).
    braces = r"(?<!\{)\{([^\{\}]+)\}(?!\})"
    return translated if set(re.findall(braces, text)) == set(re.findall(braces, translated)) else text
