"""What names the patient in every input, and must be in no store and in nothing that is printed."""

from __future__ import annotations

NAME = "Quirinius^Zebedea=李^明"
PATIENT_ID = "PID-5512-Z"
BIRTH_DATE = "19391103"

_FORMS = [
    form
    for text in ("quirinius", "zebedea", "李明", "李^明", "pid-5512", "19391103")
    for form in (text.encode(), text.encode("utf-16-le"), text.encode("unicode_escape"))
]


def found_in(content: bytes) -> list[str]:
    """The forms of what was planted that these bytes hold, whatever their case."""
    lower = content.lower()
    return [form.decode("latin-1") for form in _FORMS if form in content or form in lower]
