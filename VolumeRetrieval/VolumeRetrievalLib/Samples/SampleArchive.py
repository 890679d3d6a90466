"""Sample data: phantom patients, made on this computer, for the Sample Data module and for the self test.

Read in Slicer 5.12, SampleData.py: a data source needs uris, file names and node names of one length even if it has a
downloader of its own; the downloader is called with the source when its button is clicked (nothing looks at what it
returns), and not by SampleData.downloadSample, which would try the uris.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

if TYPE_CHECKING:  # this module is imported whenever Slicer starts, the engine only when it is needed
    from VolumeRetrievalEngine.progress import Progress, ProgressCallback

CATEGORY = "VolumeRetrieval"
PATIENTS = 12


def register(icons: Path) -> None:
    """Add both samples to the Sample Data module; their thumbnails are in this folder."""
    import SampleData

    logic = SampleData.SampleDataLogic
    logic.registerCustomSampleDataCategory(CATEGORY, title=_("Volume Retrieval"))
    for name, downloader in (("PhantomArchive", onArchiveChosen), ("PhantomQuery", onQueryChosen)):
        logic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=name,
            uris="",
            fileNames="",
            nodeNames=name,
            thumbnailFileName=str(icons / f"{name}.png"),
            customDownloader=downloader,
        )


def onArchiveChosen(source: Any) -> None:
    """Its button in the Sample Data module was clicked."""
    with slicer.util.tryWithErrorDisplay(_("The phantom archive could not be made."), waitCursor=True):
        series = importArchive(progress=_ProgressDialog())
        if series:
            text = _("{n} series of phantom patients are in the DICOM database.")
            slicer.util.showStatusMessage(text.format(n=len(series)), 5000)


def onQueryChosen(source: Any) -> None:
    """Its button in the Sample Data module was clicked."""
    with slicer.util.tryWithErrorDisplay(_("The phantom could not be made."), waitCursor=True):
        loadQuery()


def importArchive(
    patients: int = PATIENTS,
    spacingMm: tuple[float, float] | None = None,
    fieldsOfView: tuple[str, ...] | None = None,
    progress: ProgressCallback | None = None,
) -> list[str]:
    """Make an archive of phantom patients and copy it into the open DICOM database.

    Returns:
        The SeriesInstanceUIDs; none if `progress` has cancelled. They are the same every time, so that doing it again
        adds nothing.

    Raises:
        RuntimeError: no database is open, or it did not take the files.
    """
    from DICOMLib import DICOMUtils
    from VolumeRetrievalEngine.phantoms import write_archive
    from VolumeRetrievalEngine.progress import Cancelled

    database = slicer.app.dicomDatabase()
    if database is None or not database.isOpen:
        raise RuntimeError(_("No DICOM database is open: open the DICOM module once, then try again."))
    with tempfile.TemporaryDirectory(prefix="VolumeRetrievalPhantoms-", dir=slicer.app.temporaryPath) as folder:
        try:
            series = write_archive(
                folder, patients, fields_of_view=fieldsOfView, spacing_mm=spacingMm, progress=progress
            )
        except Cancelled:
            return []
        # DICOMUtils.importDicom: of this object, not of slicer.dicomDatabase, which is not there before the DICOM
        # module has made it (DICOM.py, initializeDICOMDatabase). It waits until the files are in.
        DICOMUtils.importDicom(folder, database, copyFiles=True)
    found = [one.series_uid for one in series if database.filesForSeries(one.series_uid)]
    if len(found) < len(series):
        text = _("The DICOM database took {n} of {total} series: {folder}")
        raise RuntimeError(text.format(n=len(found), total=len(series), folder=database.databaseDirectory))
    return found


def loadQuery(spacingMm: tuple[float, float] | None = None) -> tuple[Any, Any]:
    """A scan of a phantom patient who is not in the archive, and a segmentation of the liver in it, in the scene."""
    from VolumeRetrievalEngine.phantoms import make_query

    query = make_query(spacing_mm=spacingMm)
    volume = slicer.util.addVolumeFromArray(query.scan.voxels, ijkToRAS=query.scan.affine, name="PhantomQuery")
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)
    volume.GetDisplayNode().SetWindowLevel(400, 40)
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "PhantomQuery organs")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment = segmentation.GetSegmentation().AddEmptySegment(query.organ, query.organ)
    slicer.util.updateSegmentBinaryLabelmapFromArray(query.mask.astype("uint8"), segmentation, segment, volume)
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume, segmentation


class _ProgressDialog:
    """Tells how far the archive is, and stops it when the user says so."""

    def __init__(self) -> None:
        self._dialog: Any = None

    def __call__(self, step: Progress) -> None:
        from VolumeRetrievalEngine.progress import Cancelled

        if self._dialog is None:
            self._dialog = slicer.util.createProgressDialog(
                maximum=step.total, labelText=_("Making phantom patients..."), windowTitle=_("Sample data")
            )
        self._dialog.value = step.done
        slicer.app.processEvents()
        if self._dialog.wasCanceled:
            raise Cancelled
        if step.done == step.total:
            self._dialog.close()
