"""Settings and options as the engine's processes take them: arguments of commands, parameters of a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from ..Settings import Settings
from ..Values import SearchCriteria


def serveArguments(store: Path, settings: Settings) -> list[str]:
    """Of `serve`; a worker with other ones has to be another process."""
    arguments = ["--store", str(store), *_runArguments(settings)]
    if settings.indexKind:
        arguments += ["--index-kind", settings.indexKind]
    return arguments


def indexArguments(store: Path, settings: Settings) -> list[str]:
    """Of `index`, without what to index.

    The store keeps where the weights are, so that searching and indexing with the encoder used last need not be told.

    Raises:
        ValueError: the chosen network's file of weights is not chosen, or gone.
    """
    arguments = ["--store", str(store), *_runArguments(settings), "--slice-step", f"{settings.sliceStepMm:g}"]
    if settings.encoder:
        arguments += ["--encoder", settings.encoder]
    if _needsFile(settings.encoder):
        if not settings.weights:
            raise ValueError(_("The chosen encoder is a network: choose its weights file in the section Advanced."))
        if not Path(settings.weights).is_file():
            text = _("The network's file {file} no longer exists: choose another one in the section Advanced.")
            raise ValueError(text.format(file=settings.weights))
        arguments += ["--weights", settings.weights]
    return arguments


def _needsFile(encoder: str) -> bool:
    if not encoder:
        return False
    from VolumeRetrievalEngine.encoders.choice import available_encoders

    return any(one.needs_weights for one in available_encoders() if one.name == encoder)


def searchOptions(criteria: SearchCriteria, settings: Settings) -> dict[str, Any]:
    """The parameter `options` of a search (worker/PROTOCOL.md, searching/options.py)."""
    return {
        "top": criteria.top,
        "ranking": "exhaustive" if settings.exhaustive else "two-stage",
        "filter": settings.filter or "auto",
        "distinct": settings.filterCount,
        "attributes": _conditions(criteria.filters),
        "exclude": ["patient"] if criteria.excludeSamePatient else ["series"],
        "like": list(criteria.like),
        "unlike": list(criteria.unlike),
    }


def _runArguments(settings: Settings) -> list[str]:
    arguments = []
    if settings.device:
        arguments += ["--device", settings.device]
    if settings.batchSize:
        arguments += ["--batch-size", str(settings.batchSize)]
    return arguments


def _conditions(filters: dict[str, str]) -> list[str]:
    """Conditions of attribute_filter.py. Of a body part a piece is enough: "ABDOMEN" is in "CHEST-ABDOMEN"."""
    operators = {"modality": "modality=", "body_part": "body_part~"}
    dates = {"date_from": "study_date>=", "date_to": "study_date<="}
    known = {**operators, **dates}
    if unknown := set(filters) - set(known):
        raise ValueError(f"filters {sorted(unknown)}: expected some of {', '.join(known)}")
    return [f"{known[name]}{value}" for name, value in filters.items() if value]
