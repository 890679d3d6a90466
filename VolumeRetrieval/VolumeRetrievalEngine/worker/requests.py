"""What the search worker can be asked, from the plain values of a message to the engine and back."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import QueryError
from ..progress import ProgressCallback
from ..query.oriented_box import OrientedBox
from ..query.region import BoxRAS, MaskRegion, Region, SingleSlice, SliceRange
from ..retriever import Retriever
from ..searching.match import SearchResult
from ..searching.options import SearchOptions
from ..store.attribute_filter import AttributeFilter
from ..volume import Attributes, Volume
from .matrices import encode_matrix

Params = Mapping[str, Any]


def search(retriever: Retriever, params: Params, progress: ProgressCallback) -> dict[str, Any]:
    """PROTOCOL.md, `search`."""
    result = retriever.search(
        _query(retriever, params),
        region=region_from(params.get("region")),
        crop=bool(params.get("crop", False)),
        options=options_from(params.get("options") or {}),
        name=str(params.get("name", "")),
        progress=progress,
    )
    return _answer(retriever, result, params)


def search_again(retriever: Retriever, params: Params, progress: ProgressCallback) -> dict[str, Any]:
    """PROTOCOL.md, `search_again`."""
    if "search" not in params:
        raise QueryError(f"search_again: expected search, got {dict(params)!r}")
    result = retriever.search_again(str(params["search"]), options_from(params.get("options") or {}), progress)
    return _answer(retriever, result, params)


def similarity(retriever: Retriever, params: Params, progress: ProgressCallback) -> dict[str, Any]:
    """PROTOCOL.md, `similarity`."""
    try:
        search_id, key = str(params["search"]), int(params["key"])
    except (KeyError, TypeError, ValueError) as error:
        raise QueryError(f"similarity: expected search and key, got {dict(params)!r}") from error
    return encode_matrix(retriever.similarity(search_id, key))


def refine(retriever: Retriever, params: Params, progress: ProgressCallback) -> dict[str, Any]:
    """PROTOCOL.md, `refine`."""
    try:
        search_id, key = str(params["search"]), int(params["key"])
    except (KeyError, TypeError, ValueError) as error:
        raise QueryError(f"refine: expected search and key, got {dict(params)!r}") from error
    query = _query(retriever, params) if "volume" in params or "files" in params else None
    assert not isinstance(query, str)
    return retriever.refined(search_id, key, query, progress).to_dict()


def status(retriever: Retriever, params: Params, progress: ProgressCallback) -> dict[str, Any]:
    """PROTOCOL.md, `status`."""
    return retriever.status().to_dict()


METHODS: dict[str, Callable[[Retriever, Params, ProgressCallback], Any]] = {
    "search": search,
    "search_again": search_again,
    "similarity": similarity,
    "refine": refine,
    "status": status,
}


def region_from(values: Params | None) -> Region | None:
    """The region of a message; QueryError for anything else."""
    if not values:
        return None
    try:
        if "slices" in values:
            first, last = values["slices"]
            return SliceRange(int(first), int(last), str(values.get("plane", "")))
        if "slice" in values:
            return SingleSlice(int(values["slice"]), str(values.get("plane", "")))
        if "box" in values:
            if isinstance(values["box"], Mapping):
                return OrientedBox.from_dict(values["box"])
            (x0, y0, z0), (x1, y1, z1) = values["box"]
            return BoxRAS((float(x0), float(y0), float(z0)), (float(x1), float(y1), float(z1)))
        if "mask" in values:
            voxels, affine = _array(values["mask"])
            return MaskRegion(voxels, affine, name=str(values["mask"].get("name") or "mask"))
    except (TypeError, ValueError, KeyError) as error:
        raise QueryError(f"region {dict(values)!r}: {error}") from error
    raise QueryError(f"region {dict(values)!r}: expected slices, slice, box or mask")


def options_from(values: Params) -> SearchOptions:
    """The search options of a message; QueryError for one that does not exist."""
    known = dict(values)
    if "attributes" in known:
        known["attributes"] = AttributeFilter.parse(known["attributes"])
    for name in ("exclude", "exclude_series"):
        if name in known:
            known[name] = frozenset(map(str, known[name]))
    for name in ("like", "unlike"):
        if name in known:
            known[name] = tuple(map(str, known[name]))
    try:
        return SearchOptions(**known)
    except TypeError as error:
        raise QueryError(f"search options {sorted(values)}: {error}") from error


def _answer(retriever: Retriever, result: SearchResult, params: Params) -> dict[str, Any]:
    """The result, with the pictures of its best slices where these are asked for."""
    values = result.to_dict()
    if params.get("pictures"):
        pictures = {match.key: retriever.thumbnail(match.key, match.best_row) for match in result.matches}
        values["pictures"] = {str(key): base64.b64encode(one).decode("ascii") for key, one in pictures.items()}
    return values


def _query(retriever: Retriever, params: Params) -> Volume | str:
    if "volume" in params:
        voxels, affine = _array(params["volume"])
        modality = str(params["volume"].get("modality", ""))
        attributes = Attributes(modality=modality, modality_from="option" if modality else "")
        volume = Volume.from_array(voxels, affine, attributes, str(params.get("name", "volume")))
        series = str(params["volume"].get("series_uid", ""))
        return replace(volume, identity=retriever.as_series(volume.identity, series)) if series else volume
    if "query" in params:
        return retriever.find(str(params["query"])).volume_id
    if "path" in params:
        return retriever.resolve_query(str(params["path"]))
    if "files" in params:
        return retriever.read_series([str(file) for file in params["files"]], str(params.get("modality", "")))
    raise QueryError("search: expected one of query, path, files and volume")


def _array(values: Params) -> tuple[np.ndarray, np.ndarray]:
    """Voxels [k, j, i] of a .npy file and their affine [4, 4]; the file is not held open."""
    path = Path(str(values["file"]))
    try:
        voxels = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise QueryError(f"{path}: expected a .npy file with an array [k, j, i] ({error})") from error
    affine = np.asarray(values["affine"], dtype=np.float64)
    if voxels.ndim != 3 or affine.shape != (4, 4):
        raise QueryError(f"{path}: expected [k, j, i] and a 4 x 4 affine, got shapes {voxels.shape} and {affine.shape}")
    return voxels, affine
