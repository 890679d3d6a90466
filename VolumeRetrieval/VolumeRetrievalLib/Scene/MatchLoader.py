"""Loading a match: exactly the volume that was indexed, once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.errors import NotAnsweringError, VolumeRetrievalError
from VolumeRetrievalEngine.searching.match import Match
from VolumeRetrievalEngine.united.answering import AnsweringFolders

from ..Database import OtherIndex
from ..Database.IndexContents import IndexContents, IndexedVolume
from .LoadedVolumes import LoadedVolumes

#: Loading stops the application anyway, but not for ever where a share hangs.
_PATIENCE_SECONDS = 5.0

_SOP_INSTANCE_UID = "0008,0018"

#: Position, orientation and pixel spacing: what sliceCornersFromDICOM (DICOMScalarVolumePlugin.py) asks for.
_GEOMETRY = ("0020,0032", "0020,0037", "0028,0030")


class VolumeReader(Protocol):
    """What is asked of Slicer's readers."""

    def load(self, files: Sequence[str]) -> Any:
        """The volume node of exactly these DICOM files; None if Slicer finds no volume of just these in them."""

    def loadFile(self, file: str) -> Any:
        """The volume node of an image file; RuntimeError with Slicer's own text."""


class SlicerReader:
    """DICOMScalarVolumePlugin, through DICOMUtils (Slicer 5.12, DICOMLib/DICOMUtils.py: getLoadablesFromFileLists wants
    a list of lists, loadLoadables loads what is selected and returns the IDs of all nodes that were added).

    A series can hold several volumes: the plugin offers each of them, and all files together; the one of these very
    files is taken. loadByInstanceUID would take the one of all files.
    """

    def load(self, files: Sequence[str]) -> Any:
        from DICOMLib import DICOMUtils

        _cacheGeometry(files)
        byPlugin, _enabled = DICOMUtils.getLoadablesFromFileLists([list(files)], ["DICOMScalarVolumePlugin"])
        wanted = {Path(file) for file in files}
        for plugin, loadables in byPlugin.items():
            for loadable in loadables:
                if {Path(file) for file in loadable.files} == wanted:
                    loadable.selected = True
                    return _volumeAmong(DICOMUtils.loadLoadables({plugin: [loadable]}))
        return None

    def loadFile(self, file: str) -> Any:
        return slicer.util.loadVolume(slicer.util.longPath(file))  # raises RuntimeError: util.py, loadNodeFromFile


class MatchLoader:
    """Finds the files of an indexed volume and loads them, unless they are loaded."""

    def __init__(self, loaded: LoadedVolumes, reader: VolumeReader | None = None):
        self._loaded = loaded
        self._reader = reader or SlicerReader()
        self._answering = AnsweringFolders(_PATIENCE_SECONDS)

    def loadMatch(self, match: Match, contents: IndexContents) -> Any:
        """The volume node; RuntimeError with what to do if the volume cannot be had. `contents` are those of the open
        database's index; a match of another one says itself where its files are."""
        if not OtherIndex.isElsewhere(match, contents.folder):
            return self.load(match.volume_id, contents)
        volume = OtherIndex.volumeOf(match)
        if (node := self._loaded.find(volume)) is not None:
            return node
        try:
            # Of a whole archive, which is waited for once, and not for each of its series.
            self._answering.check(OtherIndex.archiveOf(match))
        except NotAnsweringError as error:
            text = _("The folder of this volume does not answer: {folder}. Is its server on, and connected?")
            raise RuntimeError(text.format(folder=volume.files[0].parent)) from error
        missing = _missing(volume)
        if missing:
            text = _(
                "{count} of {total} files of this volume are not here, for example {file}. That is where the index "
                "{index} has them: connect that share or drive at the same path, or load the volume from where it is."
            )
            raise RuntimeError(
                text.format(count=len(missing), total=len(volume.files), file=missing[0], index=match.store)
            )
        return self._readAndNote(volume)

    def load(self, volumeID: str, contents: IndexContents) -> Any:
        """The volume node; RuntimeError with what to do if the volume cannot be had any more."""
        try:
            volume = contents.volume(volumeID)
        except LookupError as error:
            raise RuntimeError(_("This volume is no longer in the index: search again.")) from error
        except VolumeRetrievalError as error:  # the index was removed or damaged since
            raise RuntimeError(_("The index can no longer be read: update it, and search again.")) from error
        if (node := self._loaded.find(volume)) is not None:
            return node
        missing = _missing(volume)
        if missing:
            text = _("{count} of {total} files of this volume are missing, for example {file}. Update the index.")
            raise RuntimeError(text.format(count=len(missing), total=len(volume.files), file=missing[0]))
        return self._readAndNote(volume)

    def loadFiles(self, files: Sequence[str]) -> Any:
        """The volume node of the files of a series that is not in the index; RuntimeError if they are none."""
        node = self._reader.load(files)
        if node is None:
            raise RuntimeError(_("Slicer finds no volume of just these files: {file} ...").format(file=files[0]))
        return node

    def _readAndNote(self, volume: IndexedVolume) -> Any:
        node = self._read(volume)
        self._loaded.noteLoaded(node, volume.volumeID)
        return node

    def _read(self, volume: IndexedVolume) -> Any:
        if not volume.seriesUID:
            return self._reader.loadFile(str(volume.files[0]))
        node = self._reader.load([str(file) for file in volume.files])
        if node is None:
            raise RuntimeError(
                _(
                    "Slicer does not load this volume as it was indexed: {folder}. Load the series in the DICOM "
                    "module, with Advanced checked, to see how it divides the series."
                ).format(folder=volume.files[0].parent)
            )
        return node


def _cacheGeometry(files: Sequence[str]) -> None:
    """Let the database know where the slices in those files lie that it does not hold.

    The plugin reads files, whether the database holds them or not (ctkDICOMDatabase::fileValue). But where slices are
    unevenly spaced, or the gantry was tilted, it corrects the volume by what the database knows of *instances*
    (instanceValue): of others nothing, so that such a volume would be loaded uncorrected. The tag cache is asked first.
    """
    database = slicer.dicomDatabase
    if database is None or not database.isOpen:
        return
    for file in files:
        if database.instanceForFile(file):
            continue
        if instance := database.fileValue(file, _SOP_INSTANCE_UID):
            for tag in _GEOMETRY:
                database.cacheTag(instance, tag, database.fileValue(file, tag))


def _missing(volume: IndexedVolume) -> list[Path]:
    """Its files that are not where the index has them."""
    return [file for file in volume.files if not _isThere(file)]


def _isThere(file: Path) -> bool:
    """A relative path is one whose folder the index does not know."""
    try:
        return file.is_absolute() and file.is_file()
    except OSError:  # not for this account, or on a share that has gone
        return False


def _volumeAmong(identifiers: Sequence[str]) -> Any:
    nodes = (slicer.mrmlScene.GetNodeByID(identifier) for identifier in identifiers)
    return next((node for node in nodes if node is not None and node.IsA("vtkMRMLScalarVolumeNode")), None)
