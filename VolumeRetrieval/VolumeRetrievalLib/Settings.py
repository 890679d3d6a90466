"""What belongs to the user and the machine rather than to a scene, kept in Slicer's settings."""

from __future__ import annotations

from dataclasses import dataclass, fields

import qt
import slicer

#: In the settings file; as other modules name theirs: "<module>/<name>".
PREFIX = "VolumeRetrieval/"


_DECLINED = PREFIX + "packagesDeclined"


def packagesDeclined() -> bool:
    """Whether the user was offered the packages once and went on without; not one of the settings that the panel keeps,
    because nothing shows it."""
    return slicer.util.settingsValue(_DECLINED, False, slicer.util.toBool)


def setPackagesDeclined(declined: bool) -> None:
    """Remember that they need not be offered again, or that they may."""
    qt.QSettings().setValue(_DECLINED, declined)


@dataclass
class Settings:
    """Defaults are good enough never to change them. Empty texts mean automatic."""

    encoder: str = ""
    weights: str = ""  # the file of a network
    weightsFolder: str = ""  # of the catalog's networks
    device: str = ""
    batchSize: int = 0
    sliceStepMm: float = 3.0
    filter: str = ""
    filterCount: int = 20
    exhaustive: bool = False
    indexKind: str = ""
    indexAutomatically: bool = False

    @classmethod
    def load(cls) -> Settings:
        """The stored values; what cannot be read is the default."""
        settings = cls()
        for one in fields(cls):
            default = getattr(settings, one.name)
            convert = slicer.util.toBool if isinstance(default, bool) else type(default)
            try:
                setattr(settings, one.name, slicer.util.settingsValue(PREFIX + one.name, default, convert))
            except (TypeError, ValueError):
                continue
        return settings

    def save(self) -> None:
        stored = qt.QSettings()
        for one in fields(self):
            stored.setValue(PREFIX + one.name, getattr(self, one.name))
