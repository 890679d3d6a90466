"""Between files on disk and volumes in a store: is this one indexed, and where is that one to be read?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..errors import UnreadableFileError
from ..patients import PatientTokens
from ..reading import MetadataTable, VolumeSource, discover, find_volume
from ..store import VolumeRecord
from ..store.reader import StoreReader
from ..store.volume_names import path_of, roots_of
from ..volume import Volume


def indexed_or_read(
    store: StoreReader,
    path: Path,
    tokens: PatientTokens,
    *,
    volume: int | None = None,
    metadata: MetadataTable | None = None,
    modality: str = "",
) -> Volume | str:
    """The id of the indexed volume that these files are, unchanged; else the volume, read.

    Args:
        path: a file, or the folder of a series.
        tokens: the store's.
        volume: which one, if the files hold several.
        metadata, modality: for files that do not say it themselves.
    """
    found = indexed_or_found(store, path, tokens, volume=volume, metadata=metadata, modality=modality)
    return found.read() if isinstance(found, VolumeSource) else found.volume_id


def indexed_or_found(
    store: StoreReader,
    path: Path,
    tokens: PatientTokens,
    *,
    volume: int | None = None,
    metadata: MetadataTable | None = None,
    modality: str = "",
) -> VolumeRecord | VolumeSource:
    """As :func:`indexed_or_read`, without reading the voxels."""
    roots = roots_of(store)
    roots.add(path)
    source = find_volume(path, volume=volume, roots=roots, metadata=metadata, modality=modality, tokens=tokens)
    known = store.find(source.identity.volume_id)
    return source if known is None or known.fingerprint != source.identity.fingerprint else known


def read_again(store: StoreReader, record: VolumeRecord, tokens: PatientTokens) -> Volume:
    """An indexed volume, read from where its files are now; what it is stays as it was indexed.

    A metadata table may have said the modality, which decides on the intensities, and the patient.

    Raises:
        UnreadableFileError, NotAVolumeError: its files are gone, or have become something else.
    """
    return replace(found_again(store, record, tokens).read(), identity=record.identity, attributes=record.attributes)


def found_again(store: StoreReader, record: VolumeRecord, tokens: PatientTokens) -> VolumeSource:
    """As :func:`read_again`, without reading the voxels; what it is, is what its files say now."""
    roots = roots_of(store)
    found = discover(roots.absolute(record.files), root=roots, tokens=tokens)
    source = next((one for one in found.sources if one.identity.volume_id == record.volume_id), None)
    if source is None:
        path = path_of(roots, record)
        raise UnreadableFileError(path, "no longer holds the volume that was indexed; index it again")
    return source
