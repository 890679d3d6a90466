"""What searching reads of a store, of several of them: the same methods, with keys of the whole (keys.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import numpy as np

from ..errors import UnknownVolumeError
from ..patients import PatientTokens
from ..recipe import Recipe
from ..store.attribute_filter import AttributeFilter
from ..store.reader import StoreReader
from ..store.records import StoredVolume, VolumeRecord
from ..volume import SliceTable
from .elsewhere import answers
from .keys import moved, own, part_of
from .query_identities import UNKNOWN, QueryIdentities

T = TypeVar("T")


class UnitedReader:
    """See :class:`~..store.reader.StoreReader`.

    Attributes:
        parts: the stores by number, all of one recipe.
        identities: what the query is in each part: patients and studies are known by hashes that are each store's own.
            Where that is not known, nobody is taken for the query's patient.
    """

    def __init__(self, parts: Mapping[int, StoreReader]):
        self.parts = dict(parts)
        self.recipe: Recipe = next(iter(self.parts.values())).recipe
        self.identities = QueryIdentities(dict, _no_tokens, UNKNOWN, "")

    @property
    def dimension(self) -> int:
        return max(part.dimension for part in self.parts.values())

    @property
    def generation(self) -> tuple[int, ...]:
        """Of each part."""
        return tuple(part.generation for part in self.parts.values())

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with ExitStack() as opened:
            for part in self.parts.values():
                opened.enter_context(part.snapshot())
            yield

    def keys(self, keep: AttributeFilter | None = None) -> np.ndarray:
        filters = self._filters(keep)
        return self._keys(lambda number, part: part.keys(filters[number]))

    def keys_of_other_modality(self, modality: str) -> np.ndarray:
        return self._keys(lambda _, part: part.keys_of_other_modality(modality))

    def owners(self) -> dict[int, str]:
        """See StoreReader; of a DICOM volume that several stores have, only that in the first one, and its patient has
        one name. Else copies would be the nearest neighbors of each other, as of two patients."""
        found = answers(self.parts, lambda _, part: (part.owners(), part.ids_of_series()))
        owners: dict[int, str] = {}
        first: dict[str, str] = {}  # the owner of each DICOM volume
        for number, (by_key, ids) in found.items():
            repeats = {key: first[one] for key, one in ids.items() if one in first}
            names = {by_key[key]: name for key, name in repeats.items()}
            kept = {key: names.get(owner, owner) for key, owner in by_key.items() if key not in repeats}
            first.update({ids[key]: owner for key, owner in kept.items() if key in ids})
            moved_keys = moved(np.fromiter(kept, np.int64, len(kept)), number).tolist()
            owners.update(zip(moved_keys, kept.values(), strict=True))
        return owners

    def listing(self, keep: AttributeFilter | None = None) -> list[VolumeRecord]:
        filters = self._filters(keep)
        found = answers(self.parts, lambda number, part: part.listing(filters[number]))
        return [self._record(number, one) for number, records in found.items() for one in records]

    def records(self, keys: Iterable[int]) -> list[VolumeRecord]:
        return self._in_order(keys, lambda part, own_keys: part.records(own_keys), self._record)

    def volumes(self, keys: Sequence[int] | np.ndarray) -> list[StoredVolume]:
        return self._in_order(
            keys,
            lambda part, own_keys: part.volumes(own_keys),
            lambda number, one: replace(one, record=self._record(number, one.record)),
        )

    def find(self, volume_id: str) -> VolumeRecord | None:
        """The volume with this id, in the first store that has it."""
        return next(iter(self.finds(volume_id).values()), None)

    def finds(self, volume_id: str) -> dict[int, VolumeRecord]:
        """The volume with this id in each store that has it, by the store's number."""
        found = answers(self.parts, lambda _, part: part.find(volume_id))
        return {number: self._record(number, one) for number, one in found.items() if one is not None}

    def find_series(self, series_uid: str) -> list[VolumeRecord]:
        found = answers(self.parts, lambda _, part: part.find_series(series_uid))
        return [self._record(number, one) for number, records in found.items() for one in records]

    def slices(self, key: int) -> SliceTable:
        return self._of(key, lambda part, own_key: part.slices(own_key))

    def outlines(self, key: int) -> np.ndarray | None:
        return self._of(key, lambda part, own_key: part.outlines(own_key))

    def embeddings(self, key: int) -> np.ndarray:
        return self._of(key, lambda part, own_key: part.embeddings(own_key))

    def thumbnail(self, key: int, row: int) -> bytes:
        return self._of(key, lambda part, own_key: part.thumbnail(own_key, row))

    def many_embeddings(self, keys: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._many(np.asarray(keys, np.int64), lambda part, own_keys: part.many_embeddings(own_keys))

    def many_pooled(self, keys: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self._many(np.asarray(keys, np.int64), lambda part, own_keys: part.many_pooled(own_keys))

    def _filters(self, keep: AttributeFilter | None) -> dict[int, AttributeFilter | None]:
        """For each part. In this thread, which may hold the snapshot of another part that is asked about the query."""
        return {number: self._for(number, keep) for number in self.parts}

    def _for(self, number: int, keep: AttributeFilter | None) -> AttributeFilter | None:
        """The filter with the query's id, and the hashes of its patient and study, that this part knows them by."""
        if keep is None or not (keep.not_volume_id or keep.not_patient_token or keep.not_study_token):
            return keep
        hashes = self.identities.of(number) if keep.not_patient_token or keep.not_study_token else UNKNOWN
        return replace(
            keep,
            not_volume_id=keep.not_volume_id and self.identities.volume_id(number, keep.not_volume_id),
            not_patient_token=hashes.patient_token if keep.not_patient_token else "",
            not_study_token=hashes.study_token if keep.not_study_token else "",
        )

    def _record(self, number: int, record: VolumeRecord) -> VolumeRecord:
        key, part = record.key, self.parts[number]
        return replace(record, key=int(moved(np.array([key]), number)[0]), _read_files=lambda _: part.files(key))

    def _of(self, key: int, read: Callable[[StoreReader, int], T]) -> T:
        one = np.array([key])
        return read(self._part(int(part_of(one)[0])), int(own(one)[0]))

    def _part(self, number: int) -> StoreReader:
        if number not in self.parts:
            raise UnknownVolumeError("the index with this volume is not searched any more; search again")
        return self.parts[number]

    def _keys(self, ask: Callable[[int, StoreReader], np.ndarray]) -> np.ndarray:
        return np.concatenate([moved(keys, number) for number, keys in answers(self.parts, ask).items()])

    def _many(
        self, keys: np.ndarray, read: Callable[[StoreReader, np.ndarray], tuple[np.ndarray, np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rows of these volumes one after another, in their order."""

        def read_each(part: StoreReader, own_keys: list[int]) -> list[np.ndarray]:
            rows, offsets = read(part, np.array(own_keys, np.int64))
            return [rows[first:end] for first, end in pairwise(offsets)]

        ordered = self._in_order(keys, read_each, lambda _, rows: rows)
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in ordered], dtype=np.int64)]).astype(np.int64)
        empty = np.zeros((0, self.dimension), np.float32)
        return np.concatenate([empty, *ordered]), offsets

    def _in_order(
        self,
        keys: Iterable[int],
        read: Callable[[StoreReader, list[int]], list[T]],
        as_whole: Callable[[int, T], T],
    ) -> list[T]:
        """What the parts say of these volumes, in their order; `as_whole` gets each with its part's number."""
        wanted = np.array([int(key) for key in keys], np.int64)
        places = {number: np.flatnonzero(part_of(wanted) == number) for number in np.unique(part_of(wanted)).tolist()}
        asked = {number: self._part(number) for number in places}
        found = answers(asked, lambda number, part: read(part, own(wanted[places[number]]).tolist()))
        ordered = {
            place: as_whole(number, one)
            for number, ones in found.items()
            for place, one in zip(places[number].tolist(), ones, strict=True)
        }
        return [ordered[place] for place in range(len(wanted))]


def _no_tokens(number: int) -> PatientTokens:
    return PatientTokens.ephemeral()
