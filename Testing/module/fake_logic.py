"""A logic for tests of the panel: answers from values, and does what is asked only when the test says so."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from VolumeRetrievalEngine.method.correspondence import Correspondence
from VolumeRetrievalEngine.method.place import Place
from VolumeRetrievalEngine.progress import Progress
from VolumeRetrievalEngine.searching.likeness import Likeness
from VolumeRetrievalEngine.searching.match import Match, SearchResult
from VolumeRetrievalEngine.volume import Attributes, SliceTable, SourceFiles
from VolumeRetrievalLib.Processes.EngineErrors import EngineError
from VolumeRetrievalLib.Scene.VolumeStack import stackOfVolume
from VolumeRetrievalLib.Search import QueryMarks, QueryStack
from VolumeRetrievalLib.Values import (
    DatabaseStatus,
    EncoderChoice,
    MatchDescription,
    SeriesChoice,
    SkippedSeries,
    StackDescription,
    WeightsInfo,
)
from VolumeRetrievalLib.Views import ViewSlices

READY = DatabaseStatus(
    directory="/data/SlicerDICOMDatabase",
    volumes=412,
    expected=418,
    slices=98220,
    sizeBytes=1_300_000_000,
    notIndexed=6,
    series=421,
    indexedSeries=412,
    sliceStepMm=3.0,
    nextSliceStepMm=3.0,
    modalities=("CT", "MR", "PT"),
    bodyParts=("ABDOMEN", "CHEST", "HEAD"),
    encoder="Descriptor",
    skipped=(
        SkippedSeries("Patient 17, 2024-02-11, Localizer", "fewer than 3 slices"),
        SkippedSeries("Patient 17, 2024-02-11, Dose report", "a structured report, no image"),
        SkippedSeries("Patient 31, 2023-10-02, Thorax 1.0", "IM0042 is truncated: 131,072 of 524,288 bytes", True),
    ),
)
CLOSED = DatabaseStatus(problem="No DICOM database is open: open one in the DICOM module.")
EMPTY = DatabaseStatus(
    directory="/data/SlicerDICOMDatabase", expected=418, notIndexed=418, series=421, encoder="Descriptor"
)


_APACHE = ("Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0")
CATALOG = (
    EncoderChoice(
        "resnet50",
        "ResNet50, ImageNet",
        weights=WeightsInfo(
            "installed", 102_540_417, 2048, "BSD 3-Clause", "https://example.org/bsd", True, True, True,
            address="https://example.org/resnet50.pth", citation="He et al., 2016",
        ),
    ),
    EncoderChoice(
        "small-vit",
        "Small ViT",
        "its weights are not installed",
        weights=WeightsInfo(
            "absent", 0, 384, *_APACHE, True, False, address="https://example.org/vit.pth",
            cautions=("Unverified: the publisher states no hash.",), citation="Oquab et al., 2023",
        ),
    ),
    EncoderChoice(
        "radswin",
        "SwinTransformer, RadImageNet",
        "its weights are not installed",
        weights=WeightsInfo(
            "absent", 0, 0, "CC BY-NC 4.0", "https://example.org/by-nc", False, False,
            requestAddress="https://example.org/ask",
        ),
    ),
    EncoderChoice(
        "timm-net",
        "A network of timm",
        "needs timm",
        weights=WeightsInfo(
            "partial", 21_000_000, 1280, *_APACHE, None, True, address="https://example.org/timm.safetensors"
        ),
        missing=("timm",),
    ),
)  # fmt: skip


class FakeJob:
    def __init__(self, callbacks):
        self.callbacks = callbacks
        self.isRunning = True

    def cancel(self):
        self.isRunning = False
        self.callbacks.cancelled()

    def finish(self, result):
        self.isRunning = False
        self.callbacks.finished(result)

    def fail(self, text):
        self.isRunning = False
        self.callbacks.failed(EngineError(text))


class FakeLogic:
    def __init__(self, status=READY):
        self.current = status
        self.jobs = []
        self.searches = []
        self.previews = []  # what was drawn, None for nothing
        self.shown = []
        self.pairs = []
        self.follow = None
        self.isOverlaid = False
        self.opacities = []
        self.registrations = []
        self.shownMatches = []
        self.removed = 0
        self.exported = []
        self.failure = ""
        self.pictures = {}
        self.catalog = list(CATALOG)
        self.installations = []
        self.questions = []
        self.several = []
        self.folders = ()
        self.examined = []
        self.looks = []
        self.indexedWith = []
        self.problems = []
        self.selectedMatches = []
        self.refreshed = 0
        self.described = []
        self.indexingCancelled = 0
        self.pairChanged = None
        self._isShown = False
        self._shownChanged = None
        self._changed = None

    def status(self):
        return self.current

    def onStatusChanged(self, callback):
        self._changed = callback

    def stackOf(self, query):
        """Of a node as the engine counts its slices, of a series 24 coronal ones."""
        if isinstance(query, str):
            return StackDescription("coronal", 24, "posterior", "anterior")
        try:
            return QueryStack.describe(stackOfVolume(query))
        except ValueError:  # it is just being made
            return None

    def rangeOfView(self, volumeNode, sliceNode):
        return ViewSlices.rangeOfView(volumeNode, sliceNode)

    def showRegionPreview(self, query, region):
        self.previews.append((query, region))

    def hideRegionPreview(self):
        self.previews.append(None)

    def changeStatus(self, status):
        self.current = status
        if self._changed:
            self._changed()

    def encoders(self):
        return [
            EncoderChoice("descriptor", "Descriptor (needs no packages)"),
            EncoderChoice("torchscript", "TorchScript network (a file of your own)", "needs torch"),
            *self.catalog,
        ]

    def defaultEncoder(self, callbacks=None):
        self.questions.append(FakeJob(callbacks))
        return self.questions[-1]

    def stores(self):
        return self.several

    def indexFolders(self):
        return self.folders

    def setIndexFolders(self, folders):
        self.folders = tuple(folders)
        if self._changed:
            self._changed()

    def examineIndexFolders(self, paths=None, callbacks=None):
        self.examined.append(tuple(paths))
        self.looks.append(FakeJob(callbacks))
        return self.looks[-1]

    def weightsFolder(self):
        return "/home/user/.local/share/VolumeRetrieval/weights"

    def installWeights(self, name, file="", consent=False, callbacks=None):
        self.installations.append((name, file, consent))
        return self._job(callbacks)

    def setState(self, name, state):
        """As if the weights had been installed, or removed."""
        for index, one in enumerate(self.catalog):
            if one.name == name:
                problem = "" if state == "installed" else "its weights are not installed"
                self.catalog[index] = replace(one, problem=problem, weights=replace(one.weights, state=state))

    def removeWeights(self, name):
        if self.failure:
            raise RuntimeError(self.failure)
        self.setState(name, "absent")
        return 102_540_417

    def series(self):
        return [
            SeriesChoice("1.1", "Patient 1", "2023-10-02 Thorax", "Thorax 1.0 mm lung", "CT"),
            SeriesChoice("1.2", "Patient 1", "2023-10-02 Thorax", "Thorax 5.0 mm soft", "CT"),
            SeriesChoice("2.1", "Patient 2", "2024-02-11 Head", "T1 mprage", "MR"),
        ]

    def _job(self, callbacks):
        self.jobs.append(FakeJob(callbacks))
        return self.jobs[-1]

    def indexDatabase(self, callbacks=None, encoder=""):
        self.indexedWith.append(encoder)
        return self._job(callbacks)

    def search(self, query, region=None, criteria=None, callbacks=None):
        self.searches.append((query, region, criteria))
        return self._job(callbacks)

    def searchAgain(self, result, query, region=None, criteria=None, callbacks=None):
        self.searches.append((query, region, criteria))
        return self._job(callbacks)

    def marks(self, query):
        return QueryMarks.load(query)

    def setMarks(self, query, marks):
        QueryMarks.save(query, marks)

    def describe(self, match):
        self.described.append(match.volume_id)
        series = ", ".join(one for one in (match.attributes.series_description, match.part) if one)
        return MatchDescription(f"Patient {match.rank * 7}", "2023-10-02 Thorax", series, "2023-10-02", str(match.rank))

    def refresh(self):
        self.refreshed += 1
        return False

    def thumbnails(self, matches):
        return [self.pictures.get(match.volume_id, b"") for match in matches]

    def similarity(self, match, callbacks=None):
        job = FakeJob(callbacks)
        job.finish(match.similarity)
        return job

    @property
    def isShown(self):
        return self._isShown

    def onShownChanged(self, callback):
        self._shownChanged = callback

    def changeShown(self, isShown):
        """As if results were shown, or removed."""
        self._isShown = isShown
        if not isShown:
            self.shownMatches, self.isOverlaid = [], False
        if self._shownChanged:
            self._shownChanged()

    def selectMatch(self, match):
        self.selectedMatches.append(match.volume_id)

    def onPairChanged(self, callback):
        self.pairChanged = callback

    def indexAutomatically(self):
        pass

    def cancelIndexing(self):
        self.indexingCancelled += 1
        if self.jobs and self.jobs[-1].isRunning:
            self.jobs[-1].cancel()

    def showMatches(self, matches, progress=None):
        if self.failure:
            raise RuntimeError(self.failure)
        for number in range(len(matches)):
            (progress or (lambda step: None))(Progress("load", number, len(matches)))
        self.shown.append([match.volume_id for match in matches])
        self.shownMatches = list(matches)
        self.changeShown(True)
        return self.problems

    def setOverlay(self, on):
        self.isOverlaid = on
        self._shownChanged()

    def setOverlayOpacity(self, opacity):
        self.opacities.append(opacity)

    def registerMatch(self, match, callbacks=None):
        self.registrations.append(match.rank)
        return self._job(callbacks)

    def setRefinement(self, match, refinement):
        """As if its registration had come to this."""
        self.shownMatches = [
            replace(one, refinement=refinement) if one.volume_id == match.volume_id else one
            for one in self.shownMatches
        ]
        self.changeShown(True)

    def showPair(self, match, queryRow, row):
        if self.failure:
            raise RuntimeError(self.failure)
        self.pairs.append((match.volume_id, queryRow, row))

    def setFollowMatch(self, follow):
        self.follow = follow

    def removeShown(self):
        self.removed += 1
        self.changeShown(False)

    def exportToTable(self, matches):
        import slicer

        self.exported.append([match.volume_id for match in matches])
        return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "Similar volumes")


def aMatch(rank, queryRows=40, rows=60, first=14, score=0.9, plane="axial", spacing=3.0, origin=0.0, **values):
    """A match whose slices first .. first + 24 look like the query's, as the engine would find it."""
    generator = np.random.default_rng(rank)
    query, row = np.arange(queryRows)[:, None], np.arange(rows)[None]
    along = first + query * 0.6
    similarity = (
        0.35 + (score - 0.35) * np.exp(-(((row - along) / 7) ** 2)) + generator.normal(0, 0.015, (queryRows, rows))
    )
    path = np.clip(first + np.arange(queryRows) * 0.6, 0, rows - 1)
    best = np.unravel_index(similarity.argmax(), similarity.shape)
    last = first + int((queryRows - 1) * 0.6)
    place = aPlace(first, last, queryRows, spacing, origin, score, certainty=0.4 if rank % 2 else 0.05)
    match = Match(
        rank=rank,
        volume_id=f"volume{rank}",
        key=rank,
        score=score,
        first_stage=score,
        files=SourceFiles("archive", (f"patient{rank}/series/1.dcm", f"patient{rank}/series/2.dcm")),
        series_uid=f"1.2.3.{rank}",
        attributes=Attributes("CT", "dicom", "CHEST", series_description=f"Thorax {rank}.0 mm soft tissue"),
        plane=plane,
        n_slices=rows * 2,
        n_rows=rows,
        path=f"/data/archive/patient{rank}/series",
        place=place,
        best_query_slice=int(best[0]) * 2,
        best_slice=int(best[1]) * 2,
        best_query_row=int(best[0]),
        best_row=int(best[1]),
        correspondence=Correspondence(similarity.argmax(1), path, origin + path * spacing, False),
        similarity=similarity.astype(np.float32),  # what FakeLogic.similarity answers
        slice_index=np.arange(rows, dtype=np.int32) * 2,
        positions_mm=origin + np.arange(rows) * spacing,
    )
    return replace(match, **values)


def aPlace(first, last, queryRows, spacing, origin, similarity, certainty=0.4):
    return Place(
        first_slice=first * 2,
        last_slice=last * 2,
        first_row=first,
        last_row=last,
        first_sop_uid="",
        last_sop_uid="",
        start_mm=origin + first * spacing,
        end_mm=origin + last * spacing,
        similarity=similarity,
        certainty=certainty,
        query_first_row=0,
        query_last_row=queryRows - 1,
    )


def aResult(count=8, queryRows=40, plane="axial", **values):
    scores = np.linspace(0.93, 0.55, count)
    table = SliceTable.regular(np.diag([1.0, 1.0, 1.5, 1.0]), queryRows * 2).take(np.arange(0, queryRows * 2, 2))
    result = SearchResult(
        matches=tuple(
            aMatch(
                rank + 1,
                queryRows,
                score=float(scores[rank]),
                first=8 + 3 * rank,
                likeness=Likeness(float(np.interp(scores[rank], (0.55, 0.93), (0.0, 0.7)))),
            )
            for rank in range(count)
        ),
        query_id="query",
        query_path="CT chest",
        query_plane=plane,
        query_table=table,
        n_volumes=412,
        n_candidates=60,
        ranking="two-stage",
        filter="pooled",
        seconds={"query": 0.4, "search": 0.3},
        search_id="search",
    )
    return replace(result, **values)


def aThumbnail(seed):
    """A JPEG that looks like a slice of a body."""
    from PIL import Image

    generator = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    picture = np.zeros((64, 64))
    picture[(x / 0.9) ** 2 + (y / 0.7) ** 2 < 1] = 150
    for side in (-1, 1):
        lung = ((x - side * 0.4) / (0.3 + 0.05 * generator.random())) ** 2 + ((y + 0.05) / 0.5) ** 2 < 1
        picture[lung] = 40
    picture[(x / 0.12) ** 2 + ((y - 0.45) / 0.14) ** 2 < 1] = 235
    picture += generator.normal(0, 8, picture.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(file, "JPEG")
    return file.getvalue()


class FakeInstaller:
    def __init__(self, state=None, error=None):
        from VolumeRetrievalLib.Packages.PackageInstaller import PackageState

        self.current = state or PackageState({}, (), True, ())
        self.error = error
        self.installed = []
        self.offers = 0
        self.offer = ""

    def state(self):
        return self.current

    def offerOnce(self):
        self.offers += 1
        if self.error:
            error, self.error = self.error, None
            raise error
        return self.offer

    def install(self, wheelFolder=None, small=False):
        if self.error:
            raise self.error
        self.installed.append("small" if small else wheelFolder)
