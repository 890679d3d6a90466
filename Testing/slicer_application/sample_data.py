"""SampleData: registering samples, with the rules of Slicer 5.12's SampleData.py."""

from __future__ import annotations

from pathlib import Path

import slicer


class SampleDataSource:
    def __init__(self, sampleName, uris, fileNames, nodeNames, customDownloader, thumbnailFileName):
        # SampleDataSource.__init__: a string becomes a list of one; then all must be of one length.
        if isinstance(uris, str):
            uris, fileNames, nodeNames = [uris], [fileNames], [nodeNames]
        if not len(uris) == len(fileNames) == len(nodeNames):
            raise ValueError("All fields of sample data source must have the same length")
        if not Path(thumbnailFileName).is_file():
            raise ValueError(f"no thumbnail {thumbnailFileName}")  # Slicer shows a button without a picture
        self.sampleName = sampleName
        self.customDownloader = customDownloader


class SampleDataLogic:
    @staticmethod
    def registerCustomSampleDataCategory(category, title):
        _dictionary("sampleDataSourceCategories").setdefault(category, {})["title"] = title

    @staticmethod
    def registerCustomSampleDataSource(category, **values):
        sources = _dictionary("sampleDataSources").setdefault(category, [])
        source = SampleDataSource(**values)
        if all(one.sampleName != source.sampleName for one in sources):
            sources.append(source)


def _dictionary(name):
    if not hasattr(slicer.modules, name):
        setattr(slicer.modules, name, {})
    return getattr(slicer.modules, name)


def clickSample(category, sampleName):
    """What the sample's button does: `lambda s=source: s.customDownloader(s)`."""
    source = next(one for one in slicer.modules.sampleDataSources[category] if one.sampleName == sampleName)
    source.customDownloader(source)
