"""Outlines of volumes that an older engine indexed: read again, but not embedded again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NotAVolumeError, StoreError, UnreadableFileError
from ..preprocessing import preprocess
from ..progress import Cancelled, ProgressCallback, ProgressClock
from ..reading.reasons import reason_of
from ..store import VolumeRecord, VolumeStore
from ..volume import Volume

logger = logging.getLogger(__name__)


@dataclass
class OutlinesReport:
    """What became of the volumes without outlines: how many have them now, and path and reason of the others."""

    added: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    cancelled: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        failed = [{"path": path, "reason": reason} for path, reason in self.failed]
        return {"added": self.added, "failed": failed, "cancelled": self.cancelled}


def add_outlines(
    store: VolumeStore, read: Callable[[VolumeRecord], Volume], progress: ProgressCallback | None = None
) -> OutlinesReport:
    """Read every volume whose outlines are not known, and store where the body lies on its slices.

    Args:
        store: opened for writing.
        read: a volume's voxels from where its files are now.
        progress: called before and after every volume; may raise Cancelled. What was added until then is kept.
    """
    report = OutlinesReport()
    records = store.records(store.without_outlines())
    clock = ProgressClock("outlines", len(records), float(sum(max(1, one.n_slices) for one in records)), progress)
    try:
        for record in records:
            clock.tell(record.label, record.series_uid)
            try:
                stack = preprocess(read(record), store.recipe)
                if not np.array_equal(stack.table.index, store.slices(record.key).index):
                    raise UnreadableFileError(Path(record.label), "has changed since it was indexed; index it again")
                store.set_outlines(record.key, stack.outlines)
                report.added += 1
            except (UnreadableFileError, NotAVolumeError) as error:
                report.failed.append((record.label, error.reason))
            except StoreError:
                raise
            except Exception as error:  # one bad file must not end the archive's run
                report.failed.append((record.label, reason_of(error, Path(record.label))))
            clock.advance(max(1, record.n_slices), record.label, record.series_uid)
    except Cancelled:
        report.cancelled = True
    return report
