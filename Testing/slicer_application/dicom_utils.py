"""DICOMLib.DICOMUtils, as far as it is used: temporary databases, importing, loading scalar volumes.

Read in Slicer 5.12, Modules/Scripted/DICOMLib/DICOMUtils.py. In place of DICOMScalarVolumePlugin, which needs Slicer's
own readers, the slices of a series are read by SimpleITK in the order of their positions; what the plugin notes on the
node and in the subject hierarchy is noted here, too (DICOMScalarVolumePlugin.py, line 483; DICOMPlugin.py).
"""

from __future__ import annotations

import shutil
import tempfile
import types
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
import slicer
import slicer.util


class TemporaryDICOMDatabase:
    def __init__(self, directory=None):
        self._folder = directory or tempfile.mkdtemp(prefix="TempDICOMDatabase", dir=slicer.app.temporaryPath)
        self._before = ""

    def __enter__(self):
        self._before = slicer.dicomDatabase.databaseFilename
        Path(self._folder).mkdir(exist_ok=True)
        slicer.dicomDatabase.openDatabase(f"{self._folder}/ctkDICOM.sql")
        return slicer.dicomDatabase

    def __exit__(self, *_):
        # closeTemporaryDatabase: the folder stays, only what is in the database is removed.
        slicer.dicomDatabase.closeDatabase()
        if self._before:
            slicer.dicomDatabase.openDatabase(self._before)


def importDicom(dicomDataDir, dicomDatabase=None, copyFiles=False):
    database = dicomDatabase or slicer.dicomDatabase
    files = [file for file in Path(dicomDataDir).rglob("*") if file.is_file() and pydicom.misc.is_dicom(file)]
    if copyFiles:
        files = [_copy(file, Path(database.databaseDirectory) / "dicom") for file in files]
    database._qt.importFiles(files)
    return True


def _copy(file, folder):
    header = pydicom.dcmread(file, stop_before_pixels=True)
    target = folder / header.StudyInstanceUID / header.SeriesInstanceUID / f"{header.SOPInstanceUID}.dcm"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, target)
    return target


class Loadable:
    def __init__(self, files):
        self.files = files
        self.selected = False


def getLoadablesFromFileLists(fileLists, pluginClassNames=None):
    if not isinstance(fileLists, list) or not isinstance(fileLists[0], tuple | list):
        raise TypeError("File lists must contain a non-empty list of tuples/lists")
    return {"DICOMScalarVolumePlugin": [Loadable(list(files)) for files in fileLists]}, True


def loadLoadables(loadablesByPlugin):
    chosen = [one for loadables in loadablesByPlugin.values() for one in loadables if one.selected]
    return [_load(one.files).GetID() for one in chosen]


def loadSeriesByUID(seriesUIDs, messages=None, progressCallback=None, enabledPluginClassNames=None):
    if not isinstance(seriesUIDs, list):
        raise ValueError("SeriesUIDs must contain a list")
    return [_load(list(slicer.dicomDatabase.filesForSeries(uid))).GetID() for uid in seriesUIDs]


def _load(files):
    headers = {file: pydicom.dcmread(file, stop_before_pixels=True) for file in files}
    first = next(iter(headers.values()))
    normal = np.cross(first.ImageOrientationPatient[:3], first.ImageOrientationPatient[3:])
    ordered = sorted(files, key=lambda file: float(normal @ np.array(headers[file].ImagePositionPatient)))
    image = sitk.ReadImage([str(file) for file in ordered])
    toRAS = np.diag([-1.0, -1.0, 1.0])
    matrix = np.eye(4)
    matrix[:3, :3] = toRAS @ np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = toRAS @ image.GetOrigin()
    node = slicer.util.addVolumeFromArray(
        sitk.GetArrayFromImage(image), ijkToRAS=matrix, name=str(first.get("SeriesDescription", "series"))
    )
    node.SetAttribute("DICOM.instanceUIDs", " ".join(str(headers[file].SOPInstanceUID) for file in ordered))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(node)
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName()
    hierarchy.SetItemUID(item, name, str(first.SeriesInstanceUID))
    hierarchy.SetItemAttribute(item, "DICOM.Modality", str(first.get("Modality", "")))
    return node


package = types.ModuleType("DICOMLib")
