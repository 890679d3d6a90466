"""Matches as a table node of the scene, for scripts and for export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import Match

from .. import Texts
from ..Values import MatchDescription


def make(matches: Sequence[Match], describe: Callable[[Match], MatchDescription]) -> Any:
    """A new vtkMRMLTableNode, a row for each match. Patients are named: it is the user's own scene."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", _("Similar volumes"))
    descriptions = [describe(match) for match in matches]
    rank, similarity = vtk.vtkIntArray(), vtk.vtkDoubleArray()
    rank.SetName(_("Rank"))
    similarity.SetName(_("Similarity"))
    for match in matches:
        rank.InsertNextValue(int(match.rank))
        similarity.InsertNextValue(float(match.score))
    node.AddColumn(rank)
    node.AddColumn(similarity)
    columns = {
        _("Patient"): [one.patient for one in descriptions],
        _("Study"): [one.study for one in descriptions],
        _("Series"): [
            one.series or match.attributes.series_description for one, match in zip(descriptions, matches, strict=True)
        ],
        _("Modality"): [match.attributes.modality for match in matches],
        _("Matched range"): [Texts.bestRange(match) for match in matches],
        _("SeriesInstanceUID"): [match.series_uid for match in matches],
        _("Path"): [match.path for match in matches],
    }
    if any(match.store for match in matches):
        columns[_("Index")] = [match.store for match in matches]
    for name, values in columns.items():
        column = vtk.vtkStringArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        node.AddColumn(column)
    return node
