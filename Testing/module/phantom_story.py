"""An archive of phantoms, indexed and searched by the engine itself: what the panel and the views get to show."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import slicer
from fake_logic import FakeLogic
from VolumeRetrievalEngine.phantoms import PhantomQuery, make_query, write_archive
from VolumeRetrievalEngine.query.region import MaskRegion
from VolumeRetrievalEngine.reading import read_volume
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.searching.match import SearchResult
from VolumeRetrievalEngine.searching.options import SearchOptions
from VolumeRetrievalEngine.volume import Volume
from VolumeRetrievalLib.Database import SeriesWords
from VolumeRetrievalLib.Values import MatchDescription


@dataclass
class PhantomStory:
    """A query and what was found for it, as the logic would hand it on."""

    query: PhantomQuery
    result: SearchResult
    pictures: dict[str, bytes] = field(default_factory=dict)

    def queryNode(self):
        return nodeOf(self.query.scan.voxels, self.query.scan.affine, "Query")

    def loadMatch(self, match):
        volume = read_volume(match.path)
        return nodeOf(volume.voxels, volume.affine, match.attributes.series_description or Path(match.path).name)


def tell(folder: Path, patients: int, spacingMm=None, fieldsOfView=None, top: int = 8, organ: str = "liver"):
    """Make an archive in this folder, index it, and search with an organ of a patient who is not in it."""
    write_archive(folder / "archive", patients, fields_of_view=fieldsOfView, spacing_mm=spacingMm)
    retriever = Retriever.create(folder / "store")
    retriever.add([folder / "archive"])
    query = make_query(organ=organ, spacing_mm=spacingMm)
    volume = Volume.from_array(query.scan.voxels, query.scan.affine)
    region = MaskRegion(query.mask, query.scan.affine)
    found = retriever.search(volume, region=region, options=SearchOptions(top=top), name="Query")
    pictures = {match.volume_id: retriever.thumbnail(match.key, match.best_row) for match in found.matches}
    return PhantomStory(query, found, pictures)


class PhantomLogic(FakeLogic):
    """The panel's logic for pictures: the fake one, with the phantoms' names and thumbnails."""

    def __init__(self, story: PhantomStory, status):
        super().__init__(status)
        self.story = story

    def thumbnails(self, matches):
        return [self.story.pictures[match.volume_id] for match in matches]

    def describe(self, match):
        folder = Path(match.path)
        patient = folder.parent.name.replace("PHANTOM-", "Phantom ")
        date = SeriesWords.date(match.attributes.study_date)
        return MatchDescription(patient, date, match.attributes.series_description or folder.name, date)


def nodeOf(voxels, affine, name):
    node = slicer.util.addVolumeFromArray(voxels, ijkToRAS=affine, name=name)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(False)
    node.GetDisplayNode().SetWindowLevel(400, 40)
    return node
