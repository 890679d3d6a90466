"""The one way in: index, search, remove, status. The command line, Slicer and the tests all go through it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .encoders.base import Encoder
from .encoders.choice import encoder_in_words, encoder_note
from .encoders.request import EncoderRequest
from .indexing.embedding import InThisProcess, VolumeEmbedding
from .indexing.outlines import OutlinesReport, add_outlines
from .indexing.recipe_choice import choose_recipe, noted_request
from .indexing.run import IndexingReport, find_gone, index_volumes
from .progress import Cancelled, ProgressCallback
from .query.files import indexed_or_read, read_again
from .query.query import Query, query_from_store, query_from_volume
from .query.region import Region
from .reading import MetadataTable, ScanCache, discover, read_volume
from .recipe import Recipe
from .report.pictures import pictures_of_volumes
from .report.report import write_report
from .roots import Roots
from .searching.match import SearchResult
from .searching.opened_store import OpenedStore, known_record
from .searching.options import SearchOptions
from .searching.recent_queries import RecentQueries
from .searching.refinement import Refinement
from .searching.search import Stopwatch, search_store
from .searching.session import SearchSession
from .searching.upkeep import rebuild_derived, update_derived
from .store import VolumeStore
from .store.folder import StoreFolder
from .store.volume_names import add_roots, ids_of
from .volume import Identity, Volume


class Retriever(OpenedStore):
    """Index and search the store of one recipe. Use :meth:`create` to index, :meth:`open` to search.

    Not thread-safe. Any number of processes may search while one indexes.

    Example:
        >>> with Retriever.open("index") as retriever:
        ...     result = retriever.search("archive/chest-0.nii.gz", options=SearchOptions(top=1))
        ...     page = retriever.write_report(result, "result.html")
        >>> Path(result.matches[0].path).name, page.is_file()
        ('chest-1.nii.gz', True)
    """

    def __init__(self, folder: StoreFolder, path: Path, recipe: Recipe, request: EncoderRequest, index_kind: str):
        super().__init__(folder, path, recipe, index_kind)
        self.request = request
        self._encoder: Encoder | None = None
        self._recent = RecentQueries()

    @classmethod
    def create(
        cls,
        store: Path | str,
        encoder: EncoderRequest | str = "",
        *,
        index_kind: str = "auto",
        renew: bool = False,
        **recipe_values: Any,
    ) -> Retriever:
        """For indexing: open the store of this recipe, or create it.

        A store that was made by an earlier version of the preprocessing, or with an earlier edition of the encoder,
        goes on as it is; a new store is made with the current ones (indexing/recipe_choice.py).

        Args:
            store: the folder that holds one store for each recipe.
            encoder: its name or that of a store's folder, or a request with more settings. Without a name, the recipe
                used last, or in a new folder the default encoder (encoders/default.py).
            renew: use the current preprocessing and edition, in a new store next to the one of earlier ones.
            recipe_values: values of the Recipe that differ from its defaults (plane, slice_step_mm, crop).

        Raises:
            EncoderError, WeightsError, RecipeError, StoreError
        """
        folder, request = StoreFolder(store), EncoderRequest.of(encoder)
        chosen = choose_recipe(folder, request, recipe_values, renew)
        folder.make()
        path = folder.path_for(chosen.recipe)
        if not folder.holds(chosen.recipe):
            VolumeStore.create(path, chosen.recipe, encoder_note(chosen.encoder)).close()
        folder.mark_used(path)
        retriever = cls(folder, path, chosen.recipe, chosen.request, index_kind)
        retriever._encoder = chosen.encoder
        return retriever

    @classmethod
    def open(cls, store: Path | str, encoder: EncoderRequest | str = "", *, index_kind: str = "auto") -> Retriever:
        """For searching: open the store that was used last, or that of an encoder.

        Raises:
            StoreError: nothing is indexed there, or not with this encoder.
        """
        folder, request = StoreFolder(store), EncoderRequest.of(encoder)
        path = folder.choose(request.name)
        folder.mark_used(path)
        return cls._opened(folder, path, request, index_kind)

    @classmethod
    def _opened(cls, folder: StoreFolder, path: Path, asked: EncoderRequest, index_kind: str) -> Retriever:
        recipe, request = noted_request(path, asked)
        return cls(folder, path, recipe, request, index_kind)

    # Indexing

    def add(
        self,
        paths: Sequence[Path | str],
        *,
        exclude: Sequence[str] = (),
        metadata: MetadataTable | None = None,
        modality: str = "",
        root: str = "",
        prune: bool = False,
        embedding: VolumeEmbedding | None = None,
        progress: ProgressCallback | None = None,
    ) -> IndexingReport:
        """Bring the store up to date with these files and folders.

        Unchanged volumes cost nothing, changed ones are replaced, moved ones recognized. Each volume is stored as soon
        as it is embedded. A file that cannot be read is reported, and the run continues.

        Args:
            exclude: patterns (fnmatch) of paths to leave out.
            metadata: attributes of files that do not state them.
            modality: of files whose modality nothing else states.
            root: name of the folder in the store, by which it is recognized elsewhere; its own name by default.
            prune: remove volumes below these paths whose files are gone.
            embedding: who reads and embeds the volumes: this process, or a cluster's workers (docs/CLUSTER.md).
            progress: see progress.py; may raise Cancelled.

        Raises:
            StoreLockedError: another process is indexing into this store.
            StoreReadOnlyError, StoreError
        """
        chosen = [Path(path) for path in paths]
        with self.writing() as store:
            roots = add_roots(store, chosen, root)
            report = self.index_into(
                store,
                chosen,
                roots=roots,
                exclude=exclude,
                metadata=metadata,
                modality=modality,
                embedding=embedding,
                progress=progress,
            )
            if not report.cancelled:
                report.gone = find_gone(store, roots, chosen)
                report.pruned = store.remove(report.gone) if prune else 0
            report.cancelled |= not self.update_indexes(store, progress)
        return report

    @contextmanager
    def writing(self) -> Iterator[VolumeStore]:
        """The store, opened for writing once for all steps of a run, of which :meth:`update_indexes` is the last.

        Raises: StoreLockedError: another process is writing to it. StoreReadOnlyError, StoreError
        """
        with VolumeStore.open(self.path, self.recipe, writable=True) as store:
            yield store

    def index_into(
        self,
        store: VolumeStore,
        paths: Sequence[Path] | Mapping[str, Sequence[Path]],
        *,
        roots: Roots,
        exclude: Sequence[str] = (),
        metadata: MetadataTable | None = None,
        modality: str = "",
        embedding: VolumeEmbedding | None = None,
        progress: ProgressCallback | None = None,
    ) -> IndexingReport:
        """Index into the store that :meth:`writing` has opened; the arguments are those of :meth:`add`.

        Args:
            paths: files and folders; or the files of DICOM series by SeriesInstanceUID.
            roots: the store's, with these paths in them.
        """
        try:
            discovery = discover(
                paths,
                root=roots,
                exclude=exclude,
                metadata=metadata,
                modality=modality,
                tokens=self.folder.tokens,
                scan_cache=ScanCache(self.folder.scan_cache_path),
                progress=progress,
            )
        except Cancelled:
            return IndexingReport(cancelled=True)
        embedding = embedding or InThisProcess(self.encoder())
        return index_volumes(discovery, store, embedding, roots, progress=progress)

    def remove(self, names: Sequence[str]) -> list[str]:
        """Remove volumes by id (or its beginning), path, or the folder they are in; returns their ids.

        Raises:
            UnknownVolumeError: a name fits no volume, or the beginning of an id fits several. Nothing is removed then.
        """
        with self.writing() as store:
            ids = sorted({volume_id for name in names for volume_id in ids_of(store, name)})
            store.remove(ids)
            self.update_indexes(store)
        return ids

    def rebuild(self, progress: ProgressCallback | None = None) -> bool:
        """Rebuild what is derived from the embeddings: pooled rows, and indexes (of this kind from now on).

        Returns False if `progress` (stages "pool" and "build", volumes) raised Cancelled; see searching/upkeep.py.
        """
        with self.writing() as store:
            return rebuild_derived(store, self._index_kind, progress)

    def add_outlines(self, progress: ProgressCallback | None = None) -> OutlinesReport:
        """Find the body's outlines of volumes that an older engine indexed without them (indexing/outlines.py).

        Their files are read again; their embeddings stay. Without outlines, places in plane are relative to the images.

        Args:
            progress: see progress.py; may raise Cancelled.

        Raises:
            StoreLockedError, StoreReadOnlyError, StoreError
        """
        with VolumeStore.open(self.path, self.recipe, writable=True) as store:
            return add_outlines(store, lambda record: read_again(store, record, self._tokens()), progress)

    def update_indexes(self, store: VolumeStore, progress: ProgressCallback | None = None) -> bool:
        """Bring up to date what searches need of a store that :meth:`writing` has opened (searching/upkeep.py).

        Returns False if `progress` (stage "build", volumes) raised Cancelled: the next run makes what is missing.
        """
        return update_derived(store, self._index_kind, progress)

    # Looking

    def encoder(self) -> Encoder:
        """The store's encoder, created when first needed; EncoderError, WeightsError or RecipeError if that fails."""
        if self._encoder is None:
            self._encoder = self.request.create_for(self.recipe)
        return self._encoder

    # Searching

    def search(
        self,
        query: Volume | Path | str,
        *,
        region: Region | None = None,
        crop: bool = False,
        options: SearchOptions | None = None,
        name: str = "",
        progress: ProgressCallback | None = None,
    ) -> SearchResult:
        """The volumes most like the query, and where in them it lies.

        Args:
            query: a volume; a file or folder to read one from; or the id of an indexed volume. A volume that is indexed
                and unchanged is not read again.
            region: the part of the query to search with.
            crop: also crop the slices to the region in plane.
            options: see SearchOptions.
            name: what to call the query; its path or the volume's own label by default.
            progress: called while a query that is not indexed is embedded, and while an index is built that is not
                there (stage "build", volumes); may raise Cancelled.

        Raises:
            QueryError, EmptyRegionError, UnreadableFileError, NotAVolumeError, EncoderError
        """
        clock = Stopwatch()
        session = self._session()
        searched = self._query(session, query, region, crop, name, progress)
        clock.lap("query")
        made_by = self.recipe.encoder if searched.stored else encoder_in_words(self.encoder())
        result = search_store(session, searched, options or SearchOptions(), self.path_of, clock, made_by, progress)
        return self._recent.keep(result, searched)

    def search_again(
        self, search_id: str, options: SearchOptions, progress: ProgressCallback | None = None
    ) -> SearchResult:
        """One of the last queries with other options, such as marked results; nothing is read but the store.

        Raises: UnknownSearchError: it is not among the last few. UnknownVolumeError: a marked volume was removed.
        """
        query, last = self._recent.query(search_id), self._recent.result(search_id)
        result = search_store(self._session(), query, options, self.path_of, encoder=last.encoder, progress=progress)
        return self._recent.keep(result, query)

    def similarity(self, search_id: str, key: int) -> np.ndarray:
        """S of one of the last searches and one volume, float32 [n_q, n_rows]; see RecentQueries.similarity."""
        return self._recent.similarity(search_id, self._session().store, key)

    def refined(
        self, search_id: str, key: int, query: Volume | None = None, progress: ProgressCallback | None = None
    ) -> Refinement:
        """A match of one of the last searches, registered (:meth:`refine`), by the key of its volume.

        Raises:
            UnknownSearchError: it is not among the last few. QueryError: no match of it has this key.
        """
        return self.refine(self._recent.result(search_id), self._recent.match(search_id, key), query, progress)

    def _query(
        self,
        session: SearchSession,
        query: Volume | Path | str,
        region: Region | None,
        crop: bool,
        name: str,
        progress: ProgressCallback | None,
    ) -> Query:
        if not isinstance(query, Volume):
            known = session.store.find(str(query)) is not None
            name = name or ("" if known else str(query))
            query = str(query) if known else self.resolve_query(query)
        if isinstance(query, str):
            record = known_record(session.store, query)
            name = name or self.path_of(record)
            if not crop:
                return query_from_store(session.store, record, name, region)
            query = self.read_again(record)
        label = name or query.files.label
        return query_from_volume(query, self.recipe, self.encoder(), label, region, crop, progress)

    def resolve_query(
        self,
        name: Path | str,
        *,
        volume: int | None = None,
        metadata: MetadataTable | None = None,
        modality: str = "",
    ) -> Volume | str:
        """Find out what a query means that a person typed.

        Args:
            name: a file or folder, or the id of an indexed volume (or its beginning).
            volume: which one, if the files hold several.
            metadata, modality: for files that do not state these themselves.

        Returns:
            The id of an indexed volume, if that is what the name or the unchanged files are; else the volume, read.
        """
        path = Path(name).expanduser()
        if not path.exists():
            return self.find(str(name)).volume_id
        return indexed_or_read(
            self._session().store, path, self._tokens(), volume=volume, metadata=metadata, modality=modality
        )

    def read_series(self, files: Sequence[Path | str], modality: str = "") -> Volume:
        """A query from the files of one series, whose patient is recognized among the indexed ones.

        Raises:
            UnreadableFileError, NotAVolumeError
        """
        return read_volume(files, tokens=self._tokens(), modality=modality)

    def as_series(self, identity: Identity, series_uid: str) -> Identity:
        """The identity of a volume that shows this DICOM series, but with voxels or positions of its own: with the
        series, and with its study and patient where the series is indexed."""
        record = next(iter(self._session().store.find_series(series_uid)), None)
        known = record.identity if record is not None else Identity("", "")
        tokens = {"study_token": known.study_token, "patient_token": known.patient_token}
        return replace(identity, series_uid=series_uid, **tokens)

    def write_report(self, result: SearchResult, file: Path | str) -> Path:
        """Write a self-contained HTML page of a result.

        Its pictures are drawn from the volumes where these can still be read, and are the store's small ones otherwise.
        """
        picture = pictures_of_volumes(
            lambda match: self.volume_of(result, match), self.recipe, result.query_table.index
        )
        return write_report(result, file, self.thumbnail, picture=picture)
