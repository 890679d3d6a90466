"""Steps of the self test: the DICOM database is indexed, in every way in which that begins and ends."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import slicer

from ..Processes import ProcessIDs
from ..Settings import Settings
from ..Values import Callbacks
from .SampleArchive import importArchive
from .SelfTestStory import FIELDS_OF_VIEW, PATIENTS, SPACING_MM, OwnWarnings, Step, Story, expect


class DatabaseSteps:
    def __init__(self, story: Story, warnings: OwnWarnings):
        self.story = story
        self.warnings = warnings

    def first(self) -> list[Step]:
        return [
            ("phantom patients are imported into the DICOM database", self.importPhantoms),
            ("the panel notices the new series", self.noticeSeries),
            ("the encoders are listed with their terms, and the one that runs here is named", self.listEncoders),
            ("indexing that is canceled leaves nothing running", self.cancelIndexing),
            ("indexing goes on where it was stopped, and says that it is done", self.resumeIndexing),
            ("indexing again finds nothing to do", self.indexAgain),
            ("what another process has indexed is noticed when the module is entered", self.noticeOtherProcess),
            ("series that are imported are indexed by themselves, if that is chosen", self.indexAutomatically),
        ]

    def last(self) -> list[Step]:
        return [
            ("a series is removed from the index, and comes back", self.removeFromIndex),
            ("an indexing process that is killed says so, and the next run goes on", self.killIndexing),
            (
                "where the index is deleted, a search says so, and indexing rebuilds it",
                self.lose,
            ),
            ("a series of one slice is listed as skipped, with the reason", self.skip),
            ("another database is another index; the first one is there again", self.switchDatabase),
            ("a closed database says what to do", self.closeDatabase),
        ]

    def importPhantoms(self) -> None:
        story = self.story
        story.series = importArchive(PATIENTS, SPACING_MM, FIELDS_OF_VIEW)
        expect("series in the database", len(story.series), PATIENTS * len(FIELDS_OF_VIEW))

    def noticeSeries(self) -> None:
        story = self.story
        story.wait("all series to be noticed", lambda: story.logic.status().notIndexed == len(story.series))
        story.wait("the button Update index to be enabled", lambda: story.ui.updateIndexButton.enabled)

    def listEncoders(self) -> None:
        story = self.story
        section = story.widget.panel.encoders
        buttons = [story.ui.advancedCollapsibleButton, story.ui.encodersCollapsibleButton]
        before = [one.collapsed for one in buttons]
        for one in buttons:
            one.collapsed = False
        catalog = [one for one in story.logic.encoders() if one.weights is not None]
        expect("rows of the table", story.ui.encodersTree.topLevelItemCount, len(catalog))
        expect("the catalog has encoders", bool(catalog), True)
        section.select(catalog[0].name)
        expect("the license's address is a link", 'href="http' in story.ui.encoderDetailsLabel.text, True)
        # It may be known before: the panel asks once.
        story.wait("the encoder that runs here", lambda: not section.isLooking)
        expect("it is named", bool(story.ui.defaultEncoderLabel.text), True)
        for one, wasCollapsed in zip(buttons, before, strict=True):
            one.collapsed = wasCollapsed

    def cancelIndexing(self) -> None:
        story = self.story
        told: list[str] = []
        job = story.logic.indexDatabase(
            Callbacks(
                lambda report: told.append("finished"),
                lambda error: told.append(str(error)),
                lambda: told.append("canceled"),
                lambda step: job.cancel() if step.done else None,
            )
        )
        story.wait("indexing to be canceled", lambda: told)
        # A machine that is quick enough has finished.
        expect("how it ended", told[0] in ("canceled", "finished"), True, told[0])
        story.wait("nothing to run", lambda: story.logic.status().indexing is None)

    def resumeIndexing(self) -> None:
        story = self.story
        story.ui.updateIndexButton.click()
        story.wait("indexing to end", lambda: story.logic.status().indexing is None)
        self._expectAllIndexed()
        expect("the button Cancel is hidden", story.ui.cancelIndexingButton.isHidden(), True)

    def indexAgain(self) -> None:
        report = self.story.logic.indexDatabase()
        expect("added, failed", (report.added, report.failed), (0, 0))
        expect("unchanged", report.unchanged, len(self.story.series))

    def noticeOtherProcess(self) -> None:
        story = self.story
        expect("volumes removed", story.logic.removeSeries([story.series[0]]), 1)
        other = type(story.logic)()
        try:
            other.indexDatabase()
        finally:
            other.cleanUp()
        story.widget.enter()
        self._expectAllIndexed()

    def indexAutomatically(self) -> None:
        story = self.story
        settings = Settings.load()
        settings.indexAutomatically = True
        settings.save()
        try:
            story.series = importArchive(PATIENTS + 1, SPACING_MM, FIELDS_OF_VIEW)
            story.wait(
                "the new series to be indexed",
                lambda: story.logic.status().volumes == len(story.series) and story.logic.status().indexing is None,
            )
        finally:
            settings.indexAutomatically = False
            settings.save()

    def removeFromIndex(self) -> None:
        story = self.story
        expect("volumes removed", story.logic.removeSeries([story.series[-1]]), 1)
        expect("volumes left", story.logic.status().volumes, len(story.series) - 1)
        expect("series added again", story.logic.indexSeries([story.series[-1]]).added, 1)
        self._expectAllIndexed()

    def killIndexing(self) -> None:
        story = self.story
        story.logic.removeSeries(story.series)
        told: list[str] = []

        def kill(step: object) -> None:
            for pid in story.logic.pids:
                ProcessIDs.kill(pid)

        with self.warnings.expected():
            callbacks = Callbacks(
                lambda report: told.append("finished"),
                lambda error: told.append(str(error)),
                lambda: told.append("canceled"),
                kill,
            )
            story.logic.indexDatabase(callbacks)
            story.wait("the killed run to end", lambda: told)
            # The search process was killed, too, and the module may be told of it later.
            story.wait("every killed process to be noticed", lambda: not story.logic.pids)
        expect("what it says", bool(told[0]), True)
        story.logic.indexDatabase()
        self._expectAllIndexed()

    def lose(self) -> None:
        story = self.story
        shutil.rmtree(Path(story.logic.status().directory) / "VolumeRetrieval", ignore_errors=True)
        said = []
        with self.warnings.expected():
            for ask in (
                lambda: story.logic.search(story.series[0]),
                lambda: story.logic.showMatches(story.needResult().matches[:1]),
            ):
                try:
                    ask()
                except (RuntimeError, ValueError) as error:
                    said.append(str(error))
        story.logic.removeShown()
        story.logic.indexDatabase()
        self._expectAllIndexed()
        expect("searching and showing say why not", len(said), 2)
        expect("they speak of a command line", any("python" in text for text in said), False, str(said))

    def skip(self) -> None:
        import pydicom
        from DICOMLib import DICOMUtils

        story = self.story
        header = pydicom.dcmread(slicer.dicomDatabase.filesForSeries(story.series[0])[0])
        header.SeriesInstanceUID = header.SOPInstanceUID = pydicom.uid.generate_uid()
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.SeriesDescription = "Scout"
        with tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath) as folder:
            header.save_as(Path(folder) / "scout.dcm")
            DICOMUtils.importDicom(folder, slicer.dicomDatabase, copyFiles=True)
        story.wait("the new series to be noticed", lambda: story.logic.status().notIndexed == 1)
        story.logic.indexDatabase()
        self._expectAllIndexed()
        skipped = story.logic.status(wait=True).skipped
        expect("series skipped", len(skipped), 1)
        expect("it is named, with the reason", ("Scout" in skipped[0].series, bool(skipped[0].reason)), (True, True))

    def switchDatabase(self) -> None:
        story = self.story
        first = slicer.dicomDatabase.databaseFilename
        other = Path(first).parent / "Other" / "ctkDICOM.sql"
        other.parent.mkdir(exist_ok=True)
        slicer.dicomDatabase.openDatabase(str(other))
        story.wait("the other database", lambda: story.logic.status().directory == str(other.parent))
        expect("its volumes", story.logic.status(wait=True).volumes, 0)
        slicer.dicomDatabase.openDatabase(first)
        story.wait("the first one again", lambda: story.logic.status().volumes == len(story.series))

    def closeDatabase(self) -> None:
        story = self.story
        file = slicer.dicomDatabase.databaseFilename
        slicer.dicomDatabase.closeDatabase()
        slicer.app.processEvents()
        status = story.logic.status()
        expect("no database", status.directory, "")
        expect("it says what to do", bool(status.problem), True)
        expect("the search button is disabled", story.ui.searchButton.enabled, False)
        slicer.dicomDatabase.openDatabase(file)
        story.wait("the index again", lambda: story.logic.status().volumes == len(story.series))

    def _expectAllIndexed(self) -> None:
        status = self.story.logic.status(wait=True)
        expect("indexed volumes", status.volumes, len(self.story.series))
        expect("series not indexed", status.notIndexed, 0)
