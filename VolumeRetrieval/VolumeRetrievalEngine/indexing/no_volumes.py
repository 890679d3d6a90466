"""What was read once and turned out to be no volume, so that the next run need not read it again.

Most of what is no volume shows in its header, which the scan cache remembers. That every voxel is the same, say, shows
only when all of them are read. Files that failed are not remembered: tomorrow the share may be back, or the package
that decompresses them installed.
"""

from __future__ import annotations

import json

from .. import __version__
from ..store import VolumeStore
from ..volume import Identity

_META = "no_volumes"


class NoVolumes:
    """Ids and fingerprints with the reason why they are no volume; of this version of the engine alone."""

    def __init__(self, known: dict[str, tuple[str, str]]):
        self._known = known
        self._changed = False

    @classmethod
    def of_store(cls, store: VolumeStore) -> NoVolumes:
        """What the store remembers; nothing if that is another version's, or not readable."""
        try:
            values = json.loads(store.meta(_META) or "{}")
            known = values["known"] if values.get("version") == __version__ else {}
            return cls({str(key): (str(fingerprint), str(reason)) for key, (fingerprint, reason) in known.items()})
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls({})

    def reason(self, identity: Identity) -> str:
        """Why this very content is no volume; "" if that is not known."""
        fingerprint, reason = self._known.get(identity.volume_id, ("", ""))
        return reason if fingerprint == identity.fingerprint else ""

    def add(self, identity: Identity, reason: str) -> None:
        self._known[identity.volume_id] = (identity.fingerprint, reason)
        self._changed = True

    def save(self, store: VolumeStore) -> None:
        """Write what has changed; `store` has to be writable."""
        if self._changed:
            store.set_meta(_META, json.dumps({"version": __version__, "known": self._known}))
            self._changed = False
