"""How dates and parts of series are put into words."""

from __future__ import annotations

import re

from slicer.i18n import tr as _


def date(value: str) -> str:
    """A DICOM date ("20241027", or "2024.10.27" of old files) as the DICOM module shows it: "2024-10-27"; anything else
    as it is."""
    found = re.fullmatch(r"(\d{4})\.?(\d{2})\.?(\d{2})", value.strip())
    return "-".join(found.groups()) if found else value


def part(value: str) -> str:
    """What tells a volume from the others of its series (VolumeRecord.part of the engine): "phase 2"."""
    return ", ".join(filter(None, map(_one, value.split("; ")))) if value else ""


def _one(value: str) -> str:
    criterion, _colon, own = value.partition(": ")
    texts = {
        "TemporalPositionIdentifier": _("phase {value}"),
        "TriggerTime": _("trigger time {value} ms"),
        "EchoTime": _("echo time {value} ms"),
        "FlipAngle": _("flip angle {value}°"),
        "InversionTime": _("inversion time {value} ms"),
        "StackID": _("stack {value}"),
        "AcquisitionNumber": _("acquisition {value}"),
        "b-value and direction": "{value}",
        "InstanceNumber order": "{value}",  # "repeat 2"
    }
    return texts.get(criterion, "{value}").format(value=own) if own not in ("", "none") else ""
