"""The folder that the user names with --store: one store for each recipe, and what they share.

<parent>/secret                       the key of patient tokens (patients.py)
<parent>/scan-cache.sqlite            what is known about files from earlier scans
<parent>/last-used.json               which recipe a search uses when none is named
<parent>/<encoder>-<hash8>/           one recipe's store and its indexes
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import NoStoreError, StoreError, StoreReadOnlyError, VolumeRetrievalError
from ..patients import PatientTokens
from ..recipe import Recipe
from .schema import STORE_FILE, is_absent
from .volume_store import VolumeStore

logger = logging.getLogger(__name__)

LAST_USED_FILE = "last-used.json"
SCAN_CACHE_FILE = "scan-cache.sqlite"


@dataclass(frozen=True)
class _Found:
    """A store that can be opened.

    `asked_for_as` is what its encoder is called when it is made, `weights` the file that its user brought for it, ""
    where the encoder has its own; `created` is when the store was made.
    """

    recipe: Recipe
    path: Path
    asked_for_as: str
    weights: str
    created: str

    def is_of(self, encoder: str) -> bool:
        return encoder in ("", self.recipe.encoder, self.asked_for_as, self.path.name)

    def is_older(self, other: _Found) -> bool:
        """Whether only an earlier preprocessing, or earlier weights of the encoder's own, tell it from the other."""
        if self.recipe.weights == other.recipe.weights:
            earlier = self.recipe.preprocessing_version < other.recipe.preprocessing_version
        else:
            earlier = not (self.weights or other.weights) and self.created < other.created
        return earlier and _is_alike(self.recipe, other.recipe)


class StoreFolder:
    """The stores in one folder, which need not exist yet."""

    def __init__(self, parent: Path | str):
        self.parent = Path(parent)

    def recipes(self) -> list[tuple[Recipe, Path]]:
        """The recipes that have a store here, with its folder; sorted by folder name. See :meth:`problems`."""
        return [(one.recipe, one.path) for one in self._examined()[0]]

    def problems(self) -> list[tuple[Path, str]]:
        """The folders whose store cannot be opened (damaged, of a newer version ...), and why."""
        return self._examined()[1]

    def path_for(self, recipe: Recipe) -> Path:
        """Where the store of this recipe is, or would be made."""
        return self.parent / recipe.folder_name

    def holds(self, recipe: Recipe) -> bool:
        """Whether this recipe has a store here that can be opened."""
        return any(known == recipe for known, _ in self.recipes())

    def made_before(self, recipe: Recipe, editions: Sequence[str] = ()) -> Recipe | None:
        """The newest recipe with a store here that is this one, or differs only in an earlier preprocessing or in an
        earlier edition of the encoder's weights; None if there is none.

        Args:
            editions: sha256 of the weights that the encoder can still be made with, the oldest first.
        """
        order = {weights: number for number, weights in enumerate((*editions, recipe.weights))}
        return max(
            (
                known
                for known, _ in self.recipes()
                if known.weights in order
                and known.preprocessing_version <= recipe.preprocessing_version
                and _is_alike(known, recipe)
            ),
            key=lambda known: (order[known.weights], known.preprocessing_version),
            default=None,
        )

    def last_used(self) -> Path | None:
        """The folder of the store that was used last; None if that is not known, or it is no longer there."""
        try:
            name = json.loads((self.parent / LAST_USED_FILE).read_text(encoding="utf-8"))["folder"]
            path = self.parent / Path(str(name)).name  # never outside this folder, whatever the file says
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None if is_absent(path / STORE_FILE) else path

    def in_use(self, name: str = "") -> Path | None:
        """The store to go on with: the one whose folder is called so; where none is named the last used, or only one.

        None if there is none, and if there are several of which none is marked as the last used one.
        """
        if name:
            return next((path for _, path in self.recipes() if path.name == name), None)
        if (last := self.last_used()) is not None:
            return last
        paths = [path for _, path in self.recipes()]
        return paths[0] if len(paths) == 1 else None

    def mark_used(self, path: Path) -> None:
        """Remember which store was used; where the folder cannot be written, that is no reason to fail."""
        file = self.parent / LAST_USED_FILE
        temporary = file.with_name(f"{LAST_USED_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            temporary.write_text(json.dumps({"folder": Path(path).name}), encoding="utf-8")
            temporary.replace(file)
        except OSError as error:
            logger.debug("%s: not written (%s)", file, error.strerror)
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def choose(self, encoder: str = "", rather_than: Collection[Path] = ()) -> Path:
        """The store to search in: the last used one, or that of an encoder.

        Args:
            encoder: its name in the recipe ("torchscript-mobilenet"), the name it is asked for by ("torchscript"), or
                the name of the store's folder.
            rather_than: folders of stores that are meant only where no other one fits.

        Raises:
            StoreError: there is none, or the encoder has several recipes here and none of them was used last.
        """
        stores, problems = self._examined()
        if not stores and problems:
            why = "".join(f"\n  {path.name}: {reason}" for path, reason in problems)
            raise StoreError(f"no store at {self.parent} that can be opened; found:{why}")
        if not stores:
            raise NoStoreError(
                f"no store at {self.parent}: index something first",
                f"python -m VolumeRetrievalEngine index --store {self.parent} FOLDER",
                folder=str(self.parent),
            )
        last = self.last_used()
        named = [one for one in stores if one.is_of(encoder)]
        named = [one for one in named if one.path not in rather_than] or named
        fitting = [one.path for one in named]
        if last in fitting:
            return last
        # Of several that differ in the preprocessing or the edition of the encoder alone, the newest.
        fitting = [one.path for one in named if not any(one.is_older(other) for other in named)]
        if len(fitting) == 1:
            return fitting[0]
        names = ", ".join(one.path.name for one in stores)
        if not fitting:
            raise StoreError(f"{self.parent}: nothing was indexed with the encoder {encoder!r}; there are: {names}")
        raise StoreError(f"{self.parent}: several stores to choose from; name one of them as the encoder: {names}")

    def verify(self, encoder: str = "") -> list[str]:
        """Read everything in every store (or in those of one encoder) and name each problem; none if there is none.

        Raises:
            StoreError: there are stores, but none of this encoder.
        """
        stores, unopened = self._examined()
        problems = [f"{path}: {reason}" for path, reason in unopened]
        fitting = [one.path for one in stores if one.is_of(encoder)]
        if stores and not fitting:
            self.choose(encoder)  # says which there are
        for path in fitting:
            with VolumeStore.open(path) as store:
                problems += [f"{path}: {problem}" for problem in store.verify()]
        return problems

    @property
    def scan_cache_path(self) -> Path:
        """Where facts about files are kept between scans; all recipes share them."""
        return self.parent / SCAN_CACHE_FILE

    @property
    def tokens(self) -> PatientTokens:
        """The tokens of patients and studies; all recipes share their secret."""
        return PatientTokens.of_store(self.parent)

    def make(self) -> None:
        """Make the folder if it is not there; StoreReadOnlyError if that is not possible."""
        try:
            self.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreReadOnlyError(
                f"{self.parent}: cannot be made ({error.strerror})",
                "choose another folder with --store",
                folder=str(self.parent),
            ) from error

    def _examined(self) -> tuple[list[_Found], list[tuple[Path, str]]]:
        try:
            folders = sorted(path for path in self.parent.iterdir() if (path / STORE_FILE).is_file())
        except (FileNotFoundError, NotADirectoryError):
            return [], []
        except OSError as error:
            raise StoreError(f"{self.parent}: cannot be read ({error.strerror})") from error
        stores, problems = [], []
        for path in folders:
            try:
                if is_absent(path / STORE_FILE):
                    continue
                with VolumeStore.open(path) as store:
                    stores.append(_found(store))
            except VolumeRetrievalError as error:
                problems.append((path, str(error)))
        return stores, problems


def _is_alike(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes differ at most in the preprocessing, and in the encoder's weights and what follows from
    them."""
    differing = ["preprocessing_version"]
    if one.weights != other.weights:
        differing += ["weights", "size", "normalisation"]
    return replace(one, **{name: getattr(other, name) for name in differing}) == other


def _found(store: VolumeStore) -> _Found:
    try:
        note = json.loads(store.meta("encoder_note") or "{}")
        name, weights = str(note.get("name", "")), str(note.get("weights", ""))  # encoders.encoder_note
    except (ValueError, AttributeError):
        name = weights = ""
    return _Found(store.recipe, store.folder, name, weights, store.meta("created") or "")
