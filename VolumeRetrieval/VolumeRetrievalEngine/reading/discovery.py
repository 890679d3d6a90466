"""Finds the volumes below some paths, without reading a voxel."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..patients import PatientTokens
from ..progress import Progress, ProgressCallback
from ..roots import Root, Roots, absolute_path
from ..volume import Attributes, Identity, file_volume_id
from .dicom.header import STUDY_ISSUER, failed, looks_like_dicom, read_dicom_facts, skipped
from .dicom.volumes import FoundSlice, volumes_of_series
from .facts import FileFacts, FileStamp, ImageFacts, Shared
from .file_walk import FileWalk
from .image_files.headers import image_ending
from .image_files.image_file import ImageFileSource, header_of_voxels, read_image_facts
from .metadata import MetadataRow, MetadataTable, described, modality_name, read_sidecar
from .quiet import quiet
from .reasons import EMPTY, not_readable, reason_of
from .scan_cache import ScanCache
from .series_patients import SeriesPatients
from .source import Discovery, Skipped, VolumeSource

_log = logging.getLogger(__name__)

_DICOM_ENDINGS = (".dcm", ".dicom", ".ima")
_HEAD_BYTES = 132
_TELL_EVERY = 50
#: Files whose facts are put into the cache at once.
_KEPT_TOGETHER = 2000
NOT_AN_IMAGE = "not an image"
_NOTHING_KNOWN = Attributes()


def discover(
    paths: Sequence[Path] | Mapping[str, Sequence[Path]],
    *,
    root: Root | Roots,
    exclude: Sequence[str] = (),
    metadata: MetadataTable | None = None,
    modality: str = "",
    tokens: PatientTokens,
    scan_cache: ScanCache | None = None,
    progress: ProgressCallback | None = None,
) -> Discovery:
    """The volumes in these files and below these folders, ordered by path.

    Args:
        paths: files and folders, of any mixture of formats; or the files of DICOM series by their SeriesInstanceUID,
            so that what is left out says of which series it is, even where the file cannot be read.
        root: what paths are stored relative to; folders outside the given `Roots` are added to them.
        exclude: fnmatch patterns on the path relative to its root and on the absolute path.
        metadata, modality: for files that do not say themselves what they are.
        tokens: turns patients and studies into tokens.
        scan_cache: spares opening files that have not changed.
        progress: called with Progress("scan", files done, files, path); Cancelled goes through.
    """
    roots = root if isinstance(root, Roots) else Roots([root])
    named = paths if isinstance(paths, Mapping) else {"": paths}
    groups = {uid: [Path(path) for path in group] for uid, group in named.items()}
    for path in (path for group in groups.values() for path in group):
        roots.add(path)
    walk = FileWalk(roots, exclude, progress)
    found = {uid: walk.files(group) for uid, group in groups.items()}
    stamps = sorted((stamp.path, uid, stamp) for uid, one in found.items() for stamp in one.stamps)
    scan = _Scan(roots, metadata, modality_name(modality), tokens, scan_cache, progress)
    discovery = scan.run([(stamp, uid) for _, uid, stamp in stamps])
    discovery.skipped += [replace(left_out, series_uid=uid) for uid, one in found.items() for left_out in one.skipped]
    discovery.sources.sort(key=lambda source: (str(source.path), source.files.paths, source.identity.volume_id))
    discovery.skipped.sort(key=lambda one: str(one.path))
    if scan_cache is not None:
        present = {path for path, _, _ in stamps}
        for path in map(absolute_path, groups.get("", ())):
            if path.is_dir():  # of a list of files nothing is known about their neighbors
                scan_cache.forget_missing(path, present)
    if metadata is not None and (unused := metadata.unused()):
        # Some rows may be of other folders; a table without a single right path is hardly what was meant.
        level = logging.WARNING if len(unused) == len(metadata) else logging.INFO
        told = "%d of %d rows of the metadata table name no volume that was found (paths count from the table's folder)"
        _log.log(level, told, len(unused), len(metadata))
    _log.info("%d volumes, %d files left out", len(discovery.sources), len(discovery.skipped))
    return discovery


@dataclass
class _Scan:
    """Opens the files one by one and puts what they hold together."""

    roots: Roots
    metadata: MetadataTable | None
    modality: str
    tokens: PatientTokens
    cache: ScanCache | None
    progress: ProgressCallback | None
    shared: Shared = field(default_factory=Shared)
    patients: SeriesPatients = field(default_factory=SeriesPatients)
    new: list[tuple[FileStamp, FileFacts]] = field(default_factory=list)  # not in the cache yet

    def run(self, stamps: Sequence[tuple[FileStamp, str]]) -> Discovery:
        """What these files hold; with each, the series that it is said to be of ("" if nothing is said)."""
        discovery = Discovery()
        series: dict[str, list[FoundSlice]] = {}
        if self.cache is not None:
            self.cache.bind(self.tokens)
        try:
            with quiet():
                for number, (stamp, uid) in enumerate(stamps):
                    if self.progress is not None and number % _TELL_EVERY == 0:
                        self.progress(Progress("scan", number, len(stamps), stamp.path))
                    self._sort_in(stamp, uid, series, discovery)
        finally:
            self._keep_new()
        for uid, found in series.items():
            self._put_together(uid, found, discovery)
        if self.progress is not None:
            self.progress(Progress("scan", len(stamps), len(stamps)))
        return discovery

    def _sort_in(self, stamp: FileStamp, uid: str, series: dict[str, list[FoundSlice]], discovery: Discovery) -> None:
        path = Path(stamp.path)
        try:
            facts = self._facts(stamp)
            if facts.image is not None:
                discovery.sources.append(self._image_source(stamp, facts.image))
                return
        except Exception as error:  # whatever one file does, the others are found
            facts = failed(reason_of(error, path))
        if facts.series is not None:
            of_series = series.setdefault(facts.series.series_uid, [])
            of_series += [FoundSlice(stamp, one, facts.series) for one in facts.slices]
        else:
            discovery.skipped.append(Skipped(path, facts.skip, facts.failed, uid))

    def _put_together(self, uid: str, found: Sequence[FoundSlice], discovery: Discovery) -> None:
        """The volumes of one series; whatever its headers do, the other series are found."""
        try:
            sources, too_small = volumes_of_series(found, self.roots)
            completed = [
                replace(whole, attributes=self.patients.removed_from(uid, whole.attributes))
                for whole in (self._completed(one, Path(one.slice_paths[0])) for one in sources)
            ]
        except Exception as error:
            for path in dict.fromkeys(one.stamp.path for one in found):
                discovery.skipped.append(Skipped(Path(path), reason_of(error, Path(path)), True, uid))
            return
        discovery.sources += completed
        discovery.skipped += [replace(one, series_uid=uid) for one in too_small]

    def _facts(self, stamp: FileStamp) -> FileFacts:
        name = stamp.path.replace("\\", "/").rpartition("/")[2]
        if name.startswith("._") or name == ".DS_Store":  # what macOS leaves on other file systems
            return skipped(NOT_AN_IMAGE)
        if image_ending(name):
            # Facts of a header without voxels would outlive a change of the file that holds them.
            cached = not name.lower().endswith((".nhdr", ".mhd", ".hdr"))
            return self._remembered(stamp, lambda: read_image_facts(stamp)) if cached else read_image_facts(stamp)
        return self._remembered(stamp, lambda: self._dicom_facts(stamp, name))

    def _remembered(self, stamp: FileStamp, read: Callable[[], FileFacts]) -> FileFacts:
        facts = None if self.cache is None else self.cache.get(stamp)
        if facts is None:
            facts = read()
            self.new.append((stamp, facts))
            if len(self.new) >= _KEPT_TOGETHER:
                self._keep_new()
        return facts.shared_by(self.shared)

    def _keep_new(self) -> None:
        """Put what was read into the cache: late, when the other files of a series may have named the patient."""
        if self.cache is not None:
            for stamp, facts in self.new:
                self.cache.put(stamp, self.patients.removed_from_facts(facts))
            self.cache.flush()
        self.new.clear()

    def _dicom_facts(self, stamp: FileStamp, name: str) -> FileFacts:
        path = Path(stamp.path)
        dicom_ending = name.lower().endswith(_DICOM_ENDINGS)
        if stamp.size == 0:  # also what systems show as files without a size, some of which wait for ever
            return failed(EMPTY) if dicom_ending else skipped(NOT_AN_IMAGE)
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
        except OSError as error:
            return failed(not_readable(error))
        if looks_like_dicom(head):
            return read_dicom_facts(path, stamp.size, self.tokens, self.patients)
        if header := header_of_voxels(path):
            return skipped(f"the voxels of {header}")
        if not dicom_ending:
            return skipped(NOT_AN_IMAGE)
        return failed("not DICOM, though its name says so: damaged or truncated; copy or export it again")

    def _image_source(self, stamp: FileStamp, image: ImageFacts) -> VolumeSource:
        path = Path(stamp.path)
        root, relative = self.roots.resolve(path)
        sidecar, notes = read_sidecar(path)
        source = ImageFileSource(
            identity=Identity(file_volume_id(root, relative), image.fingerprint),
            files=self.roots.source_files([path]),
            attributes=Attributes(),
            notes=(*image.notes, *notes),
            size_bytes=stamp.size,
            path=path,
            n_slices=image.shape[2],
        )
        return self._completed(source, path, sidecar)

    def _completed(self, source: VolumeSource, file: Path, sidecar: Attributes = _NOTHING_KNOWN) -> VolumeSource:
        """With what the table, the option and the sidecar say where the header says nothing."""
        row = MetadataRow()
        if self.metadata is not None:
            row = self.metadata.find(file, self.roots.path_of(source.files.root)) or row
        identity = source.identity
        return replace(
            source,
            attributes=described(source.attributes, row, self.modality, sidecar),
            identity=replace(
                identity,
                patient_token=identity.patient_token or self.tokens.token("", row.patient),
                study_token=identity.study_token or self.tokens.token(STUDY_ISSUER, row.study),
            ),
        )
