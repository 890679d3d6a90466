"""The stores in a database's index folder, one for each recipe, told apart where one encoder has several."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from ..Settings import Settings
from ..Values import StoreChoice


@dataclass(frozen=True)
class IndexedStore:
    """One store.

    `name` is its folder's, `encoder` the recipe's, `askedForAs` what the encoder is chosen by; `hash` the sha256 of the
    weights, "" for an encoder without any, and `weights` the file of an encoder that the user has to bring one for.
    """

    name: str
    encoder: str
    askedForAs: str
    hash: str
    weights: str
    sliceStepMm: float

    def isOf(self, encoder: str) -> bool:
        return encoder in (self.encoder, self.askedForAs)

    def fits(self, settings: Settings) -> bool:
        """Whether indexing with these settings would go on in this store."""
        sameFile = not settings.weights or not self.weights or Path(settings.weights) == Path(self.weights)
        return self.isOf(settings.encoder) and self.sliceStepMm == settings.sliceStepMm and sameFile


def stores(folder: Path) -> list[IndexedStore]:
    """Those that can be opened, by name."""
    from VolumeRetrievalEngine.encoders.choice import available_encoders
    from VolumeRetrievalEngine.errors import VolumeRetrievalError
    from VolumeRetrievalEngine.store import VolumeStore
    from VolumeRetrievalEngine.store.folder import StoreFolder

    takeFile = {one.name for one in available_encoders() if one.needs_weights}
    found = []
    try:
        recipes = StoreFolder(folder).recipes()
    except VolumeRetrievalError:  # whoever opens the index says why
        return []
    for recipe, path in recipes:
        try:
            with VolumeStore.open(path) as store:
                note = json.loads(store.meta("encoder_note") or "{}")
        except VolumeRetrievalError:  # removed, or replaced, just now
            continue
        except ValueError:
            note = {}
        asked = str(note.get("name") or recipe.encoder)
        weights = str(note.get("weights") or "") if asked in takeFile else ""
        found.append(IndexedStore(path.name, recipe.encoder, asked, recipe.weights, weights, recipe.slice_step_mm))
    return found


def chosen(folder: Path, settings: Settings) -> str:
    """What the engine calls the store that the settings mean: the name of its folder where the encoder has several."""
    if not settings.encoder:
        return ""
    candidates = [one for one in stores(folder) if one.isOf(settings.encoder)]
    fitting = [one for one in candidates if one.fits(settings)]
    return fitting[0].name if len(candidates) > 1 and len(fitting) == 1 else settings.encoder


def choices(found: Sequence[IndexedStore]) -> list[StoreChoice]:
    """The stores of those encoders that have more than one, in words that tell them apart."""
    made = []
    for one in found:
        same = [other for other in found if other.askedForAs == one.askedForAs]
        if len(same) > 1:
            made.append(StoreChoice(one.askedForAs, _title(one, same), one.weights, one.sliceStepMm))
    return made


def _title(one: IndexedStore, same: Sequence[IndexedStore]) -> str:
    parts = []
    if len({other.hash for other in same}) > 1:
        parts.append(_("weights {hash}").format(hash=one.hash[:8]))
    if len({other.sliceStepMm for other in same}) > 1:
        step = f"{one.sliceStepMm:g}"
        parts.append(_("step {step} mm").format(step=step) if one.sliceStepMm else _("every slice"))
    if len({(other.hash, other.sliceStepMm) for other in same}) < len(same):
        parts.append(one.name.rpartition("-")[2])  # another plane, say: from the command line
    return ", ".join(parts)
