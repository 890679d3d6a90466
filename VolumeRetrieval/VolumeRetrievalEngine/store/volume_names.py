"""How a person names an indexed volume, and where its files are now."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import UnknownVolumeError
from ..reading import Root, Roots
from ..roots import absolute_path
from .reader import StoreReader
from .records import VolumeRecord
from .volume_store import VolumeStore

#: Under which the store keeps its roots (VolumeStore.set_meta).
ROOTS = "roots"


def roots_of(store: StoreReader) -> Roots:
    """The named roots that the store's paths are relative to."""
    return Roots.from_json(store.meta(ROOTS) or "")


def add_roots(store: VolumeStore, paths: list[Path], name: str = "") -> Roots:
    """Make sure that these paths lie in a root that the store knows.

    Args:
        store: a VolumeStore opened writable.
        name: of the root of the (one) path; the folder's own name if "". The name is what is known again when the
            archive has moved: an existing one is given the new path.
    """
    roots = roots_of(store)
    if name:
        roots = Roots([*roots, *(Root(name, path if path.is_dir() else path.parent) for path in paths[:1])])
    for path in paths:
        roots.add(path)
    store.set_meta(ROOTS, roots.to_json())
    return roots


def path_of(roots: Roots, record: VolumeRecord) -> str:
    """The volume's file, or the folder of its series; relative where its root is not known."""
    folders = {root.name: root.path for root in roots}
    return str(folders[record.root] / record.label) if record.root in folders else record.label


def ids_of(store: StoreReader, name: str) -> list[str]:
    """The ids of the volumes that a name means: an id, its beginning (6 digits or more), a file, or a folder.

    Raises:
        UnknownVolumeError: none, or the beginning of several ids.
    """
    if store.find(name) is not None:
        return [name]
    records = store.listing()
    beginning = [record.volume_id for record in records if record.volume_id.startswith(name)]
    if beginning and _is_beginning(name):
        if len(beginning) > 1:
            raise UnknownVolumeError(
                f"{name}: {len(beginning)} ids begin like this ({', '.join(beginning[:5])}); give more of it"
            )
        return beginning
    roots, path = roots_of(store), absolute_path(name)
    found = [record.volume_id for record in records if Path(path_of(roots, record)).is_relative_to(path)]
    if not found:
        absent = "" if path.exists() else "there is no such file or folder, and "
        raise UnknownVolumeError(f"{name}: {absent}no indexed volume has this id or path, see `list`")
    return found


def _is_beginning(name: str) -> bool:
    return re.fullmatch("[0-9a-f]{6,31}", name) is not None
