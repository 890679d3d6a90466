"""Which volumes of the scene are volumes of the index, and whether somebody has changed their voxels since."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk

from ..Database.IndexContents import IndexContents, IndexedVolume
from .WorldTransform import isAcquisitionTransform, scalarVolumes

#: On a volume node that was loaded for a match: the id of the indexed volume.
_VOLUME_ID = "VolumeRetrieval.VolumeID"

#: As DICOMScalarVolumePlugin.py sets it: the instances of the slices, separated by blanks.
_INSTANCE_UIDS = "DICOM.instanceUIDs"


class LoadedVolumes:
    """Watches what is loaded into the scene.

    Whether voxels are as they were loaded cannot be asked of the node: GetModifiedSinceRead compares with the time of a
    storage node (vtkMRMLStorableNode.cxx), which volumes from DICOM do not have. So the time of the image data is noted
    when it was loaded; of volumes that were there before, nothing is known.
    """

    def __init__(self) -> None:
        self._times: dict[str, int] = {}  # of the image data, by node ID
        self._added: list[str] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._noteAdded)
        self._tag: int | None = None

    def start(self) -> None:
        self._tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, self._onNodeAdded)

    def stop(self) -> None:
        if self._tag is not None:
            slicer.mrmlScene.RemoveObserver(self._tag)
            self._tag = None
        self._timer.stop()

    def noteLoaded(self, volumeNode: Any, volumeID: str) -> None:
        """This node was just loaded for this volume of the index."""
        volumeNode.SetAttribute(_VOLUME_ID, volumeID)
        self._note(volumeNode)

    def find(self, volume: IndexedVolume) -> Any:
        """The node that holds this volume of the index; None if it is not loaded."""
        return next((node for node in scalarVolumes() if self._holds(node, volume)), None)

    def indexedVolume(self, volumeNode: Any, contents: IndexContents) -> IndexedVolume | None:
        """The volume of the index that this node shows, with voxels and positions as they were indexed; else None."""
        parent = volumeNode.GetParentTransformNode()
        if parent is not None and not isAcquisitionTransform(parent):
            return None
        if not self._isAsLoaded(volumeNode):
            return None
        volumes = contents.volumesOfSeries(_hierarchyUID(volumeNode))
        return next((one for one in volumes if self._holds(volumeNode, one)), None)

    def _holds(self, node: Any, volume: IndexedVolume) -> bool:
        if node.GetAttribute(_VOLUME_ID) == volume.volumeID:
            return True
        instances = (node.GetAttribute(_INSTANCE_UIDS) or "").split()
        return bool(
            volume.seriesUID
            and volume.instanceUIDs
            and _hierarchyUID(node) == volume.seriesUID
            and len(instances) == len(volume.files)
            and volume.instanceUIDs <= set(instances)
        )

    def _isAsLoaded(self, node: Any) -> bool:
        image = node.GetImageData()
        return image is not None and self._times.get(node.GetID()) == image.GetMTime()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, scene: Any, event: str, node: Any) -> None:
        if node.IsA("vtkMRMLScalarVolumeNode"):
            # Its voxels, attributes and reversed slices follow before the event loop goes on (DICOMScalarVolumePlugin).
            self._added.append(node.GetID())
            self._timer.start(0)

    def _noteAdded(self) -> None:
        added, self._added = self._added, []
        for identifier in added:
            node = slicer.mrmlScene.GetNodeByID(identifier)
            if node is not None and node.GetAttribute(_INSTANCE_UIDS):
                self._note(node)

    def _note(self, node: Any) -> None:
        if node.GetImageData() is not None:
            self._times[node.GetID()] = node.GetImageData().GetMTime()


def seriesUID(volumeNode: Any) -> str:
    """The SeriesInstanceUID that the node was loaded from; "" for one that is not from DICOM.

    The subject hierarchy knows it at once after loading, keeps it in a saved scene, and is not concerned with
    transforms. A copy of a volume is of the same series: it has no UID there, but the instances.
    """
    if uid := _hierarchyUID(volumeNode):
        return uid
    instances = (volumeNode.GetAttribute(_INSTANCE_UIDS) or "").split()
    database = slicer.app.dicomDatabase()
    if not instances or database is None or not database.isOpen:
        return ""
    # ctkDICOMDatabase.h; each is one SQL query, and "" for what it does not hold.
    file = database.fileForInstance(instances[0])
    return database.seriesForFile(file) if file else ""


def _hierarchyUID(volumeNode: Any) -> str:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(volumeNode)
    # DICOMPlugin.py, addSeriesInSubjectHierarchy; the name is vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName().
    return hierarchy.GetItemUID(item, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName()) if item else ""
