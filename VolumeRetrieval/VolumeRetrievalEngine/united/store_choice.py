"""Which store of a folder is searched together with others, and which folder is meant by one near it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from ..errors import NoStoreError, OtherRecipeError, StoreError
from ..recipe import Recipe
from ..store.folder import StoreFolder
from ..store.schema import STORE_FILE

#: A folder with more folders in it is an archive, which is not looked through.
_LOOKED_INTO = 200


def chosen_store(folder: Path, encoder: str, recipe: Recipe | None) -> Path:
    """The folder of the store in an index folder that has this recipe; without one, of the encoder that is named, or
    that was used last.

    Raises:
        NoStoreError: there is none. OtherRecipeError: there are only others. StoreError: none can be opened, or several
            could be meant.
    """
    stores = StoreFolder(folder)
    if recipe is None:
        return stores.choose(encoder)
    found = stores.recipes()
    if not found:
        return stores.choose()  # says why there is none
    fitting = [path for one, path in found if one == recipe]
    if fitting:
        return fitting[0]
    encoders = sorted({one.encoder for one, _ in found})
    differing = f", the first one with {recipe.encoder}"
    if recipe.encoder in encoders:  # an earlier edition of it, say
        differing = " like the first one, but with other weights or settings"
    raise OtherRecipeError(
        f"made with {', '.join(encoders)}{differing}; index it again like the first one, or search it alone",
        folder=str(folder),
        encoders=encoders,
        expected=recipe.encoder,
    )


def index_folder(folder: Path) -> Path:
    """The index folder that a person means: this one, the one around it, or the only one in it.

    Raises:
        NoStoreError: none of them is one. Field `exists`: whether the folder is there.
        StoreError: several lie in it, or it cannot be read.
    """
    if _is_index(folder):
        return folder
    if (folder / STORE_FILE).is_file():
        return folder.parent
    try:
        inside = [one for one in islice(sorted(folder.iterdir()), _LOOKED_INTO) if one.is_dir() and _is_index(one)]
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoStoreError(f"{folder}: there is no such folder", folder=str(folder), exists=False) from error
    except OSError as error:
        raise StoreError(f"{folder}: cannot be read ({error.strerror})", folder=str(folder)) from error
    if not inside:
        raise NoStoreError(
            f"{folder}: is no index: expected the folder that was given to `index --store`, or VolumeRetrieval in the "
            f"folder of a DICOM database, which holds a folder such as radiology-resnet-1a2b3c4d with {STORE_FILE}",
            folder=str(folder),
            exists=True,
        )
    if len(inside) > 1:
        names = ", ".join(one.name for one in inside)
        raise StoreError(f"{folder}: holds several indexes: choose one of {names}", folder=str(folder))
    return inside[0]


def _is_index(folder: Path) -> bool:
    """Whether stores are in this folder, also such that cannot be opened."""
    try:
        return any((one / STORE_FILE).is_file() for one in islice(folder.iterdir(), _LOOKED_INTO))
    except OSError:
        return False
