"""Which results the user has marked as fitting or not: they belong to the query and are saved with the scene."""

from __future__ import annotations

import json
from typing import Any

import slicer

from ..Values import Marks

_ATTRIBUTE = "VolumeRetrieval.Marks"
#: Marks for a series that is not loaded are kept by the node of the module's parameters.
_MODULE = "VolumeRetrieval"


def load(query: Any) -> Marks:
    """The marks of a volume node, or of a series (its SeriesInstanceUID)."""
    node, name = _keeper(query)
    text = node.GetAttribute(name) if node is not None else ""
    try:
        values = json.loads(text or "{}")
        return Marks(tuple(map(str, values.get("like", ()))), tuple(map(str, values.get("unlike", ()))))
    except (ValueError, AttributeError, TypeError):  # somebody else's attribute
        return Marks()


def save(query: Any, marks: Marks) -> None:
    """Keep them with the scene."""
    node, name = _keeper(query)
    if node is None:
        return
    if marks == Marks():
        node.RemoveAttribute(name)
    else:
        node.SetAttribute(name, json.dumps({"like": marks.like, "unlike": marks.unlike}))


def _keeper(query: Any) -> tuple[Any, str]:
    if not isinstance(query, str):
        return query, _ATTRIBUTE
    volume = getattr(query, "volumeID", "")
    return _moduleNode(), ".".join(part for part in (_ATTRIBUTE, query, volume) if part)


def _moduleNode() -> Any:
    """ScriptedLoadableModule.py, getParameterNode: a singleton named after the module; made where there is none."""
    node = slicer.mrmlScene.GetSingletonNode(_MODULE, "vtkMRMLScriptedModuleNode")
    if node is None:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        node.SetSingletonTag(_MODULE)
        node.SetModuleName(_MODULE)
        node = slicer.mrmlScene.AddNode(node)
    return node
