"""How several indexes stand: what is in each, and whether it can be searched together with the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import VolumeRetrievalError
from ..recipe import Recipe
from ..store.volume_store import VolumeStore
from .answering import AnsweringFolders
from .store_choice import chosen_store, index_folder


@dataclass(frozen=True)
class StoreState:
    """One index.

    Attributes:
        asked: the folder that was named; `folder`: the index folder that it means (store_choice.py).
        volumes: how many it holds; 0 where it cannot be searched.
        encoder: what its embeddings were made with; `modalities` and `body_parts` are those of its volumes.
        problem: why it cannot be searched with the others; empty if it can.
        problem_type, problem_fields: the class of the error and its values (errors.py), for whoever words it anew.
    """

    asked: str
    folder: str
    volumes: int = 0
    encoder: str = ""
    problem: str = ""
    problem_type: str = ""
    problem_fields: dict[str, Any] = field(default_factory=dict)
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)


def states(
    folders: Sequence[Path | str], encoder: str = "", answering: AnsweringFolders | None = None
) -> list[StoreState]:
    """How each of these index folders stands, in their order; nothing is changed in them.

    Args:
        encoder: of the first one that has an index, which decides on the recipe; "" for the one used last.
        answering: who waits for folders on shares that hang.

    Example:
        >>> [one.volumes for one in states(["index"])], states(["index", "nowhere"])[1].problem_type
        ([4], 'NoStoreError')
    """
    answering = answering or AnsweringFolders()
    named = [Path(one) for one in folders]
    answering.ask(named)
    found: list[StoreState] = []
    recipe: Recipe | None = None
    for folder in named:
        meant = folder
        try:
            answering.check(folder)
            meant = index_folder(folder)
            with VolumeStore.open(chosen_store(meant, encoder, recipe)) as store:
                recipe = recipe or store.recipe
                attributes = [record.attributes for record in store.listing()]
            found.append(
                StoreState(
                    str(folder),
                    str(meant),
                    len(attributes),
                    recipe.encoder,
                    modalities=tuple(sorted({one.modality for one in attributes} - {""})),
                    body_parts=tuple(sorted({one.body_part for one in attributes} - {""})),
                )
            )
        except VolumeRetrievalError as error:
            name = type(error).__name__
            found.append(StoreState(str(folder), str(meant), 0, "", error.text, name, error.fields))
        except OSError as error:
            name = type(error).__name__
            found.append(StoreState(str(folder), str(meant), 0, "", error.strerror or str(error), name))
    return found
