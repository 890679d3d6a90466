"""Volumes that do something to the process that reads them. In a module of its own, because workers import it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from VolumeRetrievalEngine.reading import VolumeSource
from VolumeRetrievalEngine.volume import Volume

#: A worker's memory in these tests; a worker that has read and embedded needs a fifth of it.
MEMORY = "1GB"


@dataclass(frozen=True, repr=False)
class SpoiltSource(VolumeSource):
    """A source that reads another one, after it has done something.

    Attributes:
        behavior: "kill" ends its process; "kill once" does so the first time; "eat" takes more memory than there is;
            "wait" until a file appears; "raise" something that quotes a patient.
        marker: the file.
    """

    inner: VolumeSource
    behavior: str
    marker: Path

    @classmethod
    def of(cls, source: VolumeSource, behavior: str, marker: Path) -> SpoiltSource:
        names = ("identity", "files", "attributes", "notes", "size_bytes", "path", "n_slices")
        return cls(*(getattr(source, name) for name in names), source, behavior, marker)

    def read(self) -> Volume:
        if self.behavior == "kill" or (self.behavior == "kill once" and not self.marker.exists()):
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if self.behavior == "eat":
            taken = []
            while len(taken) < 80:  # 4 GB; the nanny ends the process long before
                taken.append(np.ones(50 * 2**20, np.uint8))
                time.sleep(0.05)
        while self.behavior == "wait" and not self.marker.exists():
            time.sleep(0.01)
        if self.behavior == "raise":
            raise RuntimeError("Doe^Jane")
        return self.inner.read()
