"""Which series of a DICOM database were dealt with, and what became of them.

The store knows the volumes. It does not know the series that gave none, nor as what a series was seen: without that,
every localizer would be news again each time.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import StoreError
from ..indexing.run import IndexingReport
from ..store import VolumeStore
from ..store.mapping import MAPPED
from ..store.reader import StoreReader
from .series_list import ListedSeries

_META = "dicom_series"
NO_FILES = "its files are not on this computer"
NO_VOLUME = "no volume in it"


@dataclass(frozen=True)
class SeenSeries:
    """What became of a series: "" and False for an indexed one, else why it is not, and whether it should have been."""

    stamp: str
    reason: str = ""
    failed: bool = False


@dataclass
class SeriesRegister:
    """The series that were seen, by SeriesInstanceUID; kept in the store."""

    seen: dict[str, SeenSeries] = field(default_factory=dict)

    @classmethod
    def of_store(cls, store: StoreReader) -> SeriesRegister:
        """What the store remembers; StoreError if that is damaged."""
        text = store.meta(_META) or "{}"
        try:
            return cls({uid: SeenSeries(*values) for uid, values in json.loads(text).items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise StoreError(f"the store's list of series is damaged ({error})") from error

    def save(self, store: VolumeStore) -> None:
        values = {uid: [one.stamp, one.reason, one.failed] for uid, one in sorted(self.seen.items())}
        store.set_meta(_META, json.dumps(values, ensure_ascii=False))

    def is_settled(self, uid: str, stamp: str) -> bool:
        """Whether the series was dealt with as it is now. What failed is tried again."""
        known = self.seen.get(uid)
        return known is not None and known.stamp == stamp and not known.failed

    def note(self, series: Iterable[ListedSeries], report: IndexingReport, store: StoreReader) -> None:
        """Remember what a finished run did with these series."""
        reasons: dict[str, list[tuple[str, bool]]] = {}
        for left_out in (*report.skipped, *report.failed):
            reasons.setdefault(left_out.series_uid, []).append((left_out.reason, left_out.failed))
        for one in series:
            records, found = store.find_series(one.uid), reasons.get(one.uid, ())
            # A mapped volume that is still there after a run could not be embedded.
            settled = records and not (found and any(record.precision == MAPPED for record in records))
            reason, failed = ("", False) if settled else _why(one, found)
            self.seen[one.uid] = SeenSeries(one.stamp, reason, failed)

    def forget(self, uids: Iterable[str]) -> None:
        for uid in uids:
            self.seen.pop(uid, None)


def _why(series: ListedSeries, found: Sequence[tuple[str, bool]]) -> tuple[str, bool]:
    """Why a series gave no volume: the reason of most of its files, failures first."""
    if not series.files:
        return NO_FILES, False
    if not found:
        return NO_VOLUME, False
    failures = [one for one in found if one[1]]
    return Counter(failures or found).most_common(1)[0][0]
