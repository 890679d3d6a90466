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
    from VolumeRetrievalEngine.errors import VolumeRetrievalError
    from VolumeRetrievalEngine.store.folder import StoreFolder

    if not settings.encoder:
        return ""
    candidates = [one for one in stores(folder) if one.isOf(settings.encoder)]
    fitting = [one for one in candidates if one.fits(settings)]
    if len(candidates) < 2 or not fitting:
        return settings.encoder
    if len(fitting) == 1:
        return fitting[0].name
    try:  # of two editions of the encoder, say, the one in use, or the newest
        others = [folder / one.name for one in candidates if one not in fitting]
        return StoreFolder(folder).choose(settings.encoder, rather_than=others).name
    except VolumeRetrievalError:  # whoever opens the index says why
        return settings.encoder


def choices(found: Sequence[IndexedStore]) -> list[StoreChoice]:
    """The stores of those encoders that have several, in words that tell them apart.

    Those that no setting tells apart, such as two editions of the encoder, are one choice (see `chosen`).
    """
    made = []
    for encoder in dict.fromkeys(one.askedForAs for one in found):
        bySettings = {(one.weights, one.sliceStepMm): one for one in found if one.askedForAs == encoder}
        if len(bySettings) > 1:
            several = list(bySettings.values())
            made += [StoreChoice(encoder, _title(one, several), one.weights, one.sliceStepMm) for one in several]
    return made


def _title(one: IndexedStore, several: Sequence[IndexedStore]) -> str:
    parts = []
    if len({other.weights for other in several}) > 1:
        parts.append(_("weights {hash}").format(hash=one.hash[:8]))
    if len({other.sliceStepMm for other in several}) > 1:
        step = f"{one.sliceStepMm:g}"
        parts.append(_("step {step} mm").format(step=step) if one.sliceStepMm else _("every slice"))
    return ", ".join(parts)
