"""The store: one SQLite file for each recipe, the truth that everything else is derived from."""

from .attribute_filter import AttributeFilter
from .records import Changes, NewVolume, StoreStatistics, VolumeRecord
from .volume_store import VolumeStore

__all__ = ["AttributeFilter", "Changes", "NewVolume", "StoreStatistics", "VolumeRecord", "VolumeStore"]
