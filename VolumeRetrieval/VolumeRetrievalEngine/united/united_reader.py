"""What searching reads of a store, of several of them: the same methods, with keys of the whole (keys.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..errors import UnknownVolumeError
from ..patients import PatientTokens
from ..recipe import Recipe
from ..store.attribute_filter import AttributeFilter
from ..store.reader import StoreReader
from ..store.records import VolumeRecord
from ..volume import SliceTable
from .keys import moved, of_part, own, part_of
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
        return np.concatenate(
            [moved(part.keys(self._for(number, keep)), number) for number, part in self.parts.items()]
        )

    def keys_of_other_modality(self, modality: str) -> np.ndarray:
        return np.concatenate([moved(part.keys_of_other_modality(modality), n) for n, part in self.parts.items()])

    def listing(self, keep: AttributeFilter | None = None) -> list[VolumeRecord]:
        return [
            self._record(number, one)
            for number, part in self.parts.items()
            for one in part.listing(self._for(number, keep))
        ]

    def records(self, keys: Iterable[int]) -> list[VolumeRecord]:
        wanted = np.array([int(key) for key in keys], np.int64)
        found: dict[int, VolumeRecord] = {}
        for number in np.unique(part_of(wanted)).tolist():
            part = self._part(number)
            of_this = of_part(wanted, number)
            assert of_this is not None
            found |= {one.key: one for one in (self._record(number, each) for each in part.records(of_this.tolist()))}
        return [found[key] for key in wanted.tolist()]

    def find(self, volume_id: str) -> VolumeRecord | None:
        """The volume with this id, in the first store that has it."""
        for number, part in self.parts.items():
            if (record := part.find(volume_id)) is not None:
                return self._record(number, record)
        return None

    def find_series(self, series_uid: str) -> list[VolumeRecord]:
        return [
            self._record(number, one) for number, part in self.parts.items() for one in part.find_series(series_uid)
        ]

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

    def _for(self, number: int, keep: AttributeFilter | None) -> AttributeFilter | None:
        """The filter with the query's id, and the hashes of its patient and study, that this part knows them by."""
        if keep is None or not (keep.not_volume_id or keep.not_patient_token or keep.not_study_token):
            return keep
        own_id = self.identities.volume_id(number)
        hashes = self.identities.of(number) if keep.not_patient_token or keep.not_study_token else UNKNOWN
        return replace(
            keep,
            not_volume_id=keep.not_volume_id and (own_id or keep.not_volume_id),
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

    def _many(
        self, keys: np.ndarray, read: Callable[[StoreReader, np.ndarray], tuple[np.ndarray, np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The rows of these volumes one after another, in their order."""
        blocks: dict[int, np.ndarray] = {}
        for number in np.unique(part_of(keys)).tolist():
            part = self._part(number)
            places = np.flatnonzero(part_of(keys) == number)
            rows, offsets = read(part, own(keys[places]))
            blocks |= {
                int(place): rows[first:end] for place, first, end in zip(places, offsets[:-1], offsets[1:], strict=True)
            }
        ordered = [blocks[place] for place in range(len(keys))]
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in ordered], dtype=np.int64)]).astype(np.int64)
        empty = np.zeros((0, self.dimension), np.float32)
        return np.concatenate([empty, *ordered]), offsets


def _no_tokens(number: int) -> PatientTokens:
    return PatientTokens.ephemeral()
