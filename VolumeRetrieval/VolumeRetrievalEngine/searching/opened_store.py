"""A store as it is looked at: how it stands, what is in it, and its volumes read again. Searching builds on it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Self

from ..encoders.choice import earlier_edition_in_words
from ..errors import QueryError, StoreError, UnknownVolumeError
from ..patients import PatientTokens
from ..progress import ProgressCallback, ProgressClock
from ..query.files import read_again
from ..reading import read_volume
from ..recipe import Recipe
from ..store import VolumeRecord, VolumeStore
from ..store.attribute_filter import AttributeFilter
from ..store.folder import StoreFolder
from ..store.mapping import mapped_in_words
from ..store.status import Status
from ..store.volume_names import ids_of, path_of, roots_of
from ..volume import SliceTable, Volume
from .match import Match, SearchResult
from .refinement import Refinement
from .registration import refine
from .session import SearchSession

logger = logging.getLogger(__name__)


class OpenedStore:
    """One recipe's store, opened for reading when it is first asked; the half of a Retriever that needs no encoder.

    Attributes:
        recipe: what its embeddings were made with.
        folder: of all stores of an archive; `path`: of this one.
    """

    def __init__(self, folder: StoreFolder, path: Path, recipe: Recipe, index_kind: str):
        self.recipe = recipe
        self.folder = folder
        self.path = path
        self._index_kind = index_kind
        self._open_session: SearchSession | None = None

    def status(self) -> Status:
        """How the store stands."""
        session = self._session()
        counts = session.store.statistics()
        return Status(
            folder=str(self.path),
            encoder=self.recipe.encoder,
            recipe=self.recipe.to_json(),
            preprocessing_version=self.recipe.preprocessing_version,
            volumes=counts.volumes,
            slices=counts.slices,
            rows=counts.rows,
            dimension=counts.dimension,
            generation=counts.generation,
            size_bytes=sum(file.stat().st_size for file in self.path.iterdir() if file.is_file()),
            index_kind=session.slices.kind,
            without_outlines=len(session.store.without_outlines()),
            mapping=mapped_in_words(session.store),
            edition=earlier_edition_in_words(self.recipe.encoder, self.recipe.weights),
            modalities=counts.modalities,
            made_on=counts.made_on,
            problems=tuple(f"{path}: {reason}" for path, reason in self.folder.problems()),
        )

    def listing(self, keep: AttributeFilter | None = None) -> list[VolumeRecord]:
        """The indexed volumes (that pass the filter)."""
        return self._session().store.listing(keep)

    def find(self, name: str) -> VolumeRecord:
        """The volume with this id (or beginning of one) or path; UnknownVolumeError if there is not exactly one."""
        store = self._session().store
        ids = ids_of(store, name)
        if len(ids) != 1:
            raise UnknownVolumeError(f"{name}: {len(ids)} volumes fit: {', '.join(one[:12] for one in ids[:5])} ...")
        return known_record(store, ids[0])

    def path_of(self, record: VolumeRecord) -> str:
        """Where a volume's file, or the folder of its series, is now."""
        return path_of(roots_of(self._session().store), record)

    def describe(self, record: VolumeRecord) -> dict[str, Any]:
        """A volume as values for JSON."""
        return {"id": record.volume_id, "path": self.path_of(record), **record.to_dict()}

    def slices(self, record: VolumeRecord) -> SliceTable:
        """The embedded slices of a volume."""
        return self._session().store.slices(record.key)

    def thumbnail(self, key: int, row: int) -> bytes:
        """The JPEG of an embedded slice; b"" if there is none."""
        return self._session().store.thumbnail(key, row)

    def read_again(self, record: VolumeRecord) -> Volume:
        """An indexed volume, read from where its files are now (query/files.py)."""
        return read_again(self._session().store, record, self._tokens())

    def volume_of(self, result: SearchResult, match: Match | None) -> Volume:
        """A match's volume, or the query's for None, read from where its files are now.

        Raises:
            UnreadableFileError, NotAVolumeError: they are gone, or the query never was a file.
        """
        store = self._session().store
        if match is not None:
            return self.read_again(store.records([match.key])[0])
        if (record := store.find(result.query_id)) is not None:
            return self.read_again(record)
        return read_volume(result.query_path)

    def refine(
        self, result: SearchResult, match: Match, query: Volume | None = None, progress: ProgressCallback | None = None
    ) -> Refinement:
        """Register what was asked for with a match, starting from the match's map (searching/registration.py).

        Reads the two volumes, and takes some seconds more. A registration that is not to be believed says so, and the
        map stays.

        Args:
            query: its volume, where it is neither indexed nor a file.
            progress: called at every step (stage "refine"); may raise Cancelled.

        Raises:
            QueryError: nothing of the query is in the match, or the ranking says no place.
            UnreadableFileError, NotAVolumeError: a volume cannot be read again.
        """
        box = result.asked_box(match)
        if box is None or match.point_map is None:
            raise QueryError(f"{match.path}: has no place of the query that could be refined")
        clock = ProgressClock("refine", 0, 0.0, progress)
        clock.tell(match.path)
        return refine(
            query or self.volume_of(result, None),
            self.volume_of(result, match),
            match.point_map,
            box,
            lambda: clock.tell(match.path),
        )

    def close(self) -> None:
        """Close the store; the next search opens it again."""
        if self._open_session is not None:
            self._open_session.close()
            self._open_session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _session(self) -> SearchSession:
        if self._open_session is None:
            self._open_session = SearchSession(self.path, self._index_kind)
        return self._open_session

    def _tokens(self) -> PatientTokens:
        """The store's tokens; where its secret cannot be read (another account's), tokens that equal none of it."""
        try:
            return self.folder.tokens
        except StoreError as error:
            logger.warning("volumes of the query's patient or study cannot be recognized: %s", error)
            return PatientTokens.ephemeral()


def known_record(store: VolumeStore, volume_id: str) -> VolumeRecord:
    """The record of a volume that was there just now; UnknownVolumeError if it is there no more."""
    record = store.find(volume_id)
    if record is None:
        raise UnknownVolumeError(f"{volume_id}: was removed from the store just now")
    return record
