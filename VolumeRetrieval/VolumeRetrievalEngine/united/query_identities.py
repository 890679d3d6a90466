"""What a query is in each of several stores: its patient and study have another hash in each (patients.py)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ..errors import StoreLostError, VolumeRetrievalError
from ..patients import PatientTokens
from ..query.files import found_again
from ..reading import find_volume
from ..store.reader import StoreReader
from ..store.records import VolumeRecord
from ..volume import Identity

logger = logging.getLogger(__name__)

#: Nobody, of no study.
UNKNOWN = Identity("", "")


class QueryIdentities:
    """Found out when it is first asked for: headers of the query's files may have to be read."""

    def __init__(
        self,
        stores: Callable[[], Mapping[int, StoreReader]],
        tokens: Callable[[int], PatientTokens],
        query: Identity,
        path: str,
        resolved: Mapping[int, Identity] | None = None,
    ):
        """`stores` gives those that are searched now. `tokens` makes the hashes of a store, and raises a StoreError
        where its secret cannot be read. `path` is the query's name, or where its files are; `resolved` what it is in
        each store, where that is known already (of a file that a table says the patient of)."""
        self._stores = stores
        self._tokens = tokens
        self._query = query
        self._path = path
        self._known: dict[int, Identity] = dict(resolved or {})
        self._volume_ids = {number: one.volume_id for number, one in self._known.items()}

    def volume_id(self, number: int, asked: str) -> str:
        """The id of the query's own volume in a store, which is asked for by an id; it differs for files below another
        root. Empty where this id is that of another volume."""
        if number in self._volume_ids:
            return self._volume_ids[number]
        store = self._stores().get(number)
        record = None if store is None else store.find(asked)
        return asked if record is None or self._is_query(record) else ""

    def of(self, number: int) -> Identity:
        """What the query is in a store; without tokens where its patient and study are not known there."""
        if number not in self._known:
            stores = self._stores()
            if number not in stores:
                return UNKNOWN
            self._known[number] = self._find_out(number, stores)
        return self._known[number]

    def _find_out(self, number: int, stores: Mapping[int, StoreReader]) -> Identity:
        try:
            if (record := self._record(stores[number])) is not None:
                return replace(record.identity, volume_id=self._query.volume_id)
            # Not with tokens that stand in for a secret that cannot be read: they equal nobody's, unnoticed.
            tokens = self._tokens(number)
            for store in stores.values():
                if (record := self._record(store)) is not None:
                    found = found_again(store, record, tokens).identity
                    return replace(found, volume_id=self._query.volume_id)
            return find_volume(Path(self._path), tokens=tokens).identity
        except StoreLostError:
            raise
        except (VolumeRetrievalError, OSError, ValueError):
            logger.debug("the query's patient is not known in store %s", number, exc_info=True)
            return UNKNOWN

    def _record(self, store: StoreReader) -> VolumeRecord | None:
        """The query as it is indexed in a store, or another volume of its series."""
        record = store.find(self._query.volume_id)
        if record is not None and self._is_query(record):
            return record
        return next(iter(store.find_series(self._query.series_uid)), None)

    def _is_query(self, record: VolumeRecord) -> bool:
        """Whether a volume with the query's id is the query. Ids of files that are not DICOM are made from paths below
        a named root: in two archives, one id can be two volumes'."""
        return bool(record.series_uid) or record.fingerprint == self._query.fingerprint
