"""A DICOM database of phantoms, open in the application, and how its series are loaded without Slicer's plugins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import slicer
import vtk
from slicer import util
from VolumeRetrievalEngine.phantoms import ArchivedSeries, write_archive
from VolumeRetrievalEngine.reading import read_volume
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.slicer_database.database_file import read_series
from VolumeRetrievalEngine.slicer_database.index_series import index_series

COARSE = (10.0, 12.0)


def writePhantoms(folder: Path, patients: int = 2, views: tuple[str, ...] = ("chest", "head")) -> list[ArchivedSeries]:
    return write_archive(folder, patients, fields_of_view=views, spacing_mm=COARSE)


def openDatabase(folder: Path) -> None:
    slicer.dicomDatabase.openDatabase(str(folder / "ctkDICOM.sql"))


def importSeries(series: Sequence[ArchivedSeries]) -> None:
    """As an importer does: only databaseChanged tells."""
    slicer.dicomDatabase._qt.importFiles([file for one in series for file in one.files])


def indexDatabase(folder: Path, encoder: str = "descriptor", **how: Any) -> None:
    """As a nightly run does, usually with the encoder that needs nothing; `how` is of Retriever.create."""
    index_series(Retriever.create(folder / "VolumeRetrieval", encoder, **how), read_series(folder))


def makeIndexedDatabase(folder: Path, series: Sequence[ArchivedSeries]) -> Path:
    """A database in this folder that holds the series and is indexed; it is closed again. Returns the folder."""
    openDatabase(folder)
    importSeries(series)
    slicer.dicomDatabase.closeDatabase()
    indexDatabase(folder)
    return folder


def nodeOf(volume, name: str = "volume"):
    """A volume node with these voxels and this geometry."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    matrix = vtk.vtkMatrix4x4()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, volume.affine[row, column])
    node.SetIJKToRASMatrix(matrix)
    util.updateVolumeFromArray(node, np.ascontiguousarray(volume.voxels))
    return node


class PhantomReader:
    """What Slicer's readers do, as far as the module sees it: voxels, instance UIDs, place in the hierarchy."""

    def __init__(self):
        self.loaded: list[list[str]] = []

    def load(self, files: Sequence[str]):
        self.loaded.append(list(files))
        headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
        node = nodeOf(read_volume(list(files)), str(headers[0].SeriesDescription))
        node.SetAttribute("DICOM.instanceUIDs", " ".join(str(one.SOPInstanceUID) for one in headers))
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        item = hierarchy.GetItemByDataNode(node)
        hierarchy.SetItemUID(item, "DICOM", str(headers[0].SeriesInstanceUID))
        hierarchy.SetItemAttribute(item, "DICOM.Modality", str(headers[0].Modality))
        return node

    def loadFile(self, file: str):
        return nodeOf(read_volume(file), "image")
