"""Recipes: canonical, complete, and never mixed."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from VolumeRetrievalEngine.encoders.choice import create_encoder
from VolumeRetrievalEngine.encoders.encode import recipe_for
from VolumeRetrievalEngine.errors import RecipeError
from VolumeRetrievalEngine.recipe import PREPROCESSING_VERSION, Recipe

#: A different value for every entry of a recipe.
OTHERWISE = {
    "encoder": "monai-resnet50",
    "weights": "0" * 64,
    "size": 224,
    "plane": "sagittal",
    "slice_step_mm": 0.0,
    "crop": False,
    "preprocessing_version": PREPROCESSING_VERSION + 1,
    "normalisation": "{}",
}


def test_a_recipe_survives_json_and_its_text_is_canonical():
    recipe = Recipe(encoder="descriptor", plane="coronal", slice_step_mm=2)
    text = recipe.to_json()
    assert Recipe.from_json(text) == recipe
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert recipe.to_json() == Recipe(encoder="descriptor", plane="coronal", slice_step_mm=2.0).to_json()


@pytest.mark.parametrize("entry", OTHERWISE)
def test_every_entry_makes_another_recipe_with_another_folder(entry):
    recipe = Recipe(encoder="descriptor")
    other = replace(recipe, **{entry: OTHERWISE[entry]})
    assert other != recipe
    assert other.digest != recipe.digest
    assert other.folder_name != recipe.folder_name


def test_no_entry_is_left_out_of_the_test_above():
    assert {field.name for field in fields(Recipe)} == {*OTHERWISE, "intensity"}  # which has one value only


def test_a_recipe_is_frozen():
    with pytest.raises(FrozenInstanceError):
        Recipe(encoder="descriptor").size = 96


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"encoder": "a b"}, "encoder name"),
        ({"encoder": "../x"}, "encoder name"),
        ({"plane": "oblique"}, "axial"),
        ({"slice_step_mm": -1}, "slice step"),
        ({"slice_step_mm": float("nan")}, "slice step"),
        ({"size": 4}, "16 to 2048"),
        ({"size": 96.5}, "whole number"),
        ({"crop": "yes"}, "crop"),
        ({"intensity": "bright"}, "intensity"),
    ],
)
def test_impossible_values_are_refused_with_what_was_expected(values, said):
    with pytest.raises(RecipeError, match=said):
        Recipe(**{"encoder": "descriptor", **values})


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", '{"encoder":"descriptor","color":1}', '{"encoder":3}'])
def test_text_that_is_no_recipe_is_refused(text):
    with pytest.raises(RecipeError):
        Recipe.from_json(text)


def test_the_recipe_of_an_encoder_has_its_size_and_the_values_that_were_asked_for():
    recipe = recipe_for(create_encoder("descriptor"), plane="sagittal", crop=False)
    assert (recipe.encoder, recipe.size, recipe.plane, recipe.crop) == ("descriptor", 96, "sagittal", False)
