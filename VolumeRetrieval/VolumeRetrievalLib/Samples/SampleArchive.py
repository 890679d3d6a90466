"""Sample data: phantom patients, made on this computer, for the Sample Data module and for the self test.

Read in Slicer 5.12, SampleData.py: a data source needs uris, file names and node names of one length even if it has a
downloader of its own; the downloader is called with the source when its button is clicked (nothing looks at what it
returns), and not by SampleData.downloadSample, which would try the uris.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from ..Processes.PrivateFolders import PrivateFolders
from .Aside import runAside

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
    dialog = _ProgressDialog()
    with slicer.util.tryWithErrorDisplay(_("The phantom archive could not be created.")):
        try:
            series = importArchive(progress=dialog)
        finally:
            dialog.close()
        if series:
            text = _("{n} series of phantom patients are in the DICOM database.")
            slicer.util.showStatusMessage(text.format(n=len(series)), 5000)


def onQueryChosen(source: Any) -> None:
    """Its button in the Sample Data module was clicked."""
    with slicer.util.tryWithErrorDisplay(_("The phantom could not be created."), waitCursor=True):
        loadQuery()


def importArchive(
    patients: int = PATIENTS,
    spacingMm: tuple[float, float] | None = None,
    fieldsOfView: tuple[str, ...] | None = None,
    progress: ProgressCallback | None = None,
) -> list[str]:
    """Make an archive of phantom patients and copy it into the open DICOM database.

    The application goes on meanwhile: they are made on a thread, and imported one by one.

    Args:
        progress: called many times a second, with stage "phantoms" (making them) or "import"; may raise Cancelled.

    Returns:
        The SeriesInstanceUIDs; none if `progress` has cancelled. They are the same every time: doing it again adds
        nothing.

    Raises:
        RuntimeError: no database is open, or it did not take the files.
    """
    from DICOMLib import DICOMUtils
    from VolumeRetrievalEngine.phantoms import write_archive
    from VolumeRetrievalEngine.progress import Cancelled, Progress

    database = slicer.app.dicomDatabase()
    if database is None or not database.isOpen:
        text = _('No DICOM database is open: open the DICOM module, press "Create new database", then try again.')
        raise RuntimeError(text)
    folders = PrivateFolders(slicer.app.temporaryPath)
    folders.removeLeftovers()  # of a Slicer that crashed meanwhile
    folder = folders.make()
    try:
        series = runAside(
            lambda report: write_archive(
                folder, patients, fields_of_view=fieldsOfView, spacing_mm=spacingMm, progress=report
            ),
            progress,
        )
        for number, one in enumerate(series):
            if progress is not None:
                progress(Progress("import", number, len(series), str(one.folder), series=one.series_uid))
            # DICOMUtils.importDicom: of this object, not of slicer.dicomDatabase, which is not there before the DICOM
            # module has made it (DICOM.py, initializeDICOMDatabase). It waits until the files are in.
            DICOMUtils.importDicom(str(one.folder), database, copyFiles=True)
            slicer.app.processEvents()
    except Cancelled:
        return []
    finally:
        folders.removeAll()
    found = [one.series_uid for one in series if database.filesForSeries(one.series_uid)]
    if len(found) < len(series):
        text = _("The DICOM database accepted only {n} of {total} series: {folder}")
        raise RuntimeError(text.format(n=len(found), total=len(series), folder=database.databaseDirectory))
    return found


def loadQuery(spacingMm: tuple[float, float] | None = None) -> tuple[Any, Any]:
    """A scan of a phantom patient who is not in the archive, and a segmentation of the liver in it, in the scene."""
    from VolumeRetrievalEngine.phantoms import make_query

    query = runAside(lambda report: make_query(spacing_mm=spacingMm))
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
        import qt
        from VolumeRetrievalEngine.progress import Cancelled

        if self._dialog is None:
            self._dialog = slicer.util.createProgressDialog(
                labelText=_("Creating phantom patients..."), windowTitle=_("Sample data"), autoClose=False
            )
            self._dialog.windowModality = qt.Qt.ApplicationModal  # or the sample could be asked for twice
            self._dialog.show()
        if self._dialog.wasCanceled:
            raise Cancelled
        text = {
            "phantoms": _("Creating phantom patients: {done} of {total} series"),
            "import": _("Copying into the DICOM database: {done} of {total} series"),
        }[step.stage].format(done=step.done, total=step.total)
        if text != self._dialog.labelText:
            self._dialog.labelText = text
            # Making takes nearly all of the time.
            self._dialog.value = (0 if step.stage == "phantoms" else 80) + (
                (80 if step.stage == "phantoms" else 20) * step.done // max(1, step.total)
            )

    def close(self) -> None:
        """It is over, however it ended."""
        if self._dialog is not None:
            self._dialog.close()
            self._dialog.deleteLater()
