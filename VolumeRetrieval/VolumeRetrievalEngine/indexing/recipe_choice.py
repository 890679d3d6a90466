"""With which encoder and recipe an indexing run works: those of the store that it goes on with, or the current ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..encoders.base import Encoder
from ..encoders.choice import is_earlier_edition, weights_editions
from ..encoders.encode import recipe_for
from ..encoders.request import EncoderRequest
from ..recipe import Recipe
from ..store import VolumeStore
from ..store.folder import StoreFolder


@dataclass(frozen=True)
class RecipeChoice:
    """What was decided.

    Attributes:
        recipe: of the store to index into, which may not be there yet.
        encoder: that makes its embeddings; `request` makes it again.
    """

    recipe: Recipe
    encoder: Encoder
    request: EncoderRequest


def choose_recipe(
    folder: StoreFolder, request: EncoderRequest, values: Mapping[str, Any], renew: bool = False
) -> RecipeChoice:
    """The recipe to index with.

    A store that is there goes on as it is, also where an earlier version of the preprocessing, or an earlier edition of
    the encoder, made it. A new one is made with the current ones.

    Args:
        request: the encoder, or a store's folder, by name; without a name the store used last is meant.
        values: of the Recipe, where they differ from those of this store, or from the defaults.
        renew: make a new store, unless there is one with the current preprocessing and edition.

    Raises:
        EncoderError, WeightsError, RecipeError, StoreError
    """
    made: Encoder | None = None
    if (path := folder.in_use(request.name)) is not None:
        known, request = noted_request(path, request)
        made = request.create_for(known)
        recipe = replace(known, **values)
        if not renew and folder.holds(recipe):
            return RecipeChoice(recipe, made, request)
        values = {**known.own_values, **values}
    if made is None or (request.weights is None and is_earlier_edition(made.name, made.weights)):
        made = request.create()
    recipe = recipe_for(made, **values)
    if not renew and "preprocessing_version" not in values:
        editions = () if request.weights else weights_editions(made.name)
        recipe = folder.made_before(recipe, editions) or recipe
        if recipe.weights != made.weights:
            made = request.create_for(recipe)
    return RecipeChoice(recipe, made, request)


def noted_request(path: Path, asked: EncoderRequest) -> tuple[Recipe, EncoderRequest]:
    """The recipe of the store in this folder, and the request for the encoder that the store names."""
    with VolumeStore.open(path) as store:
        recipe, note = store.recipe, json.loads(store.meta("encoder_note") or "{}")
    return recipe, asked.as_noted(recipe, note)
